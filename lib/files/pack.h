/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_PACK_H
#define DM_FILES_PACK_H

/*
 * A tree of files as one pax archive: everything, or what changed since a manifest.
 *
 * What pax has no words for is said by extended attributes in a namespace that Linux does not
 * have, so no file of a container can carry them by itself:
 *	docker-migrate.whiteout  on a character device 0/0: a file of the layers below is hidden
 *	docker-migrate.opaque    on a folder: all that the layers below have in it is hidden
 *	docker-migrate.deleted   on an empty file: the path is gone, with everything in it
 *	docker-migrate.patch     on a sparse file: what is in no run of data stays as it is in the
 *	                         target's file; the value is that file's size in decimal
 *	docker-migrate.path      on a sparse file: its path, where that is longer than 99 bytes, since
 *	                         libarchive cuts the one that it writes for a sparse file
 * Order: deletions; then folders before what is in them, and the first name of a file before its
 * other names; then folders that changed only by what is in them; "." last of all, always.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "files/manifest.h"

struct dm_pack_opts {
	bool upper;   /* the tree is an overlay's upper directory; otherwise files are just files */
	bool frozen;  /* nobody writes to the tree any more: a change while reading is an error */
	bool content; /* compare every file by content; always done on tmpfs, ramfs, hugetlbfs */
	/* Files to be compared by content although their times say that they are unchanged. */
	bool (*always)(void *ctx, uint64_t dev, uint64_t ino);
	void *always_ctx;
};

struct dm_pack_stats {
	uint64_t entries; /* paths in the tree */
	uint64_t sent;	  /* entries of the archive, without "." and deletions */
	uint64_t patched; /* those of them with only the changed blocks of a file */
	uint64_t deleted; /* deletions in the archive */
	uint64_t bytes;	  /* of file data in the archive */
	uint64_t checked; /* files read only to see whether they changed */
	uint64_t sockets; /* left out */
	uint64_t unsure;  /* vanished or replaced while being read; left to the next pass */
};

/* The names of the extended attributes above. */
#define DM_PACK_PREFIX "docker-migrate."
#define DM_PACK_WHITEOUT "docker-migrate.whiteout"
#define DM_PACK_OPAQUE "docker-migrate.opaque"
#define DM_PACK_DELETED "docker-migrate.deleted"
#define DM_PACK_PATCH "docker-migrate.patch"
#define DM_PACK_PATH "docker-migrate.path"

/*
 * Called with the archive's bytes, in order. Returns 0; -1 with err.
 */
typedef int dm_pack_write_fn(void *ctx, const void *bytes, size_t len, struct dm_err *err);

/*
 * Read the tree below the folder root_fd, which stays the caller's, and give write the archive of
 * what differs from old, or of everything when old is NULL. The container may go on changing the
 * tree unless opts->frozen is set. *now becomes what the target has once it has applied the
 * archive; it is the caller's, to be freed with dm_manifest_free().
 *
 * A file is written back to disk before it is read, so that a store through a shared mapping shows
 * in its times from then on. A frozen pass does not do that: what it leaves in *now may only serve
 * as old while the container stays frozen. What changed in the last 0.2 s before it was read is
 * taken for changed in the next pass; of its content only changed blocks go then.
 *
 * Returns 0 with *stats; -1 with err (DM_UNFIT: a file that cannot be carried, named) and *now
 * NULL. After a failure the archive is without its end.
 */
int dm_pack_tree(const struct dm_pack_opts *opts, int root_fd, const struct dm_manifest *old,
		 struct dm_manifest **now, dm_pack_write_fn *write, void *ctx,
		 struct dm_pack_stats *stats, struct dm_err *err);

#endif
