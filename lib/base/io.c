/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ssize_t dm_read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int dm_write_full(int fd, const void *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf = (const char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

int dm_pwrite_full(int fd, const void *buf, size_t len, off_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, buf, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf = (const char *)buf + n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

char *dm_read_file(int dirfd, const char *path, size_t cap, size_t *len, struct dm_err *err)
{
	size_t most = cap + 1, size = most < 4096 ? most : 4096, used = 0;
	char *buf = NULL, *bigger;
	ssize_t n;
	int fd;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		dm_fail_errno(err, "open %s", path);
		return NULL;
	}
	for (;;) {
		bigger = realloc(buf, size + 1);
		if (!bigger) {
			dm_fail_errno(err, "read %s", path);
			goto fail;
		}
		buf = bigger;
		n = dm_read_full(fd, buf + used, size - used);
		if (n < 0) {
			dm_fail_errno(err, "read %s", path);
			goto fail;
		}
		used += (size_t)n;
		if (used < size)
			break;
		if (size == most) {
			dm_fail(err, DM_FAILURE, "read %s: larger than %zu bytes", path, cap);
			goto fail;
		}
		size = size * 2 < most ? size * 2 : most;
	}
	close(fd);
	buf[used] = '\0';
	if (len)
		*len = used;
	return buf;

fail:
	close(fd);
	free(buf);
	return NULL;
}

int dm_write_file(int dirfd, const char *name, const void *buf, size_t len, struct dm_err *err)
{
	char tmp[300];
	int fd;

	snprintf(tmp, sizeof(tmp), ".%s.%ld", name, (long)getpid());
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return dm_fail_errno(err, "create %s", name);
	if (dm_write_full(fd, buf, len) || fsync(fd)) {
		dm_fail_errno(err, "write %s", name);
		close(fd);
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	close(fd);
	if (renameat(dirfd, tmp, dirfd, name) || fsync(dirfd)) {
		dm_fail_errno(err, "write %s", name);
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	return 0;
}

int dm_close_stdout(struct dm_err *err)
{
	bool failed = ferror(stdout); /* before now: errno has gone */

	if (fflush(stdout) || close(STDOUT_FILENO))
		return dm_fail_errno(err, "write standard output");
	return failed ? dm_fail(err, DM_FAILURE, "write standard output: not all was taken") : 0;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double dm_now(void)
{
	return seconds(CLOCK_MONOTONIC);
}

double dm_clock(void)
{
	return seconds(CLOCK_REALTIME);
}
