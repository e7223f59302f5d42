/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/held.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/le.h"

struct page {
	uint64_t addr;
	struct dm_fingerprint f;
};

struct pages {
	struct page *p;
	size_t n, size;
};

struct dm_held_object {
	struct dm_object id;
	struct pages now;  /* sorted by address */
	struct pages next; /* what a pass makes of it */
	size_t at;	   /* of now, in a pass */
};

struct dm_held {
	struct dm_held_object **o; /* sorted by (kind, id) */
	size_t n, size;
};

struct dm_fingerprint dm_fingerprint_of(const void *p, uint64_t seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(p, DM_PAGE, seed);

	return (struct dm_fingerprint){h.low64, h.high64};
}

struct dm_held *dm_held_new(struct dm_err *err)
{
	struct dm_held *h = calloc(1, sizeof(*h));

	if (!h)
		dm_fail_errno(err, "allocate index of pages");
	return h;
}

void dm_held_free(struct dm_held *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++) {
		free(h->o[i]->now.p);
		free(h->o[i]->next.p);
		free(h->o[i]);
	}
	free(h->o);
	free(h);
}

static int compare(struct dm_object a, struct dm_object b)
{
	if (a.kind != b.kind)
		return a.kind < b.kind ? -1 : 1;
	return a.id < b.id ? -1 : a.id > b.id;
}

struct dm_held_object *dm_held_object(struct dm_held *h, struct dm_object id, struct dm_err *err)
{
	size_t lo = 0, hi = h->n;
	struct dm_held_object *o;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = compare(h->o[mid]->id, id);

		if (c == 0)
			return h->o[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (h->n == h->size) {
		size_t size = h->size ? 2 * h->size : 16;
		struct dm_held_object **bigger = realloc(h->o, size * sizeof(*bigger));

		if (!bigger) {
			dm_fail_errno(err, "allocate index of pages");
			return NULL;
		}
		h->o = bigger;
		h->size = size;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		dm_fail_errno(err, "allocate index of pages");
		return NULL;
	}
	o->id = id;
	memmove(h->o + lo + 1, h->o + lo, (h->n - lo) * sizeof(*h->o));
	h->o[lo] = o;
	h->n++;
	return o;
}

static int add(struct pages *v, const struct page *p, size_t n, struct dm_err *err)
{
	if (n > v->size - v->n) {
		size_t size = v->size ? v->size : 64;
		struct page *bigger;

		while (size < v->n + n)
			size *= 2;
		bigger = realloc(v->p, size * sizeof(*bigger));
		if (!bigger)
			return dm_fail_errno(err, "allocate index of pages");
		v->p = bigger;
		v->size = size;
	}
	if (n)
		memcpy(v->p + v->n, p, n * sizeof(*p));
	v->n += n;
	return 0;
}

void dm_held_begin(struct dm_held_object *o)
{
	o->next.n = 0;
	o->at = 0;
}

int dm_held_page(struct dm_held_object *o, uint64_t addr, struct dm_fingerprint f,
		 struct dm_err *err)
{
	struct page p = {addr, f};
	size_t from = o->at;
	bool same = false;

	while (o->at < o->now.n && o->now.p[o->at].addr < addr)
		o->at++;
	if (add(&o->next, o->now.p + from, o->at - from, err))
		return -1;
	if (o->at < o->now.n && o->now.p[o->at].addr == addr)
		same = dm_fingerprint_equal(o->now.p[o->at++].f, f);
	return add(&o->next, &p, 1, err) ? -1 : same;
}

int dm_held_finish(struct dm_held_object *o, struct dm_err *err)
{
	struct pages old = o->now;

	if (add(&o->next, old.p + o->at, old.n - o->at, err))
		return -1;
	o->now = o->next;
	o->next = old;
	o->next.n = 0;
	return 0;
}

/*
 * The file: for each object 1 byte of kind, 8 of id, 8 of count, then the pages, 24 bytes each;
 * at the end XXH3-64 of all before it. It stays on this host.
 */
int dm_held_save(const struct dm_held *h, int dirfd, const char *name, struct dm_err *err)
{
	struct dm_buf b = {0};
	int ret = -1;
	uint8_t *q;

	for (size_t i = 0; i < h->n; i++) {
		const struct pages *v = &h->o[i]->now;

		q = dm_buf_room(&b, 17 + v->n * 24, err);
		if (!q)
			goto out;
		q[0] = h->o[i]->id.kind;
		dm_put64(q + 1, h->o[i]->id.id);
		dm_put64(q + 9, v->n);
		q += 17;
		for (size_t k = 0; k < v->n; k++, q += 24) {
			dm_put64(q, v->p[k].addr);
			dm_put64(q + 8, v->p[k].f.lo);
			dm_put64(q + 16, v->p[k].f.hi);
		}
		b.len += 17 + v->n * 24;
	}
	q = dm_buf_room(&b, 8, err);
	if (!q)
		goto out;
	dm_put64(q, XXH3_64bits(b.data, b.len));
	ret = dm_write_file(dirfd, name, b.data, b.len + 8, err);
out:
	dm_buf_free(&b);
	return ret;
}

static int parse(struct dm_held *h, const uint8_t *q, size_t left, struct dm_err *err)
{
	while (left > 0) {
		struct dm_held_object *o;
		uint64_t n;

		if (left < 17 || (n = dm_get64(q + 9)) > (left - 17) / 24)
			return dm_fail(err, DM_FAILURE, "index of pages: corrupt");
		o = dm_held_object(h, (struct dm_object){q[0], dm_get64(q + 1)}, err);
		if (!o)
			return -1;
		q += 17;
		for (uint64_t k = 0; k < n; k++, q += 24) {
			struct page p = {dm_get64(q), {dm_get64(q + 8), dm_get64(q + 16)}};

			if (add(&o->now, &p, 1, err))
				return -1;
		}
		left -= 17 + n * 24;
	}
	return 0;
}

struct dm_held *dm_held_load(int dirfd, const char *name, struct dm_err *err)
{
	struct dm_held *h = NULL;
	size_t len;
	char *all = dm_read_file(dirfd, name, (size_t)1 << 40, &len, err);

	if (!all)
		return NULL;
	if (len < 8 || dm_get64(all + len - 8) != XXH3_64bits(all, len - 8)) {
		dm_fail(err, DM_FAILURE, "index of pages %s: corrupt", name);
		goto fail;
	}
	h = dm_held_new(err);
	if (!h || parse(h, (uint8_t *)all, len - 8, err))
		goto fail;
	free(all);
	return h;

fail:
	dm_held_free(h);
	free(all);
	return NULL;
}
