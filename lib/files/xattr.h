/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_XATTR_H
#define DM_FILES_XATTR_H

/* Extended attributes between files and archive entries; both ways through /proc/self/fd. */

#include <archive_entry.h>

#include "base/err.h"
#include "files/tree.h"

/* The most an entry may have, in bytes of names and values; the archive's format ends at 1 MiB. */
enum { DM_XATTR_MAX = 512 << 10 };

/*
 * Add the attributes of the file fd (O_PATH will do) to e. In an upper directory, what overlayfs
 * keeps for itself becomes DM_PACK_OPAQUE or is left out. path names the file in messages.
 * Returns 0; -1 with err (DM_UNFIT: an attribute that cannot be carried).
 */
int dm_xattr_read(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		  struct dm_err *err);

/*
 * Give the file fd (O_PATH will do) the attributes of e, and take away others that it has; what
 * overlayfs and security modules keep for themselves stays. The DM_PACK_... marks are passed
 * over, but for DM_PACK_OPAQUE in an upper directory. path names the file in messages.
 * Returns 0; -1 with err (DM_BAD_STREAM: an attribute that no archive of ours has).
 */
int dm_xattr_write(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		   struct dm_err *err);

#endif
