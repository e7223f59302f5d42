/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_PUT_H
#define DM_FILES_PUT_H

/* Putting a single entry of an archive, other than folders and hard links, into the tree. */

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "files/tree.h"
#include "files/unpack.h"

struct dm_unpack {
	int root;
	enum dm_tree_kind kind;
	struct dm_apply_stats stats;
	struct dm_buf folders; /* for each: two struct timespec, its path with a NUL */
	int parent_fd;	       /* the folder of the entry before, or -1 */
	char parent[DM_TREE_PATH_MAX];
	char path[DM_TREE_PATH_MAX]; /* of the entry in hand */
};

/*
 * Record in err that the entry in hand is bad. Returns -1.
 */
int dm_put_bad(const struct dm_unpack *u, const char *what, struct dm_err *err);

/*
 * Remove name in the entry's folder, whatever it is, if it is there. Returns 0; -1 with err.
 */
int dm_put_remove(struct dm_unpack *u, const char *name, struct dm_err *err);

/*
 * Put a file with its data, a symbolic link, a device or a pipe: a new one takes the place of
 * what is called name in the entry's folder. Returns 0; -1 with err.
 */
int dm_put_node(struct dm_unpack *u, struct archive *ar, struct archive_entry *e, const char *name,
		struct dm_err *err);

/*
 * Change the file name in the entry's folder in place, as DM_PACK_PATCH with this value (len
 * bytes) says. The file must have the size that the archive was made against, or the one it will
 * have, and no other name. Returns 0; -1 with err.
 */
int dm_put_patch(struct dm_unpack *u, struct archive *ar, struct archive_entry *e, const char *name,
		 const char *value, size_t len, struct dm_err *err);

#endif
