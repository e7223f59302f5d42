/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/final.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "memory/maps.h"
#include "memory/pagemap.h"
#include "memory/state.h"

enum { PAGEMAP_MAX = 1 << 30 };

/* One object of the dump. */
struct part {
	struct dm_object id;
	struct dm_pagemap map;
};

struct final {
	int images;
	const struct dm_tasks *tasks;
	struct dm_writer *w;
	struct dm_sender *sender;
	struct part *parts; /* sorted by (kind, id) */
	size_t n;
	uint8_t *buf; /* DM_PAGES_MAX pages */
};

static int send_file(struct final *f, const char *name, struct dm_err *err)
{
	int fd = openat(f->images, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t at = 0;
	ssize_t n = -1;

	if (fd < 0)
		return dm_fail_errno(err, "open image %s", name);
	do {
		n = dm_read_full(fd, f->buf, DM_DATA_MAX);
		if (n < 0) {
			dm_fail_errno(err, "read image %s", name);
			break;
		}
		if (n == 0 && at > 0)
			break; /* an empty file is told by one empty piece */
		if (dm_writer_file(f->w, name, at, f->buf, (size_t)n, err)) {
			n = -1;
			break;
		}
		at += (uint64_t)n;
	} while (n == DM_DATA_MAX);
	close(fd);
	return n < 0 ? -1 : 0;
}

static int add_part(struct final *f, const char *name, struct dm_object id, struct dm_err *err)
{
	struct part *bigger, p = {.id = id};
	size_t len;
	char *image;
	int ret;

	image = dm_read_file(f->images, name, PAGEMAP_MAX, &len, err);
	if (!image)
		return -1;
	ret = dm_pagemap_parse(image, len, name, &p.map, err);
	free(image);
	if (ret)
		return -1;
	bigger = realloc(f->parts, (f->n + 1) * sizeof(*bigger));
	if (!bigger) {
		dm_pagemap_free(&p.map);
		return dm_fail_errno(err, "list images");
	}
	f->parts = bigger;
	f->parts[f->n++] = p;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->id.kind != y->id.kind)
		return x->id.kind < y->id.kind ? -1 : 1;
	return x->id.id < y->id.id ? -1 : x->id.id > y->id.id;
}

/* Images other than those of memory go as they are; pagemaps are gathered. */
static int take_images(struct final *f, struct dm_err *err)
{
	int fd = openat(f->images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dm_object id;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return dm_fail_errno(err, "open folder of images");
	}
	while (ret == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !strncmp(e->d_name, "pages-", 6) ||
		    !strncmp(e->d_name, "stats-", 6))
			continue;
		if (dm_pagemap_name(e->d_name, &id))
			ret = add_part(f, e->d_name, id, err);
		else
			ret = send_file(f, e->d_name, err);
	}
	closedir(d);
	if (ret == 0 && f->n)
		qsort(f->parts, f->n, sizeof(*f->parts), by_id);
	return ret;
}

static const struct dm_task *task_of(const struct dm_tasks *tasks, struct dm_object id)
{
	for (size_t i = 0; id.kind == DM_PROCESS && i < tasks->n; i++)
		if ((uint64_t)tasks->t[i].vpid == id.id)
			return &tasks->t[i];
	return NULL;
}

/* A run of pages, from offset at of the pages image fd. */
static int send_run(struct final *f, int fd, const struct dm_run *run, uint64_t at, bool force,
		    struct dm_err *err)
{
	for (uint32_t done = 0; done < run->pages;) {
		uint32_t n = run->pages - done < DM_PAGES_MAX ? run->pages - done : DM_PAGES_MAX;
		size_t len = (size_t)n * DM_PAGE;
		ssize_t got = pread(fd, f->buf, len, (off_t)(at + (uint64_t)done * DM_PAGE));

		if (got != (ssize_t)len)
			return got < 0 ? dm_fail_errno(err, "read pages image")
				       : dm_fail(err, DM_FAILURE, "pages image: too short");
		if (dm_sender_pages(f->sender, run->addr + (uint64_t)done * DM_PAGE, f->buf, n,
				    force, err))
			return -1;
		done += n;
	}
	return 0;
}

static int check_size(int fd, const struct part *p, struct dm_err *err)
{
	uint64_t pages = 0;
	struct stat st;

	for (size_t i = 0; i < p->map.n; i++) {
		if (!(p->map.runs[i].flags & DM_PE_PRESENT))
			return dm_fail(err, DM_FAILURE,
				       "pages image of %" PRIu64 ": pages that are not in it",
				       p->id.id);
		pages += p->map.runs[i].pages;
	}
	if (fstat(fd, &st))
		return dm_fail_errno(err, "stat pages image");
	if ((uint64_t)st.st_size != pages * DM_PAGE)
		return dm_fail(err, DM_FAILURE,
			       "pages image of %" PRIu64 ": %lld bytes where %" PRIu64
			       " pages are told",
			       p->id.id, (long long)st.st_size, pages);
	return 0;
}

static int send_part(struct final *f, const struct part *p, struct dm_err *err)
{
	const struct dm_task *t = task_of(f->tasks, p->id);
	struct dm_maps maps = {0};
	char name[64];
	uint64_t at = 0;
	int fd, ret = -1;

	snprintf(name, sizeof(name), "pages-%u.img", p->map.pages_id);
	fd = openat(f->images, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return dm_fail_errno(err, "open image %s", name);
	if (check_size(fd, p, err) || (t && dm_maps_read(t->pid, &maps, err) < 0) ||
	    dm_sender_begin(f->sender, p->id, err))
		goto out;
	for (size_t i = 0; i < p->map.n; i++) {
		const struct dm_run *run = &p->map.runs[i];
		bool force = p->id.kind == DM_PROCESS &&
			     (!t || dm_maps_kind(&maps, run->addr) == DM_MAP_LAST);

		if (send_run(f, fd, run, at, force, err))
			goto out;
		at += (uint64_t)run->pages * DM_PAGE;
	}
	ret = dm_sender_finish(f->sender, err);
out:
	dm_maps_free(&maps);
	close(fd);
	return ret;
}

static void watch(void *ctx, struct dm_object o, uint64_t addr, struct dm_fingerprint p)
{
	dm_state_add(ctx, o, addr, p);
}

static int send_all(struct final *f, struct dm_state **state, uint32_t number,
		    struct dm_sender_count *count, struct dm_err *err)
{
	uint8_t digest[DM_DIGEST];
	uint64_t pages;

	if (take_images(f, err) || dm_writer_round_begin(f->w, number, err))
		return -1;
	for (size_t i = 0; i < f->n; i++)
		if (send_part(f, &f->parts[i], err))
			return -1;
	*count = dm_sender_count(f->sender);
	if (dm_writer_round_end(f->w, count->seen, count->sent, err))
		return -1;
	for (size_t i = 0; i < f->n; i++)
		if (dm_writer_object(f->w, f->parts[i].id, f->parts[i].map.runs, f->parts[i].map.n,
				     err))
			return -1;
	pages = dm_state_finish(*state, digest);
	*state = NULL;
	return dm_writer_digest(f->w, digest, pages, err);
}

int dm_final_send(int images, const struct dm_tasks *tasks, struct dm_held *held, uint64_t seed,
		  uint32_t number, struct dm_writer *w, struct dm_sender_count *count,
		  struct dm_err *err)
{
	struct final f = {.images = images, .tasks = tasks, .w = w};
	struct dm_state *state = dm_state_new(err);
	int ret = -1;

	f.sender = state ? dm_sender_new(w, held, seed, err) : NULL;
	if (!f.sender)
		goto out;
	f.buf = malloc(DM_PAGES_MAX * DM_PAGE);
	if (!f.buf) {
		dm_fail_errno(err, "allocate buffer");
		goto out;
	}
	dm_sender_set_watch(f.sender, watch, state);
	ret = send_all(&f, &state, number, count, err);
out:
	for (size_t i = 0; i < f.n; i++)
		dm_pagemap_free(&f.parts[i].map);
	free(f.parts);
	free(f.buf);
	dm_sender_free(f.sender);
	dm_state_free(state);
	return ret;
}
