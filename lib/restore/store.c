/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "memory/pagemap.h"
#include "memory/state.h"
#include "restore/level.h"
#include "restore/limits.h"

enum { LEVELS_MAX = 64 };

struct object {
	struct dm_object id;
	struct dm_level level[LEVELS_MAX];
	struct dm_run *runs; /* of the final state */
	size_t n;
	bool wanted; /* in the final state, even if without pages */
};

struct dm_store {
	int stage;
	uint64_t seed;
	uint64_t room; /* pages that may still come, beside those that are here */
	int dirs[LEVELS_MAX];
	uint32_t next_id[LEVELS_MAX];
	int levels;	   /* folders made so far */
	bool open;	   /* the newest level belongs to the round at hand */
	bool final;	   /* the round at hand is the final one */
	struct object **o; /* sorted by (kind, id) */
	size_t n;
	struct dm_object last; /* of the final state's objects */
	int file;	       /* the image whose pieces are coming */
	char file_name[DM_NAME_MAX + 1];
	uint64_t file_size;
};

struct dm_store *dm_store_new(int stage, uint64_t seed, struct dm_err *err)
{
	struct dm_store *s = calloc(1, sizeof(*s));

	if (!s) {
		dm_fail_errno(err, "allocate page store");
		return NULL;
	}
	s->stage = stage;
	s->seed = seed;
	s->room = dm_limits_pages();
	dm_limits_descriptors();
	s->file = -1;
	return s;
}

void dm_store_free(struct dm_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		for (int k = 0; k < s->levels; k++)
			dm_level_clear(&s->o[i]->level[k]);
		free(s->o[i]->runs);
		free(s->o[i]);
	}
	for (int k = 0; k < s->levels; k++)
		close(s->dirs[k]);
	if (s->file >= 0)
		close(s->file);
	free(s->o);
	free(s);
}

static int compare(struct dm_object a, struct dm_object b)
{
	if (a.kind != b.kind)
		return a.kind < b.kind ? -1 : 1;
	return a.id < b.id ? -1 : a.id > b.id;
}

static struct object *object_of(struct dm_store *s, struct dm_object id, struct dm_err *err)
{
	struct object *o, **bigger;
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = compare(s->o[mid]->id, id);

		if (c == 0)
			return s->o[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	o = calloc(1, sizeof(*o));
	bigger = realloc(s->o, (s->n + 1) * sizeof(*bigger));
	if (bigger)
		s->o = bigger;
	if (!o || !bigger) {
		dm_fail_errno(err, "allocate page store");
		free(o);
		return NULL;
	}
	o->id = id;
	for (int k = 0; k < LEVELS_MAX; k++)
		o->level[k].fd = -1;
	memmove(s->o + lo + 1, s->o + lo, (s->n - lo) * sizeof(*s->o));
	s->o[lo] = o;
	s->n++;
	return o;
}

/* The folder of the next level, with its link to the one before. */
static int make_level(struct dm_store *s, struct dm_err *err)
{
	char name[32], parent[32];
	int k = s->levels, fd;

	if (k == LEVELS_MAX)
		return dm_fail(err, DM_BAD_STREAM, "stream: more than %d rounds", LEVELS_MAX);
	snprintf(name, sizeof(name), s->final ? "images" : "level-%d", k);
	snprintf(parent, sizeof(parent), "../level-%d", k - 1);
	if (mkdirat(s->stage, name, 0700))
		return dm_fail_errno(err, "make folder %s", name);
	fd = openat(s->stage, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return dm_fail_errno(err, "open folder %s", name);
	s->dirs[s->levels++] = fd;
	s->open = true;
	if (k > 0 && symlinkat(parent, fd, "parent"))
		return dm_fail_errno(err, "link %s/parent", name);
	return 0;
}

int dm_store_round(struct dm_store *s, bool final, struct dm_err *err)
{
	bool made = s->final; /* files of the final level came before its round */

	s->final = final;
	s->open = made;
	return final && !made ? make_level(s, err) : 0;
}

static int make_image(struct dm_store *s, int k, struct dm_level *l, struct dm_err *err)
{
	char name[64];

	l->pages_id = ++s->next_id[k];
	snprintf(name, sizeof(name), "pages-%u.img", l->pages_id);
	l->fd = openat(s->dirs[k], name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return l->fd < 0 ? dm_fail_errno(err, "create %s", name) : 0;
}

/* count new pages: to the end of the newest level, which is made if the round has none yet. */
static int append(struct dm_store *s, struct object *o, uint64_t addr, uint32_t count,
		  const void *bytes, struct dm_err *err)
{
	struct dm_level *l;
	uint64_t slot;

	if (count > s->room)
		return dm_fail(err, DM_UNFIT,
			       "the stream brings far more pages than this host has memory for");
	if (!s->open && make_level(s, err))
		return -1;
	l = &o->level[s->levels - 1];
	if (l->fd < 0 && make_image(s, s->levels - 1, l, err))
		return -1;
	slot = dm_level_append(l, addr, count, err);
	s->room -= slot == UINT64_MAX ? 0 : count;
	return slot == UINT64_MAX ? -1 : dm_level_write(l, slot, count, bytes, s->seed, err);
}

/* The level that holds the page at addr, or NULL. */
static struct dm_level *locate(struct dm_store *s, struct object *o, uint64_t addr, uint64_t *slot)
{
	for (int k = 0; k < s->levels; k++)
		if (o->level[k].n && dm_level_find(&o->level[k], addr, slot))
			return &o->level[k];
	return NULL;
}

int dm_store_pages(struct dm_store *s, struct dm_object id, uint64_t addr, uint32_t count,
		   const void *bytes, struct dm_err *err)
{
	struct object *o = object_of(s, id, err);

	if (!o)
		return -1;
	while (count > 0) { /* the longest run that lies in one place, or in none */
		uint64_t slot = 0, next;
		struct dm_level *l = locate(s, o, addr, &slot);
		uint32_t n = 1;

		while (n < count && (l || n <= s->room) &&
		       locate(s, o, addr + (uint64_t)n * DM_PAGE, &next) == l &&
		       (!l || next == slot + n))
			n++;
		if (l ? dm_level_write(l, slot, n, bytes, s->seed, err)
		      : append(s, o, addr, n, bytes, err))
			return -1;
		addr += (uint64_t)n * DM_PAGE;
		count -= n;
		if (bytes)
			bytes = (const uint8_t *)bytes + (size_t)n * DM_PAGE;
	}
	return 0;
}

int dm_store_file(struct dm_store *s, const char *name, uint64_t offset, const void *bytes,
		  size_t len, struct dm_err *err)
{
	if (!s->final) {
		s->final = true;
		if (make_level(s, err))
			return -1;
	}
	if (strcmp(name, s->file_name)) {
		if (!strncmp(name, "pagemap-", 8) || !strncmp(name, "pages-", 6) ||
		    !strcmp(name, "parent"))
			return dm_fail(err, DM_BAD_STREAM, "stream: image %s must not be sent",
				       name);
		if (s->file >= 0)
			close(s->file);
		s->file = openat(s->dirs[s->levels - 1], name,
				 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s->file < 0 && errno == EEXIST)
			return dm_fail(err, DM_BAD_STREAM, "stream: image %s comes twice", name);
		if (s->file < 0)
			return dm_fail_errno(err, "create image %s", name);
		snprintf(s->file_name, sizeof(s->file_name), "%s", name);
		s->file_size = 0;
	}
	if (offset != s->file_size)
		return dm_fail(err, DM_BAD_STREAM, "stream: image %s has a gap", name);
	if (dm_write_full(s->file, bytes, len))
		return dm_fail_errno(err, "write image %s", name);
	s->file_size += len;
	return 0;
}

int dm_store_object(struct dm_store *s, struct dm_object id, const struct dm_run *runs, size_t n,
		    struct dm_err *err)
{
	struct object *o = object_of(s, id, err);
	struct dm_run *bigger;

	if (!o)
		return -1;
	if (compare(id, s->last) < 0 ||
	    (o->n && n &&
	     runs[0].addr < o->runs[o->n - 1].addr + (uint64_t)o->runs[o->n - 1].pages * DM_PAGE))
		return dm_fail(err, DM_BAD_STREAM, "stream: the final state is not in order");
	s->last = id;
	bigger = realloc(o->runs, (o->n + n + 1) * sizeof(*bigger));
	if (!bigger)
		return dm_fail_errno(err, "allocate pagemap");
	o->runs = bigger;
	o->wanted = true;
	if (n)
		memcpy(o->runs + o->n, runs, n * sizeof(*runs));
	o->n += n;
	return 0;
}

static int check_state(struct dm_store *s, const uint8_t digest[DM_DIGEST], uint64_t pages,
		       struct dm_err *err)
{
	struct dm_state *state = dm_state_new(err);
	uint8_t ours[DM_DIGEST];
	uint64_t count, slot;

	if (!state)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		struct object *o = s->o[i];

		for (size_t r = 0; r < o->n; r++)
			for (uint32_t p = 0; p < o->runs[r].pages; p++) {
				uint64_t addr = o->runs[r].addr + (uint64_t)p * DM_PAGE;
				struct dm_level *l = locate(s, o, addr, &slot);

				if (!l) {
					dm_state_free(state);
					return dm_fail(err, DM_BAD_STREAM,
						       "page %" PRIx64 " of object %" PRIu64
						       " never arrived",
						       addr, o->id.id);
				}
				dm_state_add(state, o->id, addr, l->f[slot]);
			}
	}
	count = dm_state_finish(state, ours);
	if (count != pages || memcmp(ours, digest, DM_DIGEST))
		return dm_fail(err, DM_BAD_STREAM,
			       "the memory that arrived is not the source's: digests differ");
	return 0;
}

/* Entries of one pagemap: this level's own pages, and those of the final state that lie deeper. */
struct entries {
	struct dm_buf *b;
	struct dm_run run; /* not yet written */
};

static int put_page(struct entries *e, uint64_t addr, uint32_t flags, struct dm_err *err)
{
	struct dm_run *r = &e->run;

	if (r->pages && r->flags == flags && r->addr + (uint64_t)r->pages * DM_PAGE == addr) {
		r->pages++;
		return 0;
	}
	if (r->pages && dm_pagemap_put(e->b, r, err))
		return -1;
	*r = (struct dm_run){addr, 1, flags};
	return 0;
}

/* Whether a level under k holds the page at addr. */
static bool deeper(struct object *o, int k, uint64_t addr)
{
	uint64_t slot;

	for (int i = 0; i < k; i++)
		if (o->level[i].n && dm_level_find(&o->level[i], addr, &slot))
			return true;
	return false;
}

/* Merge this level's extents with the final state's runs, in ascending order. */
static int put_entries(struct object *o, int k, struct entries *e, struct dm_err *err)
{
	struct dm_level *l = &o->level[k];
	size_t x = 0, r = 0;
	uint32_t xp = 0, rp = 0;

	while (x < l->n || r < o->n) {
		uint64_t own = x < l->n ? l->e[x].addr + (uint64_t)xp * DM_PAGE : UINT64_MAX;
		uint64_t want = r < o->n ? o->runs[r].addr + (uint64_t)rp * DM_PAGE : UINT64_MAX;

		if (own <= want) {
			if (put_page(e, own, DM_PE_PRESENT, err))
				return -1;
		} else if (deeper(o, k, want) && put_page(e, want, DM_PE_PARENT, err)) {
			return -1;
		}
		if (own <= want && ++xp == l->e[x].pages) {
			x++;
			xp = 0;
		}
		if (want <= own && ++rp == o->runs[r].pages) {
			r++;
			rp = 0;
		}
	}
	return e->run.pages ? dm_pagemap_put(e->b, &e->run, err) : 0;
}

static int write_pagemap(struct dm_store *s, struct object *o, int k, struct dm_err *err)
{
	struct dm_level *l = &o->level[k];
	char name[DM_NAME_MAX + 1];
	struct dm_buf b = {0};
	struct entries e = {.b = &b};
	struct stat st;
	int ret = -1, fd = -1;

	if (l->fd < 0 && make_image(s, k, l, err)) /* CRIU wants one, even if it is empty */
		return -1;
	dm_pagemap_file(o->id, name);
	if (fstat(l->fd, &st) || (uint64_t)st.st_size != l->slots * DM_PAGE) {
		dm_fail(err, DM_FAILURE, "pages image of %s: its size is wrong", name);
		return -1;
	}
	if (dm_pagemap_put_head(&b, l->pages_id, err) || put_entries(o, k, &e, err))
		goto out;
	fd = openat(s->dirs[k], name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dm_write_full(fd, b.data, b.len)) {
		dm_fail_errno(err, "write %s", name);
		goto out;
	}
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	dm_buf_free(&b);
	return ret;
}

int dm_store_finish(struct dm_store *s, const uint8_t digest[DM_DIGEST], uint64_t pages,
		    struct dm_err *err)
{
	if (check_state(s, digest, pages, err))
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		struct object *o = s->o[i];
		bool begun = false; /* below its first page an object has no pagemap */

		for (int k = 0; o->wanted && k < s->levels; k++) {
			begun = begun || o->level[k].n || k == s->levels - 1;
			if (begun && write_pagemap(s, o, k, err))
				return -1;
		}
	}
	return 0;
}
