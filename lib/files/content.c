/* SPDX-License-Identifier: Apache-2.0 */
#include "files/content.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/walk.h"
#include "files/xattr.h"

/* A file on its way out. */
struct content {
	struct dm_pack *p;
	uint32_t i;
	int fd;
	const char *path;
	uint64_t count;		      /* its blocks */
	const unsigned char *had;     /* the target's fingerprints, or NULL */
	uint64_t had_count, had_size; /* the target's blocks and bytes */
};

static struct dm_file *file_of(const struct content *c)
{
	return &c->p->now->file[c->i];
}

/* Where the new fingerprint of block b stands. */
static unsigned char *sum_of(const struct content *c, uint64_t b)
{
	return (unsigned char *)c->p->now->sums.data + (file_of(c)->sum + b) * DM_SUM_SIZE;
}

/* Whether the target has another block b. Behind the end of its file it has zeros. */
static bool differs(const struct content *c, uint64_t b)
{
	static const unsigned char hole[DM_SUM_SIZE];

	return memcmp(sum_of(c, b), b < c->had_count ? c->had + b * DM_SUM_SIZE : hole,
		      DM_SUM_SIZE) != 0;
}

/* Make room for the new fingerprints of entry i, which has count blocks. */
static int room(struct dm_pack *p, uint32_t i, uint64_t count, struct dm_err *err)
{
	struct dm_buf *sums = &p->now->sums;
	struct dm_file *f = &p->now->file[i];

	if (!dm_buf_room(sums, count * DM_SUM_SIZE, err))
		return -1;
	f->sum = sums->len / DM_SUM_SIZE;
	f->flags |= DM_FILE_SUMS;
	sums->len += count * DM_SUM_SIZE;
	return 0;
}

int dm_content_keep(struct dm_pack *p, uint32_t i, struct dm_err *err)
{
	struct dm_file *f = &p->now->file[i];
	const struct dm_file *o;
	uint64_t count;

	if (p->diff.old[i] == DM_FILE_NONE)
		return 0;
	o = &p->old->file[p->diff.old[i]];
	f->flags |= o->flags & DM_FILE_LINKED;
	if (!(o->flags & DM_FILE_SUMS))
		return 0;
	count = dm_block_count(o->size);
	if (room(p, i, count, err))
		return -1;
	if (count > 0)
		memcpy(p->now->sums.data + f->sum * DM_SUM_SIZE,
		       p->old->sums.data + o->sum * DM_SUM_SIZE, count * DM_SUM_SIZE);
	return 0;
}

struct archive_entry *dm_content_begin(struct dm_pack *p, uint32_t i, int file, const char *path,
				       struct dm_err *err)
{
	struct archive_entry *e = dm_emit_begin(p->emit, path, &p->now->file[i]);
	struct stat st;

	if (fstat(file, &st) == 0)
		archive_entry_set_atime(e, st.st_atim.tv_sec, st.st_atim.tv_nsec);
	if (dm_xattr_read(file, path, p->opts->upper ? DM_TREE_UPPER : DM_TREE_PLAIN, e, err))
		return NULL;
	return e;
}

/*
 * Write back what the file has in memory: from then on a store through a shared mapping faults
 * first and moves the file's times. All three flags together wait for each dirty page, as fsync
 * does, without its journal commit.
 */
static int write_back(const struct content *c, struct dm_err *err)
{
	unsigned flags =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	if (sync_file_range(c->fd, 0, 0, flags) == 0 ||
	    ((errno == EINVAL || errno == ENOSYS || errno == ESPIPE) && fsync(c->fd) == 0))
		return 0;
	return dm_fail_errno(err, "write back %s", c->path);
}

/* Find what the target has, if its blocks can be compared with those of the file. */
static void find_had(struct content *c)
{
	const struct dm_pack *p = c->p;
	const struct dm_file *f = file_of(c), *o;

	if (p->diff.old[c->i] == DM_FILE_NONE)
		return;
	o = &p->old->file[p->diff.old[c->i]];
	if (!(o->flags & DM_FILE_SUMS) || o->flags & DM_FILE_UNSURE ||
	    dm_block_size(o->size) != dm_block_size(f->size))
		return;
	c->had = (const unsigned char *)p->old->sums.data + o->sum * DM_SUM_SIZE;
	c->had_count = dm_block_count(o->size);
	c->had_size = o->size;
}

/* Whether the target's file can be changed in place: it has no other name there. */
static bool can_patch(const struct content *c)
{
	const struct dm_pack *p = c->p;

	return !(p->old->file[p->diff.old[c->i]].flags & DM_FILE_LINKED) &&
	       p->diff.first[c->i] == DM_FILE_NONE;
}

/* Read the file for its fingerprints. Counts in *n the blocks that the target has not. */
static int compare(const struct content *c, uint64_t *n, struct dm_err *err)
{
	*n = 0;
	for (uint64_t b = 0; b < c->count; b++) {
		if (dm_blocks_read(c->p->blocks, b, sum_of(c, b), NULL, NULL, err))
			return -1;
		*n += differs(c, b);
	}
	c->p->stats->checked++;
	return 0;
}

/* Add a run of data to the entry; bytes counts them. */
static void add_run(struct archive_entry *e, uint64_t from, uint64_t to, uint64_t *bytes)
{
	archive_entry_sparse_add_entry(e, (int64_t)from, (int64_t)(to - from));
	*bytes += to - from;
}

/* Say in the entry which runs of data follow: of the whole file, or of its changed blocks. */
static void map(const struct content *c, struct archive_entry *e, bool patch)
{
	uint64_t size = file_of(c)->size, bs = dm_block_size(size), bytes = 0;
	size_t n;
	const struct dm_extent *run = dm_blocks_data(c->p->blocks, &n);

	if (patch) {
		for (uint64_t b = 0; b < c->count; b++)
			if (differs(c, b))
				add_run(e, b * bs, b + 1 < c->count ? (b + 1) * bs : size, &bytes);
	} else {
		for (size_t k = 0; k < n; k++)
			add_run(e, run[k].from, run[k].to, &bytes);
	}
	if (bytes == 0 && size > 0)
		archive_entry_sparse_add_entry(e, (int64_t)size, 0); /* it is all hole */
	c->p->stats->bytes += bytes;
}

/* Write the entry and its data. The fingerprints become those of the very bytes sent. */
static int send(const struct content *c, int file, bool patch, struct dm_err *err)
{
	struct dm_pack *p = c->p;
	uint64_t size = file_of(c)->size, bs = dm_block_size(size);
	struct archive_entry *e = dm_content_begin(p, c->i, file, c->path, err);
	char text[24];

	if (!e)
		return -1;
	if (patch) {
		snprintf(text, sizeof(text), "%" PRIu64, c->had_size);
		dm_emit_mark(p->emit, DM_PACK_PATCH, text);
	}
	map(c, e, patch);
	if (archive_entry_sparse_count(e) > 0 && strlen(c->path) > 99)
		dm_emit_mark(p->emit, DM_PACK_PATH, c->path);
	if (dm_emit_header(p->emit, err))
		return -1;
	for (uint64_t b = 0; b < c->count; b++) {
		uint64_t len = b + 1 < c->count ? bs : size - b * bs;

		if (patch && !differs(c, b) ? dm_emit_hole(p->emit, len, err)
					    : dm_blocks_read(p->blocks, b, sum_of(c, b),
							     dm_emit_data, p->emit, err))
			return -1;
	}
	p->stats->sent++;
	p->stats->patched += patch;
	return 0;
}

/* Open the file for reading, without touching its access time where that is allowed. */
static int reopen(int file)
{
	char proc[32];
	int fd;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", file);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd;
}

/* See whether the file changed while it was read. */
static int check_after(const struct content *c, struct dm_err *err)
{
	struct dm_file *f = file_of(c), now = {0};

	if (dm_walk_stat(c->fd, "", false, &now))
		return dm_fail_errno(err, "stat %s", c->path);
	if (now.size == f->size && now.mtime == f->mtime && now.mtime_ns == f->mtime_ns &&
	    now.ctime == f->ctime && now.ctime_ns == f->ctime_ns)
		return 0;
	if (c->p->opts->frozen)
		return dm_fail(err, DM_FAILURE, "read %s: it changed while frozen", c->path);
	f->flags |= DM_FILE_RACY;
	return 0;
}

/* Whether entry i must be sent whatever its content is: so when it was listed, or so by now. */
static bool is_changed(const struct dm_pack *p, uint32_t i)
{
	return p->diff.todo[i] & DM_DIFF_SEND || p->diff.old[i] == DM_FILE_NONE ||
	       dm_diff_changed(&p->old->file[p->diff.old[i]], &p->now->file[i]);
}

int dm_content_send(struct dm_pack *p, uint32_t i, int file, const char *path, struct dm_err *err)
{
	struct content c = {.p = p, .i = i, .path = path};
	struct dm_file *f = &p->now->file[i];
	bool must = is_changed(p, i), patch = false;
	uint64_t changed = 0;
	int ret = -1;

	if (f->size > DM_BLOCK_MAX_SIZE)
		return dm_fail(err, DM_UNFIT, "%s: larger than %d TiB", path,
			       (int)(DM_BLOCK_MAX_SIZE >> 40));
	c.count = dm_block_count(f->size);
	c.fd = reopen(file);
	if (c.fd < 0 && errno == EAGAIN) /* somebody holds a lease on it */
		return DM_CONTENT_GONE;
	if (c.fd < 0)
		return dm_fail_errno(err, "open %s", path);
	if ((!p->opts->frozen && write_back(&c, err)) ||
	    dm_blocks_open(p->blocks, c.fd, f->size, path, err) || room(p, i, c.count, err))
		goto out;
	find_had(&c);
	if (c.had) {
		if (compare(&c, &changed, err))
			goto out;
		if (!must && changed == 0 && c.had_size == f->size) {
			f->flags |= p->old->file[p->diff.old[i]].flags & DM_FILE_LINKED;
			ret = check_after(&c, err) ? -1 : DM_CONTENT_SAME;
			goto out;
		}
		patch = (changed == 0 || changed < c.count) && can_patch(&c);
	}
	if (send(&c, file, patch, err) || check_after(&c, err))
		goto out;
	ret = DM_CONTENT_SENT;
out:
	close(c.fd);
	return ret;
}
