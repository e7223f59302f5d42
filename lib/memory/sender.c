/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/sender.h"

#include <stdlib.h>
#include <string.h>

struct dm_sender {
	struct dm_writer *w;
	struct dm_held *held;
	uint64_t seed;
	struct dm_fingerprint zero; /* of a page of zeros */
	struct dm_object object;
	struct dm_held_object *of;
	struct dm_sender_count count;
	dm_sender_watch *watch;
	void *watch_ctx;

	/* neighbours that wait to go out in one record */
	uint64_t run_addr;
	uint32_t run_pages;
	bool run_zeros;
	uint8_t run[DM_PAGES_MAX * DM_PAGE];
};

struct dm_sender *dm_sender_new(struct dm_writer *w, struct dm_held *held, uint64_t seed,
				struct dm_err *err)
{
	static const uint8_t zeros[DM_PAGE];
	struct dm_sender *s = calloc(1, sizeof(*s));

	if (!s) {
		dm_fail_errno(err, "allocate sender");
		return NULL;
	}
	s->w = w;
	s->held = held;
	s->seed = seed;
	s->zero = dm_fingerprint_of(zeros, seed);
	return s;
}

void dm_sender_free(struct dm_sender *s)
{
	free(s);
}

void dm_sender_set_watch(struct dm_sender *s, dm_sender_watch *fn, void *ctx)
{
	s->watch = fn;
	s->watch_ctx = ctx;
}

struct dm_sender_count dm_sender_count(struct dm_sender *s)
{
	struct dm_sender_count c = s->count;

	s->count = (struct dm_sender_count){0};
	return c;
}

static int flush(struct dm_sender *s, struct dm_err *err)
{
	uint32_t n = s->run_pages;

	s->run_pages = 0;
	return n ? dm_writer_pages(s->w, s->object, s->run_addr, n, s->run_zeros ? NULL : s->run,
				   err)
		 : 0;
}

static int send(struct dm_sender *s, uint64_t addr, const void *page, bool zero, struct dm_err *err)
{
	if (s->run_pages &&
	    (zero != s->run_zeros || addr != s->run_addr + (uint64_t)s->run_pages * DM_PAGE ||
	     (!zero && s->run_pages == DM_PAGES_MAX)) &&
	    flush(s, err))
		return -1;
	if (!s->run_pages) {
		s->run_addr = addr;
		s->run_zeros = zero;
	}
	if (!zero)
		memcpy(s->run + (size_t)s->run_pages * DM_PAGE, page, DM_PAGE);
	s->run_pages++;
	s->count.sent++;
	s->count.zeros += zero;
	return 0;
}

int dm_sender_begin(struct dm_sender *s, struct dm_object o, struct dm_err *err)
{
	s->object = o;
	s->of = dm_held_object(s->held, o, err);
	if (!s->of)
		return -1;
	dm_held_begin(s->of);
	return 0;
}

int dm_sender_pages(struct dm_sender *s, uint64_t addr, const void *bytes, size_t n, bool force,
		    struct dm_err *err)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++, p += DM_PAGE, addr += DM_PAGE) {
		struct dm_fingerprint f = dm_fingerprint_of(p, s->seed);
		int same = dm_held_page(s->of, addr, f, err);

		if (same < 0)
			return -1;
		if (s->watch)
			s->watch(s->watch_ctx, s->object, addr, f);
		s->count.seen++;
		if ((!same || force) && send(s, addr, p, dm_fingerprint_equal(f, s->zero), err))
			return -1;
	}
	return 0;
}

int dm_sender_finish(struct dm_sender *s, struct dm_err *err)
{
	return flush(s, err) || dm_held_finish(s->of, err) ? -1 : 0;
}
