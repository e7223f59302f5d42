/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_APPLY_H
#define DM_FILES_APPLY_H

/*
 * The other side of pack.h: archives applied to a tree. The archive's names, links and sizes are
 * a container's, so nothing is taken on trust: nothing outside the tree's root is reached, no
 * link is followed, no mount is entered.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "files/tree.h"

struct dm_apply_stats {
	uint64_t entries; /* entries applied, without "." and deletions */
	uint64_t patched; /* those of them that changed a file in place */
	uint64_t deleted; /* deletions, of whatever was there */
	uint64_t bytes;	  /* of file data */
};

struct dm_apply;

/*
 * Begin to apply one archive to the folder root_fd, which stays the caller's and must stay open.
 * kind: DM_TREE_UPPER for an upper directory that is not mounted, DM_TREE_PLAIN for a volume,
 * DM_TREE_MERGED for a mounted overlay (deltas only, once its upper directory must not be
 * touched): whiteouts and deletions there remove what shows at the path.
 * The work is done by a thread of its own. End with dm_apply_end() or dm_apply_abort().
 * Returns NULL with err.
 */
struct dm_apply *dm_apply_new(int root_fd, enum dm_tree_kind kind, struct dm_err *err);

/*
 * Give it the archive's next len bytes, in pieces of any size; they are copied. Waits while more
 * than a bounded number of bytes is not yet applied.
 * Returns 0; -1 with err once the archive has proved bad (DM_BAD_STREAM) or could not be applied,
 * then and in all later calls.
 */
int dm_apply_data(struct dm_apply *a, const void *bytes, size_t len, struct dm_err *err);

/*
 * The archive is complete: wait until all of it has been applied, and free a. Nothing is synced
 * to disk. Returns 0 with *stats (unless it is NULL); -1 with err, also when the archive is
 * without its end, or goes on behind it (DM_BAD_STREAM).
 */
int dm_apply_end(struct dm_apply *a, struct dm_apply_stats *stats, struct dm_err *err);

/*
 * Stop where it is and free a; NULL is fine. The tree is left half changed.
 */
void dm_apply_abort(struct dm_apply *a);

#endif
