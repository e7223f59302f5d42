/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_MANIFEST_H
#define DM_FILES_MANIFEST_H

/*
 * What the target has of a tree: every path with the state in which it was last read and sent.
 *
 * Entries stand folder by folder, the root first: the children of a folder are one run of
 * entries, sorted by name, somewhere behind the folder itself:
 *
 *	0 "."       first 1, count 3
 *	1 etc       first 4, count 1
 *	2 home
 *	3 var
 *	4 passwd    parent 1
 *
 * Names hold any byte but NUL and '/'.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	DM_FILE_UNSURE = 1,   /* not read: the target has an older state here, or nothing */
	DM_FILE_RACY = 2,     /* changed just before it was read: a later change may not show */
	DM_FILE_WHITEOUT = 4, /* hides a file of the layers below */
	DM_FILE_OPAQUE = 8,   /* a folder that hides all of the layers below */
	DM_FILE_SUMS = 16,    /* a regular file whose blocks have fingerprints */
	DM_FILE_LINKED = 32,  /* sent as one of several names of a file */
	DM_FILE_ALL_FLAGS = 63,
};

enum { DM_SUM_SIZE = 16 };

#define DM_FILE_NONE UINT32_MAX

struct dm_file {
	uint64_t dev, ino, rdev, size;
	int64_t mtime, ctime; /* seconds */
	uint64_t sum;	      /* its first fingerprint, with DM_FILE_SUMS */
	uint32_t mtime_ns, ctime_ns;
	uint32_t mode, uid, gid, nlink; /* mode as in st_mode, with the type */
	uint32_t flags;
	uint32_t parent;       /* its folder; the root's is the root */
	uint32_t first, count; /* its children, for a folder */
	size_t name;	       /* offset into names */
};

struct dm_manifest {
	struct dm_file *file;
	uint32_t count, size;
	uint64_t seed;	     /* of the fingerprints; random, kept from pass to pass */
	struct dm_buf names; /* NUL-terminated */
	struct dm_buf sums;  /* DM_SUM_SIZE bytes each */
};

/*
 * A manifest without entries and with a new random seed. Free it with dm_manifest_free().
 * Returns NULL with err.
 */
struct dm_manifest *dm_manifest_new(struct dm_err *err);

/*
 * Free m; NULL is fine.
 */
void dm_manifest_free(struct dm_manifest *m);

/*
 * Append an entry called name to the folder parent (for the first entry: 0 and "."), all else
 * zero. Children of one folder must be added one after the other, sorted.
 * Returns its index; DM_FILE_NONE with err.
 */
uint32_t dm_manifest_add(struct dm_manifest *m, uint32_t parent, const char *name,
			 struct dm_err *err);

/*
 * The last name in entry i's path; "." for the root. Valid until the next dm_manifest_add().
 */
const char *dm_manifest_name(const struct dm_manifest *m, uint32_t i);

/*
 * Write the path of entry i, relative to the root, into out, which has size bytes.
 * Returns 0; -1 when it does not fit (out then holds its end).
 */
int dm_manifest_path(const struct dm_manifest *m, uint32_t i, char *out, size_t size);

/*
 * Write m as the file name in the folder dirfd, in one step. Returns 0; -1 with err.
 */
int dm_manifest_save(const struct dm_manifest *m, int dirfd, const char *name, struct dm_err *err);

/*
 * Read the file name in the folder dirfd. Returns a manifest to be freed with dm_manifest_free();
 * NULL with err when it is missing or not exactly what was saved.
 */
struct dm_manifest *dm_manifest_load(int dirfd, const char *name, struct dm_err *err);

#endif
