/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_HELD_H
#define DM_MEMORY_HELD_H

/*
 * What the target holds, as the source knows it: for each object, the fingerprint of each page
 * that has been sent. The stream is a reliable queue, so what was written to it will be there.
 *
 *   held -> objects, by (kind, id) -> pages, by address: (address, fingerprint)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/format.h"

/* XXH3-128 of a page's bytes, seeded per migration. */
struct dm_fingerprint {
	uint64_t lo, hi;
};

struct dm_held;
struct dm_held_object;

/*
 * The fingerprint of one page at p (DM_PAGE bytes).
 */
struct dm_fingerprint dm_fingerprint_of(const void *p, uint64_t seed);

static inline bool dm_fingerprint_equal(struct dm_fingerprint a, struct dm_fingerprint b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

/*
 * An index without pages. Free with dm_held_free() (NULL is fine). Returns NULL with err.
 */
struct dm_held *dm_held_new(struct dm_err *err);
void dm_held_free(struct dm_held *h);

/*
 * The object o of h; it is made when it is missing. It belongs to h. Returns NULL with err.
 */
struct dm_held_object *dm_held_object(struct dm_held *h, struct dm_object o, struct dm_err *err);

/*
 * A pass over an object: dm_held_begin(), then dm_held_page() for each page met, in ascending
 * order of addresses, then dm_held_finish(). Pages that are not met stay as they were.
 *
 * dm_held_page() tells whether the target holds this very page (1) or not (0), in which case it
 * is remembered as sent; -1 with err.
 */
void dm_held_begin(struct dm_held_object *o);
int dm_held_page(struct dm_held_object *o, uint64_t addr, struct dm_fingerprint f,
		 struct dm_err *err);
int dm_held_finish(struct dm_held_object *o, struct dm_err *err);

/*
 * Save h as the file name in the folder dirfd, and read it back.
 * Return 0 / the index; -1 / NULL with err.
 */
int dm_held_save(const struct dm_held *h, int dirfd, const char *name, struct dm_err *err);
struct dm_held *dm_held_load(int dirfd, const char *name, struct dm_err *err);

#endif
