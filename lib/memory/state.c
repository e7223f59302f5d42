/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/state.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/le.h"

enum { ENTRY = 33, GATHER = 1024 };

struct dm_state {
	XXH3_state_t *x;
	uint64_t pages;
	size_t n;
	uint8_t buf[GATHER * ENTRY];
};

struct dm_state *dm_state_new(struct dm_err *err)
{
	struct dm_state *s = calloc(1, sizeof(*s));

	if (!s || !(s->x = XXH3_createState())) {
		dm_fail_errno(err, "allocate digest");
		free(s);
		return NULL;
	}
	XXH3_128bits_reset(s->x);
	return s;
}

static void flush(struct dm_state *s)
{
	XXH3_128bits_update(s->x, s->buf, s->n * ENTRY);
	s->n = 0;
}

void dm_state_add(struct dm_state *s, struct dm_object o, uint64_t addr, struct dm_fingerprint f)
{
	uint8_t *p = s->buf + s->n * ENTRY;

	p[0] = o.kind;
	dm_put64(p + 1, o.id);
	dm_put64(p + 9, addr);
	dm_put64(p + 17, f.lo);
	dm_put64(p + 25, f.hi);
	s->pages++;
	if (++s->n == GATHER)
		flush(s);
}

uint64_t dm_state_finish(struct dm_state *s, uint8_t out[DM_DIGEST])
{
	uint64_t pages = s->pages;
	XXH128_canonical_t c;

	flush(s);
	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s->x));
	memcpy(out, c.digest, DM_DIGEST);
	dm_state_free(s);
	return pages;
}

void dm_state_free(struct dm_state *s)
{
	if (!s)
		return;
	XXH3_freeState(s->x);
	free(s);
}
