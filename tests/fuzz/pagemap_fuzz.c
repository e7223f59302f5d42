/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU's pagemap images, and the names of such files. */
#include <string.h>

#include "base/le.h"
#include "memory/pagemap.h"
#include "pieces.h"

/* Two magic numbers; messages, each after its length. */
static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	if (!*state) {
		*state = 1;
		return 8;
	}
	return n < 4 ? n : 4 + (size_t)dm_get32(p);
}

static void fit(uint8_t *p, size_t n)
{
	if (n >= 4 && dm_get32(p) < 1 << 16)
		dm_put32(p, (uint32_t)(n - 4));
}

static const struct fuzz_format format = {length, fit, NULL, NULL};
FUZZ_FORMAT(format)

static void check(const struct dm_pagemap *m)
{
	HOLDS(m->pages_id);
	for (size_t i = 0; i < m->n; i++) {
		const struct dm_run *r = &m->runs[i];

		HOLDS(r->pages && r->addr % DM_PAGE == 0);
		HOLDS(r->addr + (uint64_t)r->pages * DM_PAGE > r->addr);
		HOLDS(i == 0 || r->addr >= r[-1].addr + (uint64_t)r[-1].pages * DM_PAGE);
	}
}

/* What was read is written, read again, and must be the same. */
static void again(const struct dm_pagemap *m)
{
	struct dm_buf b = {0};
	struct dm_pagemap n;
	struct dm_err err;

	HOLDS(dm_pagemap_put_head(&b, m->pages_id, &err) == 0);
	for (size_t i = 0; i < m->n; i++)
		HOLDS(dm_pagemap_put(&b, &m->runs[i], &err) == 0);
	HOLDS(dm_pagemap_parse(b.data, b.len, "it", &n, &err) == 0);
	HOLDS(n.pages_id == m->pages_id && n.n == m->n);
	for (size_t i = 0; i < n.n; i++)
		HOLDS(!memcmp(&n.runs[i], &m->runs[i], sizeof(n.runs[i])));
	dm_pagemap_free(&n);
	dm_buf_free(&b);
}

static void name(const uint8_t *data, size_t size)
{
	char text[DM_NAME_MAX + 1], same[DM_NAME_MAX + 1];
	struct dm_object o;

	size = size < DM_NAME_MAX ? size : DM_NAME_MAX;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!dm_pagemap_name(text, &o))
		return;
	dm_pagemap_file(o, same);
	HOLDS(!strcmp(text, same));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dm_err err = {0};
	struct dm_pagemap m;

	name(data, size);
	if (dm_pagemap_parse(data, size, "it", &m, &err)) {
		HOLDS(err.msg[0] && !m.runs);
		return 0;
	}
	check(&m);
	again(&m);
	dm_pagemap_free(&m);
	return 0;
}
