/* SPDX-License-Identifier: Apache-2.0 */
#include "files/put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/num.h"
#include "files/blocks.h"
#include "files/meta.h"

int dm_put_bad(const struct dm_unpack *u, const char *what, struct dm_err *err)
{
	return dm_fail(err, DM_BAD_STREAM, "archive: %s: %.500s", what, u->path);
}

/* Write the entry's data to fd, and make it size bytes long. had is its size before. */
static int write_data(struct dm_unpack *u, struct archive *ar, int fd, int64_t size, int64_t had,
		      struct dm_err *err)
{
	const void *bytes;
	int64_t off;
	size_t len;
	int r;

	while ((r = archive_read_data_block(ar, &bytes, &len, &off)) == ARCHIVE_OK) {
		if (off < 0 || off > size || (int64_t)len > size - off)
			return dm_put_bad(u, "data outside the file", err);
		if (dm_pwrite_full(fd, bytes, len, off))
			return dm_fail_errno(err, "write %s", u->path);
		if (off + (int64_t)len > had)
			had = off + (int64_t)len;
		u->stats.bytes += len;
	}
	if (r != ARCHIVE_EOF)
		return dm_fail(err, DM_BAD_STREAM, "archive: %s: %s", u->path,
			       archive_error_string(ar));
	if (had != size && ftruncate(fd, size))
		return dm_fail_errno(err, "set the size of %s", u->path);
	return 0;
}

int dm_put_remove(struct dm_unpack *u, const char *name, struct dm_err *err)
{
	if (unlinkat(u->parent_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return dm_fail_errno(err, "remove %s", u->path);
	return dm_tree_remove(u->parent_fd, name, err);
}

/* Make what e is, but not a folder. Returns a descriptor; -1 with errno. */
static int make(int fd, const char *name, struct archive_entry *e)
{
	mode_t type = archive_entry_filetype(e);
	int r;

	if (type == AE_IFREG)
		return openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (type == AE_IFLNK)
		r = symlinkat(archive_entry_symlink(e), fd, name);
	else
		r = mknodat(fd, name, type | 0600, type == AE_IFIFO ? 0 : archive_entry_rdev(e));
	return r ? -1 : openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int dm_put_node(struct dm_unpack *u, struct archive *ar, struct archive_entry *e, const char *name,
		struct dm_err *err)
{
	struct timespec times[2];
	int64_t size = archive_entry_size(e);
	int fd, ret = -1;

	fd = make(u->parent_fd, name, e);
	if (fd < 0 && errno == EEXIST) {
		if (dm_put_remove(u, name, err))
			return -1;
		fd = make(u->parent_fd, name, e);
	}
	if (fd < 0)
		return dm_fail_errno(err, "create %s", u->path);
	if (archive_entry_filetype(e) == AE_IFREG && write_data(u, ar, fd, size, 0, err))
		goto out;
	dm_meta_times(e, times);
	if (dm_meta_write(fd, u->path, u->kind, e, err) ||
	    dm_meta_set_times(fd, u->path, times, err))
		goto out;
	ret = 0;
out:
	close(fd);
	return ret;
}

/* Open the file to be changed in place, if it is the right one. */
static int open_patched(struct dm_unpack *u, const char *name, int64_t base, int64_t size,
			int64_t *had, struct dm_err *err)
{
	struct stat st;
	char proc[32];
	int fd, file = dm_dir_open_beneath(u->parent_fd, name, O_PATH | O_NOFOLLOW, 0, false);

	if (file < 0 || fstat(file, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    (st.st_size != base && st.st_size != size)) {
		dm_put_bad(u, "changes to a file that is not there", err);
		goto fail;
	}
	*had = st.st_size;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", file);
	fd = open(proc, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		dm_fail_errno(err, "open %s", u->path);
		goto fail;
	}
	close(file);
	return fd;

fail:
	if (file >= 0)
		close(file);
	return -1;
}

int dm_put_patch(struct dm_unpack *u, struct archive *ar, struct archive_entry *e, const char *name,
		 const char *value, size_t len, struct dm_err *err)
{
	int64_t size = archive_entry_size(e), had = 0;
	struct timespec times[2];
	char text[24] = "";
	uint64_t base;
	int fd, ret = -1;

	if (len < sizeof(text))
		memcpy(text, value, len);
	if (dm_num_u64(text, "", 0, DM_BLOCK_MAX_SIZE, &base, err) ||
	    archive_entry_filetype(e) != AE_IFREG)
		return dm_put_bad(u, "bad changes to a file", err);
	fd = open_patched(u, name, (int64_t)base, size, &had, err);
	if (fd < 0)
		return -1;
	dm_meta_times(e, times);
	if (write_data(u, ar, fd, size, had, err) || dm_meta_write(fd, u->path, u->kind, e, err) ||
	    dm_meta_set_times(fd, u->path, times, err))
		goto out;
	u->stats.patched++;
	ret = 0;
out:
	close(fd);
	return ret;
}
