/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_TREE_H
#define DM_FILES_TREE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* What of an overlay's own attributes a tree has. */
enum dm_tree_kind {
	DM_TREE_PLAIN,	/* none: a volume, where they are data */
	DM_TREE_UPPER,	/* an overlay's upper directory */
	DM_TREE_MERGED, /* a mounted overlay */
};

/* The longest path that is carried, in bytes with its NUL. It may be longer than PATH_MAX. */
enum { DM_TREE_PATH_MAX = 16384 };

/*
 * Whether path may name something below a tree's root: "." alone, or names of 1 to 255 bytes
 * joined by single slashes, none of them "." or "..", shorter than DM_TREE_PATH_MAX in all.
 */
bool dm_tree_path_ok(const char *path);

/*
 * Open path below the folder root, of any length: never out of it, through no symbolic link and
 * into no other mount. flags and mode are those of openat(2); O_CLOEXEC and O_NOFOLLOW are added.
 * Returns a descriptor; -1 with errno (ELOOP: a symbolic link was met, EXDEV: another mount).
 */
int dm_tree_open(int root, const char *path, int flags, mode_t mode);

/*
 * Open the folder that holds path (O_PATH) and point *name at path's last name.
 * Returns a descriptor; -1 with errno, as dm_tree_open().
 */
int dm_tree_open_parent(int root, const char *path, const char **name);

/*
 * Remove path below root with everything in it; any depth, with a bounded number of descriptors.
 * What does not exist is no error; a mount inside is. Returns 0; -1 with err.
 */
int dm_tree_remove(int root, const char *path, struct dm_err *err);

#endif
