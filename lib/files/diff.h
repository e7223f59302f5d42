/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_DIFF_H
#define DM_FILES_DIFF_H

/* What to do with each entry of a tree, given what the target has of it. */

#include "files/manifest.h"
#include "files/pack.h"

enum {
	DM_DIFF_SEND = 1,  /* it is new or changed */
	DM_DIFF_CHECK = 2, /* a regular file that only its content can tell */
	DM_DIFF_TOUCH = 4, /* a folder in which something is sent or deleted */
	DM_DIFF_THERE = 8, /* the target has this folder, or it has been sent */
};

/* One element for each entry of the new manifest, except in gone and cleared. */
struct dm_diff {
	uint32_t *old;	     /* the same path in the old manifest; DM_FILE_NONE: it is new */
	uint32_t *first;     /* the first of its names in the tree; DM_FILE_NONE: it has but one */
	uint32_t *sent;	     /* at that first name: the name sent with the data, or DM_FILE_NONE */
	unsigned char *todo; /* DM_DIFF_... */
	struct dm_buf gone;  /* uint32_t: old entries to be deleted, not those below others */
	struct dm_buf cleared; /* uint32_t: new folders; what is at their paths is to be deleted */
};

/*
 * Compare now with old (NULL: nothing is there yet). content says whether all regular files are
 * to be compared by content. Fills d, to be freed with dm_diff_free(). Returns 0; -1 with err.
 */
int dm_diff(const struct dm_pack_opts *opts, bool content, const struct dm_manifest *old,
	    const struct dm_manifest *now, struct dm_diff *d, struct dm_err *err);

/*
 * Whether a path with the entry b is another than, or changed since, the entry a in an older
 * manifest, as far as stat tells.
 */
bool dm_diff_changed(const struct dm_file *a, const struct dm_file *b);

/*
 * Free what d holds.
 */
void dm_diff_free(struct dm_diff *d);

#endif
