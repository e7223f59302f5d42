/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_LEVEL_H
#define DM_RESTORE_LEVEL_H

/*
 * The pages of one object at one level: a pages image, in ascending order of addresses, and the
 * fingerprint of each page in it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "memory/held.h"
#include "stream/format.h"

struct dm_extent {
	uint64_t addr;
	uint64_t slot; /* of its first page, counted in pages from the image's start */
	uint32_t pages;
};

struct dm_level {
	int fd; /* of the pages image; -1 when this level has none of its own */
	uint32_t pages_id;
	struct dm_extent *e; /* ascending */
	size_t n, size;
	size_t at;		  /* where the last look-up was */
	uint64_t looked;	  /* its address */
	struct dm_fingerprint *f; /* by slot */
	uint64_t slots, f_size;
};

/*
 * Where the page at addr lies: returns true with *slot; false when this level has no such page.
 * Look-ups in ascending order cost next to nothing.
 */
bool dm_level_find(struct dm_level *l, uint64_t addr, uint64_t *slot);

/*
 * Append count pages from addr on, which lies behind all others: room and fingerprints only.
 * Returns the first slot; UINT64_MAX with err.
 */
uint64_t dm_level_append(struct dm_level *l, uint64_t addr, uint32_t count, struct dm_err *err);

/*
 * Write count pages into the image from slot on, or zeros when bytes is NULL, and remember their
 * fingerprints. Returns 0; -1 with err.
 */
int dm_level_write(struct dm_level *l, uint64_t slot, uint32_t count, const void *bytes,
		   uint64_t seed, struct dm_err *err);

/*
 * Close the image and free what l holds, not l.
 */
void dm_level_clear(struct dm_level *l);

#endif
