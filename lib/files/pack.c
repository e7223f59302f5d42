/* SPDX-License-Identifier: Apache-2.0 */
#include "files/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "files/content.h"
#include "files/tree.h"
#include "files/walk.h"

/* The path of entry i of m. */
static int path_of(const struct dm_manifest *m, uint32_t i, char path[DM_TREE_PATH_MAX],
		   struct dm_err *err)
{
	if (dm_manifest_path(m, i, path, DM_TREE_PATH_MAX) == 0)
		return 0;
	return dm_fail(err, DM_UNFIT, "...%.200s: the path is longer than %d bytes", path,
		       DM_TREE_PATH_MAX - 1);
}

/*
 * Entry i could not be read as what it was listed as. The next pass will see it as changed; the
 * other names of the file too, unless one of them can still be read.
 */
static int unsure(struct dm_pack *p, uint32_t i, const char *path, struct dm_err *err)
{
	struct dm_file *f = &p->now->file[i];
	uint32_t first = p->diff.first[i];

	if (p->opts->frozen)
		return dm_fail(err, DM_FAILURE, "read %s: it changed while frozen", path);
	if (!(f->flags & DM_FILE_UNSURE))
		p->stats->unsure++;
	f->flags |= DM_FILE_UNSURE;
	f->flags &= ~(uint32_t)DM_FILE_SUMS;
	if (first != DM_FILE_NONE)
		p->diff.todo[first] |= DM_DIFF_SEND;
	return 0;
}

/*
 * Open entry i and bring its stat up to date. Returns an O_PATH descriptor; -2 when it is not
 * there any more as it was; -1 with err.
 */
static int open_entry(struct dm_pack *p, uint32_t i, const char *path, struct dm_err *err)
{
	struct dm_file *f = &p->now->file[i], was = *f;
	int fd = dm_tree_open(p->root, path, O_PATH, 0);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return -2;
	if (fd < 0)
		return dm_fail_errno(err, "open %s", path);
	if (dm_walk_stat(fd, "", p->opts->upper, f)) {
		dm_fail_errno(err, "stat %s", path);
		close(fd);
		return -1;
	}
	if (f->dev != was.dev || f->ino != was.ino || (f->mode & S_IFMT) != (was.mode & S_IFMT) ||
	    f->rdev != was.rdev ||
	    (p->opts->frozen && (f->ctime != was.ctime || f->ctime_ns != was.ctime_ns))) {
		*f = was;
		close(fd);
		return -2;
	}
	return fd;
}

/* Send a folder, link, device or pipe. Returns a DM_CONTENT_...; -1 with err. */
static int send_node(struct dm_pack *p, uint32_t i, int fd, const char *path, struct dm_err *err)
{
	struct archive_entry *e = dm_content_begin(p, i, fd, path, err);
	char target[PATH_MAX];
	ssize_t n;

	if (!e)
		return -1;
	if (S_ISLNK(p->now->file[i].mode)) {
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			return dm_fail_errno(err, "read the link %s", path);
		target[n] = '\0';
		archive_entry_copy_symlink(e, target);
	}
	if (dm_emit_header(p->emit, err))
		return -1;
	p->stats->sent++;
	return DM_CONTENT_SENT;
}

static int send_whiteout(struct dm_pack *p, uint32_t i, const char *path, struct dm_err *err)
{
	dm_emit_begin(p->emit, path, &p->now->file[i]);
	dm_emit_mark(p->emit, DM_PACK_WHITEOUT, "y");
	if (dm_emit_header(p->emit, err))
		return -1;
	p->stats->sent++;
	return DM_CONTENT_SENT;
}

/* Send entry i as another name of entry to, which has been sent. */
static int send_link(struct dm_pack *p, uint32_t i, uint32_t to, const char *path,
		     struct dm_err *err)
{
	struct dm_file *f = &p->now->file[i], copy = p->now->file[to];
	char target[DM_TREE_PATH_MAX];
	struct archive_entry *e;

	if (path_of(p->now, to, target, err))
		return -1;
	copy.parent = f->parent;
	copy.name = f->name;
	copy.flags |= DM_FILE_LINKED;
	p->now->file[to].flags |= DM_FILE_LINKED;
	*f = copy;
	copy.mode = S_IFREG | (copy.mode & 07777);
	copy.size = 0;
	e = dm_emit_begin(p->emit, path, &copy);
	archive_entry_copy_hardlink(e, target);
	if (dm_emit_header(p->emit, err))
		return -1;
	p->stats->sent++;
	return DM_CONTENT_SENT;
}

static int send_any(struct dm_pack *p, uint32_t i, const char *path, struct dm_err *err)
{
	uint32_t first = p->diff.first[i], mode = p->now->file[i].mode;
	int fd, ret;

	if (p->now->file[i].flags & DM_FILE_WHITEOUT)
		return send_whiteout(p, i, path, err);
	if (first != DM_FILE_NONE && p->diff.sent[first] != DM_FILE_NONE)
		return send_link(p, i, p->diff.sent[first], path, err);
	fd = open_entry(p, i, path, err);
	if (fd < 0)
		return fd == -2 ? DM_CONTENT_GONE : -1;
	ret = S_ISREG(mode) ? dm_content_send(p, i, fd, path, err) : send_node(p, i, fd, path, err);
	close(fd);
	return ret;
}

/* Send entry i if what it holds differs from what the target has. */
static int send_entry(struct dm_pack *p, uint32_t i, struct dm_err *err)
{
	uint32_t first = p->diff.first[i], parent = p->now->file[i].parent;
	unsigned char *todo = p->diff.todo;
	bool is_dir = S_ISDIR(p->now->file[i].mode);
	char path[DM_TREE_PATH_MAX];
	int ret;

	if (path_of(p->now, i, path, err))
		return -1;
	ret = todo[parent] & DM_DIFF_THERE ? send_any(p, i, path, err) : DM_CONTENT_GONE;
	if (ret < 0)
		return -1;
	if (ret == DM_CONTENT_GONE)
		return unsure(p, i, path, err);
	if (ret == DM_CONTENT_SAME)
		return 0;
	if (first != DM_FILE_NONE) {
		todo[first] |= DM_DIFF_SEND; /* all names, if only this one's content told */
		if (p->diff.sent[first] == DM_FILE_NONE)
			p->diff.sent[first] = i;
	}
	if (!is_dir || !(todo[i] & DM_DIFF_THERE))
		todo[parent] |= DM_DIFF_TOUCH;
	if (is_dir)
		todo[i] |= DM_DIFF_THERE;
	return 0;
}

/* Send the deletion of the entries of m whose numbers are in list. */
static int send_deletions(struct dm_pack *p, const struct dm_manifest *m, const struct dm_buf *list,
			  struct dm_err *err)
{
	const uint32_t *i = (const uint32_t *)(const void *)list->data;
	struct dm_file none = {.mode = S_IFREG};
	char path[DM_TREE_PATH_MAX];

	for (size_t k = 0; k < list->len / sizeof(*i); k++) {
		if (path_of(m, i[k], path, err))
			return -1;
		dm_emit_begin(p->emit, path, &none);
		dm_emit_mark(p->emit, DM_PACK_DELETED, "y");
		if (dm_emit_header(p->emit, err))
			return -1;
		p->stats->deleted++;
	}
	return 0;
}

/* Send the root, which also says that the archive is complete. */
static int send_root(struct dm_pack *p, struct dm_err *err)
{
	int fd = open_entry(p, 0, ".", err), ret;

	if (fd == -2)
		return dm_fail(err, DM_FAILURE, "the tree's root is gone");
	if (fd < 0)
		return -1;
	ret = dm_content_begin(p, 0, fd, ".", err) ? dm_emit_header(p->emit, err) : -1;
	close(fd);
	return ret;
}

static int send_all(struct dm_pack *p, struct dm_err *err)
{
	const unsigned char *todo = p->diff.todo;
	uint32_t n = p->now->count, first;

	if (send_deletions(p, p->old, &p->diff.gone, err) ||
	    send_deletions(p, p->now, &p->diff.cleared, err))
		return -1;
	for (uint32_t i = 1; i < n; i++) {
		first = p->diff.first[i];
		if (todo[i] & (DM_DIFF_SEND | DM_DIFF_CHECK) ||
		    (first != DM_FILE_NONE && todo[first] & DM_DIFF_SEND)) {
			if (send_entry(p, i, err))
				return -1;
		} else if (dm_content_keep(p, i, err)) {
			return -1;
		}
	}
	for (uint32_t i = 1; i < n; i++)
		if (todo[i] & DM_DIFF_TOUCH && !(todo[i] & DM_DIFF_SEND) && send_entry(p, i, err))
			return -1;
	if (send_root(p, err))
		return -1;
	return dm_emit_end(p->emit, err);
}

/* Whether the tree is in memory only, where stores through mappings never move a file's times. */
static bool in_memory(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 &&
	       (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC || s.f_type == HUGETLBFS_MAGIC);
}

int dm_pack_tree(const struct dm_pack_opts *opts, int root_fd, const struct dm_manifest *old,
		 struct dm_manifest **now, dm_pack_write_fn *write, void *ctx,
		 struct dm_pack_stats *stats, struct dm_err *err)
{
	struct dm_pack p = {.opts = opts, .root = root_fd, .old = old, .stats = stats};
	int ret = -1;

	*now = NULL;
	*stats = (struct dm_pack_stats){0};
	p.now = dm_manifest_new(err);
	if (!p.now)
		return -1;
	if (old)
		p.now->seed = old->seed;
	if (dm_walk(opts, root_fd, p.now, stats, err) ||
	    dm_diff(opts, opts->content || in_memory(root_fd), old, p.now, &p.diff, err))
		goto out;
	p.emit = dm_emit_new(write, ctx, err);
	p.blocks = dm_blocks_new(p.now->seed, err);
	if (!p.emit || !p.blocks || send_all(&p, err))
		goto out;
	*now = p.now;
	p.now = NULL;
	ret = 0;
out:
	dm_emit_free(p.emit);
	dm_blocks_free(p.blocks);
	dm_diff_free(&p.diff);
	dm_manifest_free(p.now);
	return ret;
}
