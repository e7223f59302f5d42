/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_WALK_H
#define DM_FILES_WALK_H

#include "files/manifest.h"
#include "files/pack.h"

/*
 * Fill the fields of f that stat(2) knows, and DM_FILE_RACY and DM_FILE_WHITEOUT, from name in
 * the folder fd, or from fd itself when name is "". Symbolic links are not followed.
 * Returns 0; -1 with errno (EXDEV: another file system is mounted there).
 */
int dm_walk_stat(int fd, const char *name, bool upper, struct dm_file *f);

/*
 * List the tree below root_fd into the empty manifest m. Folders that vanish meanwhile are marked
 * DM_FILE_UNSURE (an error when frozen), sockets are left out; both are counted.
 * Returns 0; -1 with err (DM_UNFIT: a mount inside the tree, or a path that is too long).
 */
int dm_walk(const struct dm_pack_opts *opts, int root_fd, struct dm_manifest *m,
	    struct dm_pack_stats *stats, struct dm_err *err);

#endif
