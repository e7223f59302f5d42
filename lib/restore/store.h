/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_STORE_H
#define DM_RESTORE_STORE_H

/*
 * The pages that have arrived, as folders of CRIU images chained by "parent":
 *
 *   <stage>/level-0/   pagemap-1.img pages-1.img ...    the first round
 *   <stage>/level-1/   parent -> ../level-0 ...          addresses that were new in a later one
 *   <stage>/images/    parent -> ../level-1, the final level, and CRIU's other images
 *
 * A page that comes again overwrites the older one in its place, so a page takes room once. The
 * pagemaps are written at the end, when it is known which pages the final state has.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/format.h"

struct dm_store;

/*
 * A store in the folder stage, which stays the caller's; seed is that of the fingerprints. The
 * limit of this process's open files is raised as far as it may be.
 * Free with dm_store_free(), which removes nothing. Returns NULL with err.
 */
struct dm_store *dm_store_new(int stage, uint64_t seed, struct dm_err *err);
void dm_store_free(struct dm_store *s);

/*
 * A round begins; final: its pages go to the final level. Returns 0; -1 with err.
 */
int dm_store_round(struct dm_store *s, bool final, struct dm_err *err);

/*
 * Take in count pages of o from addr on; bytes NULL: zeros. Returns 0; -1 with err.
 */
int dm_store_pages(struct dm_store *s, struct dm_object o, uint64_t addr, uint32_t count,
		   const void *bytes, struct dm_err *err);

/*
 * Take in a piece of another image of the final level. Pieces come in order, from offset 0 on.
 * Returns 0; -1 with err.
 */
int dm_store_file(struct dm_store *s, const char *name, uint64_t offset, const void *bytes,
		  size_t len, struct dm_err *err);

/*
 * Take in n runs of pages that o has in the final state. Objects come in ascending order.
 * Returns 0; -1 with err.
 */
int dm_store_object(struct dm_store *s, struct dm_object o, const struct dm_run *runs, size_t n,
		    struct dm_err *err);

/*
 * Check that every page of the final state is here and that its digest and count are these, write
 * all pagemaps, and check the sizes of all pages images against them.
 * Returns 0; -1 with err (DM_BAD_STREAM for pages that are missing or differ).
 */
int dm_store_finish(struct dm_store *s, const uint8_t digest[DM_DIGEST], uint64_t pages,
		    struct dm_err *err);

#endif
