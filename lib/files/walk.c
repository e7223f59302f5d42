/* SPDX-License-Identifier: Apache-2.0 */
#include "files/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "files/tree.h"

/*
 * A file's times move in steps: a tick of the kernel (up to 10 ms), whole seconds in some file
 * systems. They also move when a write begins, and direct I/O may go on for a while after that.
 * So a change in the last MARGIN_NS before the look is one after which another may not show.
 */
static const int64_t MARGIN_NS = 200 * 1000000LL;
static const int64_t MARGIN_COARSE_NS = 2 * 1000000000LL;

static bool racy(const struct dm_file *f)
{
	int64_t margin = f->ctime_ns ? MARGIN_NS : MARGIN_COARSE_NS;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (f->ctime < now.tv_sec - 10)
		return false;
	if (f->ctime > now.tv_sec)
		return true;
	return (now.tv_sec - f->ctime) * 1000000000LL + now.tv_nsec - f->ctime_ns < margin;
}

int dm_walk_stat(int fd, const char *name, bool upper, struct dm_file *f)
{
	struct statx st;

	if (statx(fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS, &st))
		return -1;
	if (*name && st.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
		errno = EXDEV;
		return -1;
	}
	f->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	f->ino = st.stx_ino;
	f->mode = st.stx_mode;
	f->uid = st.stx_uid;
	f->gid = st.stx_gid;
	f->nlink = st.stx_nlink;
	f->rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	f->size = st.stx_size;
	f->mtime = st.stx_mtime.tv_sec;
	f->mtime_ns = st.stx_mtime.tv_nsec;
	f->ctime = st.stx_ctime.tv_sec;
	f->ctime_ns = st.stx_ctime.tv_nsec;
	f->flags &= ~(uint32_t)(DM_FILE_RACY | DM_FILE_WHITEOUT);
	if (racy(f))
		f->flags |= DM_FILE_RACY;
	if (upper && S_ISCHR(f->mode) && f->rdev == 0)
		f->flags |= DM_FILE_WHITEOUT;
	return 0;
}

/* State of a walk. */
struct walk {
	const struct dm_pack_opts *opts;
	int root;
	struct dm_manifest *m;
	struct dm_pack_stats *stats;
	struct dm_buf names;	     /* of one folder, NUL-terminated */
	struct dm_buf order;	     /* pointers to them, sorted */
	char path[DM_TREE_PATH_MAX]; /* of that folder */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Gather the sorted names in the folder d. Returns 0; -1 with err. */
static int list(struct walk *w, DIR *d, struct dm_err *err)
{
	size_t n = 0, at = 0;
	struct dirent *e;
	const char **order;

	w->names.len = w->order.len = 0;
	while ((errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (dm_buf_add(&w->names, e->d_name, strlen(e->d_name) + 1, err))
			return -1;
		n++;
	}
	if (errno)
		return dm_fail_errno(err, "list %s", w->path);
	if (!dm_buf_room(&w->order, n * sizeof(*order), err))
		return -1;
	order = (const char **)(void *)w->order.data;
	for (size_t i = 0; i < n; i++) {
		order[i] = w->names.data + at;
		at += strlen(order[i]) + 1;
	}
	qsort(order, n, sizeof(*order), by_name);
	w->order.len = n * sizeof(*order);
	return 0;
}

/* Add name in the folder fd, entry parent, to the manifest. */
static int add(struct walk *w, int fd, uint32_t parent, const char *name, struct dm_err *err)
{
	struct dm_file f = {0}, *at;
	uint32_t i;

	if (dm_walk_stat(fd, name, w->opts->upper, &f)) {
		if (errno == EXDEV)
			return dm_fail(err, DM_UNFIT, "%s/%s: something is mounted there", w->path,
				       name);
		if (errno == ENOENT && !w->opts->frozen)
			return 0; /* it went while the folder was listed */
		return dm_fail_errno(err, "stat %s/%s", w->path, name);
	}
	if (S_ISSOCK(f.mode)) {
		w->stats->sockets++;
		return 0;
	}
	i = dm_manifest_add(w->m, parent, name, err);
	if (i == DM_FILE_NONE)
		return -1;
	at = &w->m->file[i];
	f.parent = parent;
	f.name = at->name;
	*at = f;
	return 0;
}

/* Whether fd is the folder that f tells of. */
static bool is_same(int fd, const struct dm_file *f)
{
	struct dm_file now = {0};

	return dm_walk_stat(fd, "", false, &now) == 0 && now.dev == f->dev && now.ino == f->ino;
}

/* List the folder that is entry i. */
static int folder(struct walk *w, uint32_t i, struct dm_err *err)
{
	struct dm_file *f = &w->m->file[i];
	const char **order;
	DIR *d = NULL;
	char y;
	int fd, ret = -1;

	if (dm_manifest_path(w->m, i, w->path, sizeof(w->path)))
		return dm_fail(err, DM_UNFIT, "...%.200s: the path is longer than %d bytes",
			       w->path, DM_TREE_PATH_MAX - 1);
	fd = dm_tree_open(w->root, w->path, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
	if (fd < 0 && errno == EPERM)
		fd = dm_tree_open(w->root, w->path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == EXDEV)
		return dm_fail(err, DM_UNFIT, "%s: something is mounted there", w->path);
	if (fd < 0 ? errno == ENOENT || errno == ENOTDIR || errno == ELOOP : !is_same(fd, f)) {
		if (w->opts->frozen) {
			dm_fail(err, DM_FAILURE, "list %s: it changed while frozen", w->path);
			goto out;
		}
		f->flags |= DM_FILE_UNSURE;
		w->stats->unsure++;
		ret = 0;
		goto out;
	}
	if (fd >= 0)
		d = fdopendir(fd);
	if (!d) {
		dm_fail_errno(err, "open folder %s", w->path);
		goto out;
	}
	if (w->opts->upper && fgetxattr(fd, "trusted.overlay.opaque", &y, 1) == 1 && y == 'y')
		f->flags |= DM_FILE_OPAQUE;
	if (list(w, d, err))
		goto out;
	order = (const char **)(void *)w->order.data;
	for (size_t k = 0; k < w->order.len / sizeof(*order); k++)
		if (add(w, fd, i, order[k], err))
			goto out;
	ret = 0;
out:
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return ret;
}

int dm_walk(const struct dm_pack_opts *opts, int root_fd, struct dm_manifest *m,
	    struct dm_pack_stats *stats, struct dm_err *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	int ret = -1;

	if (!w)
		return dm_fail_errno(err, "allocate a walk");
	w->opts = opts;
	w->root = root_fd;
	w->m = m;
	w->stats = stats;
	if (dm_manifest_add(m, 0, ".", err) == DM_FILE_NONE)
		goto out;
	if (dm_walk_stat(root_fd, "", opts->upper, &m->file[0])) {
		dm_fail_errno(err, "stat the tree's root");
		goto out;
	}
	if (!S_ISDIR(m->file[0].mode)) {
		dm_fail(err, DM_FAILURE, "the tree's root is not a folder");
		goto out;
	}
	for (uint32_t i = 0; i < m->count; i++)
		if (S_ISDIR(m->file[i].mode) && folder(w, i, err))
			goto out;
	stats->entries = m->count;
	ret = 0;
out:
	dm_buf_free(&w->names);
	dm_buf_free(&w->order);
	free(w);
	return ret;
}
