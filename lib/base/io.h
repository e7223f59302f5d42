/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_IO_H
#define DM_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Read up to len bytes from fd into buf, going on over short reads and EINTR.
 * Returns the number of bytes read, less than len only at the end of the file; -1 with errno.
 */
ssize_t dm_read_full(int fd, void *buf, size_t len);

/*
 * Write all len bytes of buf to fd, going on over short writes and EINTR.
 * Returns 0; -1 with errno.
 */
int dm_write_full(int fd, const void *buf, size_t len);

/*
 * dm_write_full() at offset off.
 */
int dm_pwrite_full(int fd, const void *buf, size_t len, off_t off);

/*
 * Read the file path below the folder dirfd (AT_FDCWD: the current one) whole, at most cap bytes.
 * Returns its bytes with a NUL after them, to be freed by the caller, and their number in *len if
 * len is not NULL; NULL with err (also when the file is larger than cap).
 */
char *dm_read_file(int dirfd, const char *path, size_t cap, size_t *len, struct dm_err *err);

/*
 * Write len bytes as the file name in the folder dirfd, mode 0600: to a temporary name, synced,
 * renamed into place, and the folder synced. name must not contain a slash.
 * Returns 0; -1 with err, and the old file, if any, is as it was.
 */
int dm_write_file(int dirfd, const char *name, const void *buf, size_t len, struct dm_err *err);

/*
 * Close stdout, so that a write that failed late (a full disk, a closed pipe) is seen.
 * Returns 0; -1 with err.
 */
int dm_close_stdout(struct dm_err *err);

/*
 * The monotonic clock, in seconds.
 */
double dm_now(void);

/*
 * The time of day, in seconds since 1970.
 */
double dm_clock(void);

#endif
