/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_DIR_H
#define DM_BASE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Open path, which is relative, below the folder dirfd: never out of it (no "..", no absolute
 * names), never through a symbolic link, never into another mount unless cross is true.
 * flags and mode are those of openat(2); O_CLOEXEC is added.
 * Returns a descriptor; -1 with errno (ELOOP: a symbolic link was met, EXDEV: it leads out).
 */
int dm_dir_open_beneath(int dirfd, const char *path, int flags, mode_t mode, bool cross);

/*
 * Make the folder path with its parents, each mode 0700, and open it. A folder that exists must
 * be a real folder, not a link, owned by the caller's user and closed to all others.
 * Returns a descriptor; -1 with err.
 */
int dm_dir_make(const char *path, struct dm_err *err);

/*
 * Remove the tree name below dirfd, following no link and entering no other mount. A name that
 * does not exist is no error. Returns 0; -1 with err.
 */
int dm_dir_remove(int dirfd, const char *name, struct dm_err *err);

/*
 * Remove all that is in the folder fd, in the same way, and close fd. Returns 0; -1 with err.
 */
int dm_dir_clear(int fd, struct dm_err *err);

/*
 * Whether the folder fd lies in memory (tmpfs).
 */
bool dm_dir_in_memory(int fd);

/*
 * The room left in the file system that holds the folder fd, in bytes. 0 when it cannot be told.
 */
uint64_t dm_dir_room(int fd);

#endif
