/* SPDX-License-Identifier: Apache-2.0 */
#include "files/unpack.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/dir.h"
#include "files/meta.h"
#include "files/pack.h"
#include "files/put.h"
#include "files/tree.h"

/* The most that is kept of folders whose times are set at the end, in bytes. */
static const size_t folders_cap = (size_t)1 << 30;

struct dm_unpack *dm_unpack_new(int root_fd, enum dm_tree_kind kind, struct dm_err *err)
{
	struct dm_unpack *u = calloc(1, sizeof(*u));

	if (!u) {
		dm_fail_errno(err, "allocate an archive reader");
		return NULL;
	}
	u->root = root_fd;
	u->kind = kind;
	u->parent_fd = -1;
	u->folders.cap = folders_cap;
	return u;
}

void dm_unpack_free(struct dm_unpack *u)
{
	if (!u)
		return;
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	dm_buf_free(&u->folders);
	free(u);
}

const struct dm_apply_stats *dm_unpack_stats(const struct dm_unpack *u)
{
	return &u->stats;
}

/* Open the folder of u->path, and point *name at the last name. Returns 0; -1 with errno. */
static int open_parent(struct dm_unpack *u, const char **name)
{
	const char *slash = strrchr(u->path, '/');
	const char *parent = slash ? u->path : ".";
	size_t n = slash ? (size_t)(slash - u->path) : 1;

	*name = slash ? slash + 1 : u->path;
	if (u->parent_fd >= 0 && strncmp(u->parent, parent, n) == 0 && u->parent[n] == '\0')
		return 0;
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	memcpy(u->parent, parent, n);
	u->parent[n] = '\0';
	u->parent_fd = dm_tree_open(u->root, u->parent, O_PATH | O_DIRECTORY, 0);
	return u->parent_fd < 0 ? -1 : 0;
}

/* The value of a mark of ours in e, or NULL. */
static const char *find_mark(struct archive_entry *e, const char *mark, size_t *len)
{
	const char *name;
	const void *value;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, len) == ARCHIVE_OK)
		if (!strcmp(name, mark))
			return value;
	return NULL;
}

/* Remember a folder whose times are to be set at the end. */
static int remember(struct dm_unpack *u, struct archive_entry *e, struct dm_err *err)
{
	struct timespec times[2];

	dm_meta_times(e, times);
	if (dm_buf_add(&u->folders, times, sizeof(times), err) ||
	    dm_buf_add(&u->folders, u->path, strlen(u->path) + 1, err))
		return -1;
	return 0;
}

/* Apply the metadata of a folder that is there. */
static int put_folder_meta(struct dm_unpack *u, struct archive_entry *e, int at, const char *name,
			   struct dm_err *err)
{
	int fd, ret;

	fd = dm_dir_open_beneath(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, false);
	if (fd < 0)
		return dm_fail_errno(err, "open folder %s", u->path);
	ret = dm_meta_write(fd, u->path, u->kind, e, err);
	close(fd);
	return ret ? -1 : remember(u, e, err);
}

static int put_folder(struct dm_unpack *u, struct archive_entry *e, const char *name,
		      struct dm_err *err)
{
	struct stat st;

	if (mkdirat(u->parent_fd, name, 0700)) {
		if (errno != EEXIST || fstatat(u->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW))
			return dm_fail_errno(err, "create folder %s", u->path);
		if (!S_ISDIR(st.st_mode) && (dm_put_remove(u, name, err) ||
					     (mkdirat(u->parent_fd, name, 0700) &&
					      dm_fail_errno(err, "create folder %s", u->path))))
			return -1;
	}
	return put_folder_meta(u, e, u->parent_fd, name, err);
}

/* Make the entry's path another name of the file target. */
static int put_link(struct dm_unpack *u, const char *target, const char *name, struct dm_err *err)
{
	const char *target_name;
	struct stat st;
	int fd, ret = -1;

	if (!dm_tree_path_ok(target) || !strcmp(target, u->path))
		return dm_put_bad(u, "bad link", err);
	fd = dm_tree_open_parent(u->root, target, &target_name);
	if (fd < 0 || fstatat(fd, target_name, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode)) {
		dm_put_bad(u, "link to what is not there", err);
		goto out;
	}
	if (dm_put_remove(u, name, err))
		goto out;
	if (linkat(fd, target_name, u->parent_fd, name, 0)) {
		dm_fail_errno(err, "link %s", u->path);
		goto out;
	}
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Apply an entry whose folder is open. */
static int put(struct dm_unpack *u, struct archive *ar, struct archive_entry *e, const char *name,
	       struct dm_err *err)
{
	const char *patch, *target = archive_entry_hardlink(e);
	mode_t type = archive_entry_filetype(e);
	bool hides = type == AE_IFCHR && archive_entry_rdev(e) == 0 && !target;
	size_t len;

	u->stats.entries++;
	if (find_mark(e, DM_PACK_WHITEOUT, &len)) {
		if (!hides || u->kind == DM_TREE_PLAIN)
			return dm_put_bad(u, "bad whiteout", err);
		if (u->kind == DM_TREE_MERGED)
			return dm_put_remove(u, name, err);
	} else if (hides && u->kind != DM_TREE_PLAIN) {
		return dm_put_bad(u, "a whiteout that is not marked", err);
	}
	if (target)
		return put_link(u, target, name, err);
	patch = find_mark(e, DM_PACK_PATCH, &len);
	if (patch)
		return dm_put_patch(u, ar, e, name, patch, len, err);
	switch (type) {
	case AE_IFDIR:
		return put_folder(u, e, name, err);
	case AE_IFLNK:
		if (!archive_entry_symlink(e))
			break;
		return dm_put_node(u, ar, e, name, err);
	case AE_IFREG:
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return dm_put_node(u, ar, e, name, err);
	}
	return dm_put_bad(u, "not a type of file", err);
}

/* Take over the entry's path. */
static int get_path(struct dm_unpack *u, struct archive_entry *e, struct dm_err *err)
{
	const char *path = archive_entry_pathname(e), *whole;
	size_t n = path ? strlen(path) : 0, len;

	whole = find_mark(e, DM_PACK_PATH, &len);
	if (whole) {
		path = whole;
		n = strnlen(whole, len);
	}
	u->path[0] = '\0';
	if (n > 1 && path[n - 1] == '/' && archive_entry_filetype(e) == AE_IFDIR)
		n--;
	if (n == 0 || n >= sizeof(u->path))
		return dm_put_bad(u, "bad length of a path", err);
	memcpy(u->path, path, n);
	u->path[n] = '\0';
	return dm_tree_path_ok(u->path) ? 0 : dm_put_bad(u, "bad path", err);
}

static int put_entry(struct dm_unpack *u, struct archive *ar, struct archive_entry *e,
		     struct dm_err *err)
{
	const char *name;
	size_t len;
	bool deleted = find_mark(e, DM_PACK_DELETED, &len) != NULL;

	if (open_parent(u, &name)) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			return dm_fail_errno(err, "open the folder of %s", u->path);
		/* What cannot be there need not be removed. */
		return deleted ? 0 : dm_put_bad(u, "its folder is not there", err);
	}
	if (deleted) {
		u->stats.deleted++;
		return dm_put_remove(u, name, err);
	}
	return put(u, ar, e, name, err);
}

/* Apply the root's entry, which ends the archive. */
static int put_root(struct dm_unpack *u, struct archive *ar, struct archive_entry *e,
		    struct dm_unpack_end *end, struct dm_err *err)
{
	if (archive_entry_filetype(e) != AE_IFDIR || archive_entry_hardlink(e))
		return dm_put_bad(u, "the root is not a folder", err);
	if (put_folder_meta(u, e, u->root, ".", err))
		return -1;
	if (archive_read_data_skip(ar) != ARCHIVE_OK)
		return dm_fail(err, DM_BAD_STREAM, "archive: %s", archive_error_string(ar));
	end->complete = true;
	end->position = (uint64_t)archive_filter_bytes(ar, 0);
	return 0;
}

int dm_unpack_all(struct dm_unpack *u, struct archive *ar, struct dm_unpack_end *end,
		  struct dm_err *err)
{
	struct archive_entry *e = archive_entry_new();
	int r, ret = -1;

	if (!e)
		return dm_fail_errno(err, "allocate an archive entry");
	while ((r = archive_read_next_header2(ar, e)) == ARCHIVE_OK) {
		if (get_path(u, e, err))
			goto out;
		if (end->complete) {
			dm_put_bad(u, "an entry follows the root's", err);
			goto out;
		}
		if (strcmp(u->path, ".") ? put_entry(u, ar, e, err) : put_root(u, ar, e, end, err))
			goto out;
	}
	if (r != ARCHIVE_EOF) {
		dm_fail(err, DM_BAD_STREAM, "archive: %s", archive_error_string(ar));
		goto out;
	}
	ret = 0;
out:
	archive_entry_free(e);
	return ret;
}

int dm_unpack_finish(struct dm_unpack *u, struct dm_err *err)
{
	const char *p = u->folders.data, *end = p + u->folders.len;
	struct timespec times[2];
	int fd, r;

	for (; p < end; p += strlen(p) + 1) {
		memcpy(times, p, sizeof(times));
		p += sizeof(times);
		fd = dm_tree_open(u->root, p, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return dm_fail_errno(err, "open folder %s", p);
		r = dm_meta_set_times(fd, p, times, err);
		close(fd);
		if (r)
			return -1;
	}
	return 0;
}
