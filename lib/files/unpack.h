/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_UNPACK_H
#define DM_FILES_UNPACK_H

/* The thread's part of apply.h: entries from libarchive, one by one, into the tree. */

#include <archive.h>
#include <stdbool.h>
#include <stdint.h>

#include "files/apply.h"

struct dm_unpack;

/* Where an archive ended. */
struct dm_unpack_end {
	bool complete;	   /* the last entry was the root's */
	uint64_t position; /* bytes of the archive up to the end of that entry */
};

/*
 * Begin to change the tree root_fd. Free it with dm_unpack_free(). Returns NULL with err.
 */
struct dm_unpack *dm_unpack_new(int root_fd, enum dm_tree_kind kind, struct dm_err *err);

/*
 * Free u; NULL is fine.
 */
void dm_unpack_free(struct dm_unpack *u);

/*
 * Apply the entries that ar gives until its end, and tell of that end. Returns 0; -1 with err.
 */
int dm_unpack_all(struct dm_unpack *u, struct archive *ar, struct dm_unpack_end *end,
		  struct dm_err *err);

/*
 * Give the folders their times, once nothing in them changes any more. Returns 0; -1 with err.
 */
int dm_unpack_finish(struct dm_unpack *u, struct dm_err *err);

/*
 * What was done so far; belongs to u.
 */
const struct dm_apply_stats *dm_unpack_stats(const struct dm_unpack *u);

#endif
