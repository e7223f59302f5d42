/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/pagemap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define MAGIC_COMMON 0x54564319u
#define MAGIC_PAGEMAP 0x56084025u

enum { FIELDS = 6, MESSAGE_MAX = 256 };

int dm_pagemap_name(const char *name, struct dm_object *o)
{
	char again[DM_NAME_MAX + 1];
	uint64_t id;

	if (sscanf(name, "pagemap-%" SCNu64, &id) == 1)
		*o = (struct dm_object){DM_PROCESS, id};
	else if (sscanf(name, "pagemap-shmem-%" SCNu64, &id) == 1)
		*o = (struct dm_object){DM_SHMEM, id};
	else
		return 0;
	dm_pagemap_file(*o, again); /* a number has more than one spelling, a name has one */
	return !strcmp(name, again);
}

void dm_pagemap_file(struct dm_object o, char *out)
{
	snprintf(out, DM_NAME_MAX + 1,
		 o.kind == DM_PROCESS ? "pagemap-%" PRIu64 ".img" : "pagemap-shmem-%" PRIu64 ".img",
		 o.id);
}

/* A varint at *p, before end. Returns 0, or -1 when it does not end there. */
static int varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t b = *(*p)++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return 0;
		}
	}
	return -1;
}

/* The varint fields of a message by number; others are passed over. seen gets a bit for each. */
static int message(const uint8_t *p, const uint8_t *end, uint64_t f[FIELDS], unsigned *seen)
{
	uint64_t key, v;

	*seen = 0;
	while (p < end) {
		if (varint(&p, end, &key))
			return -1;
		switch (key & 7) {
		case 0:
			if (varint(&p, end, &v))
				return -1;
			if (key >> 3 < FIELDS) {
				f[key >> 3] = v;
				*seen |= 1u << (key >> 3);
			}
			break;
		case 1:
		case 5:
			v = (key & 7) == 1 ? 8 : 4;
			if ((uint64_t)(end - p) < v)
				return -1;
			p += v;
			break;
		case 2:
			if (varint(&p, end, &v) || v > (uint64_t)(end - p))
				return -1;
			p += v;
			break;
		default:
			return -1;
		}
	}
	return 0;
}

/* One entry's fields as a run; flags are told in two ways, the old one and the new one. */
static int to_run(const uint64_t f[FIELDS], unsigned seen, uint64_t after, struct dm_run *run)
{
	const uint32_t both = DM_PE_PRESENT | DM_PE_PARENT; /* it can be in one place only */
	uint64_t pages = seen & 1u << 5 ? f[5] : f[2];
	uint32_t flags = seen & 1u << 4 ? (uint32_t)f[4] : DM_PE_PRESENT;

	if (seen & 1u << 3 && f[3])
		flags = (flags & ~(uint32_t)DM_PE_PRESENT) | DM_PE_PARENT;
	if ((flags & both) == both || (seen & 6) != 6 || f[1] % DM_PAGE || f[1] < after ||
	    pages == 0 || pages > UINT32_MAX || f[1] > UINT64_MAX - pages * DM_PAGE)
		return -1;
	*run = (struct dm_run){f[1], (uint32_t)pages, flags};
	return 0;
}

int dm_pagemap_parse(const void *image, size_t len, const char *what, struct dm_pagemap *out,
		     struct dm_err *err)
{
	const uint8_t *p = image, *end = p + len;
	uint64_t f[FIELDS], after = 0;
	size_t size = len / 8 + 1;
	unsigned seen;

	*out = (struct dm_pagemap){0};
	if (len < 8 || dm_get32(p) != MAGIC_COMMON || dm_get32(p + 4) != MAGIC_PAGEMAP)
		return dm_fail(err, DM_FAILURE, "%s: not a pagemap image", what);
	out->runs = calloc(size, sizeof(*out->runs));
	if (!out->runs)
		return dm_fail_errno(err, "read %s", what);
	p += 8;
	for (size_t i = 0; p < end; i++) {
		uint32_t n;

		if (end - p < 4 || (n = dm_get32(p)) > MESSAGE_MAX || n > (size_t)(end - p - 4) ||
		    message(p + 4, p + 4 + n, f, &seen))
			goto corrupt;
		p += 4 + n;
		if (i == 0) {
			if (!(seen & 2))
				goto corrupt;
			out->pages_id = (uint32_t)f[1];
			continue;
		}
		if (out->n == size || to_run(f, seen, after, &out->runs[out->n]))
			goto corrupt;
		after = f[1] + (uint64_t)out->runs[out->n].pages * DM_PAGE;
		out->n++;
	}
	if (!out->pages_id)
		goto corrupt;
	return 0;

corrupt:
	dm_pagemap_free(out);
	return dm_fail(err, DM_FAILURE, "%s: corrupt, or of an unknown CRIU", what);
}

void dm_pagemap_free(struct dm_pagemap *p)
{
	free(p->runs);
	*p = (struct dm_pagemap){0};
}

static uint8_t *put_varint(uint8_t *p, unsigned field, uint64_t v)
{
	*p++ = (uint8_t)(field << 3);
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

int dm_pagemap_put_head(struct dm_buf *b, uint32_t pages_id, struct dm_err *err)
{
	uint8_t m[32], *p = m + 12;

	p = put_varint(p, 1, pages_id);
	dm_put32(m, MAGIC_COMMON);
	dm_put32(m + 4, MAGIC_PAGEMAP);
	dm_put32(m + 8, (uint32_t)(p - m - 12));
	return dm_buf_add(b, m, (size_t)(p - m), err);
}

int dm_pagemap_put(struct dm_buf *b, const struct dm_run *run, struct dm_err *err)
{
	uint8_t m[64], *p = m + 4;

	p = put_varint(p, 1, run->addr);
	p = put_varint(p, 2, run->pages);
	if (run->flags & DM_PE_PARENT)
		p = put_varint(p, 3, 1);
	p = put_varint(p, 4, run->flags);
	p = put_varint(p, 5, run->pages);
	dm_put32(m, (uint32_t)(p - m - 4));
	return dm_buf_add(b, m, (size_t)(p - m), err);
}
