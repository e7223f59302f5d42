/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int dm_dir_open_beneath(int dirfd, const char *path, int flags, mode_t mode, bool cross)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	if (!cross)
		how.resolve |= RESOLVE_NO_XDEV;
	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return (int)fd;
}

int dm_dir_make(const char *path, struct dm_err *err)
{
	char tmp[PATH_MAX];
	struct stat st;
	size_t n = strlen(path);
	int fd;

	while (n > 1 && path[n - 1] == '/') /* or a link would be followed */
		n--;
	if (n == 0 || n >= sizeof(tmp))
		return dm_fail(err, DM_FAILURE, "make folder \"%s\": bad length", path);
	memcpy(tmp, path, n);
	tmp[n] = '\0';
	for (size_t i = 1; i <= n; i++) {
		if (tmp[i] != '/' && tmp[i] != '\0')
			continue;
		tmp[i] = '\0';
		if (mkdir(tmp, 0700) && errno != EEXIST)
			return dm_fail_errno(err, "make folder %s", tmp);
		if (i < n)
			tmp[i] = '/';
	}
	fd = open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		dm_fail_errno(err, "open folder %s", path);
		goto fail;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 077)) {
		dm_fail(err, DM_UNFIT, "folder %s: must be mode 0700 and owned by user %u", path,
			(unsigned)geteuid());
		goto fail;
	}
	return fd;

fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

static int remove_inside(int fd)
{
	struct dirent *e;
	int ret = 0, sub;
	DIR *d = fdopendir(fd);

	if (!d) {
		close(fd);
		return -1;
	}
	while (ret == 0 && (errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			ret = -1;
			break;
		}
		sub = dm_dir_open_beneath(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY, 0, false);
		if (sub < 0) {
			ret = -1;
			break;
		}
		ret = remove_inside(sub);
		if (ret == 0)
			ret = unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (!e && errno)
		ret = -1;
	sub = errno;
	closedir(d);
	errno = sub;
	return ret;
}

int dm_dir_clear(int fd, struct dm_err *err)
{
	return remove_inside(fd) ? dm_fail_errno(err, "empty folder") : 0;
}

int dm_dir_remove(int dirfd, const char *name, struct dm_err *err)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	fd = dm_dir_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, 0, false);
	if (fd < 0 || remove_inside(fd) || unlinkat(dirfd, name, AT_REMOVEDIR))
		return dm_fail_errno(err, "remove %s", name);
	return 0;
}

bool dm_dir_in_memory(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

uint64_t dm_dir_room(int fd)
{
	struct statvfs v;

	return fstatvfs(fd, &v) ? 0 : (uint64_t)v.f_bavail * v.f_frsize;
}
