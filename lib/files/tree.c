/* SPDX-License-Identifier: Apache-2.0 */
#include "files/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/dir.h"

enum { PIECE = PATH_MAX - 1 }; /* what one system call takes, without the NUL */

static bool name_ok(const char *name, size_t n)
{
	return n > 0 && n <= NAME_MAX && !(n == 1 && name[0] == '.') &&
	       !(n == 2 && name[0] == '.' && name[1] == '.');
}

bool dm_tree_path_ok(const char *path)
{
	const char *end;

	if (!strcmp(path, "."))
		return true;
	if (strlen(path) >= DM_TREE_PATH_MAX)
		return false;
	for (;; path = end + 1) {
		end = strchrnul(path, '/');
		if (!name_ok(path, (size_t)(end - path)))
			return false;
		if (*end == '\0')
			return true;
	}
}

/* Open n bytes of path below dirfd, which is closed unless it is root. */
static int step(int root, int dirfd, const char *path, size_t n, int flags, mode_t mode)
{
	char piece[PIECE + 1];
	int fd, e;

	memcpy(piece, path, n);
	piece[n] = '\0';
	fd = dm_dir_open_beneath(dirfd, piece, flags | O_NOFOLLOW, mode, false);
	e = errno;
	if (dirfd != root)
		close(dirfd);
	errno = e;
	return fd;
}

int dm_tree_open(int root, const char *path, int flags, mode_t mode)
{
	int fd = root;
	size_t n;

	while ((n = strlen(path)) > PIECE) {
		n = PIECE;
		while (n > 0 && path[n] != '/')
			n--;
		if (n == 0) {
			if (fd != root)
				close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = step(root, fd, path, n, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return -1;
		path += n + 1;
	}
	return step(root, fd, path, n, flags, mode);
}

int dm_tree_open_parent(int root, const char *path, const char **name)
{
	char parent[DM_TREE_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (!slash)
		return dm_tree_open(root, ".", O_PATH | O_DIRECTORY, 0);
	if (n >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, n);
	parent[n] = '\0';
	return dm_tree_open(root, parent, O_PATH | O_DIRECTORY, 0);
}

/*
 * Remove the files in the folder path. Returns 1 at the first folder in it, whose name is then
 * appended to path; 0 when the folder is empty; -1 with errno.
 */
static int empty(int root, struct dm_buf *path)
{
	struct dm_err why;
	struct dirent *e;
	int fd, ret = 0, saved;
	DIR *d;

	fd = dm_tree_open(root, path->data, O_RDONLY | O_DIRECTORY, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (ret == 0 && (errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR) {
			ret = -1;
			break;
		}
		path->data[path->len - 1] = '/'; /* was the NUL */
		ret = dm_buf_add(path, e->d_name, strlen(e->d_name) + 1, &why) ? -1 : 1;
	}
	if (ret == 0 && errno)
		ret = -1;
	saved = errno;
	closedir(d);
	errno = saved;
	return ret;
}

/* Remove the empty folder path and cut its name off path. Returns 0; -1 with errno. */
static int remove_folder(int root, struct dm_buf *path)
{
	char *slash = memrchr(path->data, '/', path->len);
	const char *name = slash ? slash + 1 : path->data;
	int fd, ret, saved;

	if (slash)
		*slash = '\0';
	fd = dm_tree_open(root, slash ? path->data : ".", O_PATH | O_DIRECTORY, 0);
	ret = fd < 0 ? -1 : unlinkat(fd, name, AT_REMOVEDIR);
	saved = errno;
	if (fd >= 0)
		close(fd);
	if (slash && ret < 0)
		*slash = '/'; /* for the message */
	else if (slash)
		path->len = (size_t)(slash - path->data) + 1;
	errno = saved;
	return ret;
}

int dm_tree_remove(int root, const char *path, struct dm_err *err)
{
	struct dm_buf at = {0};
	const char *name;
	size_t top = strlen(path) + 1;
	bool last;
	int fd, ret, saved;

	fd = dm_tree_open_parent(root, path, &name);
	ret = fd < 0 ? -1 : unlinkat(fd, name, 0);
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	if (ret == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return dm_fail_errno(err, "remove %s", path);
	if (dm_buf_add(&at, path, top, err))
		goto fail;
	do {
		while ((ret = empty(root, &at)) > 0)
			;
		last = at.len == top;
		if (ret < 0 || remove_folder(root, &at)) {
			dm_fail_errno(err, "remove %s", at.data);
			goto fail;
		}
	} while (!last);
	dm_buf_free(&at);
	return 0;

fail:
	dm_buf_free(&at);
	return -1;
}
