/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_META_H
#define DM_FILES_META_H

#include <archive_entry.h>
#include <time.h>

#include "base/err.h"
#include "files/tree.h"

/*
 * Give the file fd (O_PATH will do) the owner, mode and attributes of e, in the order in which
 * none undoes another: a change of owner clears set-id bits and capabilities, a change of mode
 * rewrites an access list. path names the file in messages. Returns 0; -1 with err.
 */
int dm_meta_write(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		  struct dm_err *err);

/*
 * The access and modification times of e, as utimensat(2) takes them.
 */
void dm_meta_times(struct archive_entry *e, struct timespec times[2]);

/*
 * Give the file fd (O_PATH will do) these times. Returns 0; -1 with err.
 */
int dm_meta_set_times(int fd, const char *path, const struct timespec times[2], struct dm_err *err);

#endif
