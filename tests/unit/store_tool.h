/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STORE_TOOL_H
#define DM_STORE_TOOL_H

/* A page store beside a plain model of it, and the comparison of what it wrote with the model. */

#include "image_tool.h"
#include "memory/state.h"
#include "restore/store.h"

static struct dm_err err;

enum { SEED = 77, OBJECTS = 5, PAGES = 700, NONE = -1, ZEROS = 0 };

static const struct dm_object ids[OBJECTS] = {/* in the order of the final state */
					      {DM_PROCESS, 1},
					      {DM_PROCESS, 30},
					      {DM_PROCESS, 200},
					      {DM_SHMEM, 2},
					      {DM_SHMEM, UINT64_MAX}};

/* The version that the source sent last of each page; NONE: never. */
static int model[OBJECTS][PAGES];

/* Whether the round at hand sent it. */
static bool just_sent[OBJECTS][PAGES];

static inline uint64_t address(size_t o, size_t page)
{
	return (page + (page > 500 ? 1000000 : 0)) * DM_PAGE +
	       (ids[o].kind == DM_PROCESS ? UINT64_C(0x550000000000) : 0);
}

static inline void content(uint8_t *page, size_t o, size_t i, int version)
{
	memset(page, 0, DM_PAGE);
	if (version != ZEROS)
		fill(page, DM_PAGE, (uint64_t)version * 7919 + o * 1000 + i);
}

struct fixture {
	const char *path;
	int stage;
	struct dm_store *s;
};

static inline struct fixture begin(void)
{
	struct fixture x = {.path = fresh_folder()};

	x.stage = open_folder(x.path);
	x.s = dm_store_new(x.stage, SEED, &err);
	MUST(x.s);
	memset(model, 0xff, sizeof(model));
	return x;
}

static inline void end(struct fixture *x)
{
	dm_store_free(x->s);
	close(x->stage);
}

/* Send pages from..from+n-1 of object o, all of one version, in records of at most most pages. */
static inline int send(struct fixture *x, size_t o, size_t from, size_t n, int version, size_t most)
{
	static uint8_t bytes[PAGES * DM_PAGE];

	while (n > 0) {
		size_t k = n < most ? n : most;

		for (size_t i = 0; i < k; i++) {
			content(bytes + i * DM_PAGE, o, from + i, version);
			model[o][from + i] = version;
			just_sent[o][from + i] = true;
			if (i > 0 && address(o, from + i) != address(o, from + i - 1) + DM_PAGE)
				k = i; /* a hole lies between */
		}
		if (dm_store_pages(x->s, ids[o], address(o, from), (uint32_t)k,
				   version == ZEROS ? NULL : bytes, &err))
			return -1;
		from += k;
		n -= k;
	}
	return 0;
}

/* Tell the final state, in runs of the pages that are present. Returns what finish says. */
static inline int finish(struct fixture *x, bool present[OBJECTS][PAGES], int more)
{
	struct dm_state *state = dm_state_new(&err);
	static struct dm_run runs[PAGES];
	uint8_t page[DM_PAGE], digest[DM_DIGEST];
	uint64_t pages;

	MUST(state);
	for (size_t o = 0; o < OBJECTS; o++) {
		size_t n = 0;

		for (size_t i = 0; i < PAGES; i++) {
			uint64_t addr = address(o, i);

			if (!present[o][i])
				continue;
			content(page, o, i, model[o][i]);
			dm_state_add(state, ids[o], addr, dm_fingerprint_of(page, SEED));
			if (n > 0 && runs[n - 1].addr + runs[n - 1].pages * DM_PAGE == addr &&
			    pick(10))
				runs[n - 1].pages++;
			else
				runs[n++] = (struct dm_run){addr, 1, 4};
		}
		/* in two pieces, as long lists come */
		if (o == 4 && n == 0)
			continue; /* an object that has gone altogether */
		if (dm_store_object(x->s, ids[o], runs, n / 2, &err) ||
		    dm_store_object(x->s, ids[o], runs + n / 2, n - n / 2, &err)) {
			dm_state_free(state);
			return -1;
		}
	}
	pages = dm_state_finish(state, digest);
	return dm_store_finish(x->s, digest, pages + (uint64_t)(int64_t)more, &err);
}

/* Read all back from the folder of the final level. */
static inline void compare(const struct fixture *x, bool present[OBJECTS][PAGES])
{
	struct image *m = malloc(sizeof(*m));
	uint8_t want[DM_PAGE], got[DM_PAGE];
	char folder[300];

	MUST(m);
	snprintf(folder, sizeof(folder), "%s/images", x->path);
	for (size_t o = 0; o < OBJECTS; o++) {
		uint64_t told = 0, wanted = 0;

		if (!image_load(folder, ids[o], m)) {
			CHECK(o == 4);
			for (size_t i = 0; i < PAGES; i++)
				CHECK(!present[o][i]);
			continue;
		}
		for (size_t i = 0; i < m->n; i++)
			told += m->e[i].pages;
		for (size_t i = 0; i < PAGES; i++) {
			wanted += present[o][i];
			if (!present[o][i])
				continue;
			content(want, o, i, model[o][i]);
			if (!image_page(folder, ids[o], address(o, i), got))
				TEST_BAD("page %zu of object %zu is nowhere", i, o);
			else if (memcmp(want, got, DM_PAGE) != 0)
				TEST_BAD("page %zu of object %zu has other bytes", i, o);
		}
		CHECK_INT(told, wanted); /* and no others */
	}
	free(m);
}

/* Every folder and link of the chain. */
static inline void check_chain(const struct fixture *x)
{
	char link[64], name[64];
	struct stat st;
	int levels = 0;

	for (;; levels++) {
		ssize_t n;

		snprintf(name, sizeof(name), "level-%d", levels);
		if (fstatat(x->stage, name, &st, AT_SYMLINK_NOFOLLOW))
			break;
		CHECK_INT(st.st_mode, S_IFDIR | 0700);
		strcat(name, "/parent");
		n = readlinkat(x->stage, name, link, sizeof(link) - 1);
		if (levels == 0) {
			CHECK(n < 0);
			continue;
		}
		snprintf(name, sizeof(name), "../level-%d", levels - 1);
		CHECK(n > 0 && (link[n] = '\0', !strcmp(link, name)));
	}
	CHECK(fstatat(x->stage, "images", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	      st.st_mode == (S_IFDIR | 0700));
	CHECK_INT(count_names(x->path), levels + 1);
	if (levels > 0) {
		ssize_t n = readlinkat(x->stage, "images/parent", link, sizeof(link) - 1);

		snprintf(name, sizeof(name), "../level-%d", levels - 1);
		CHECK(n > 0 && (link[n] = '\0', !strcmp(link, name)));
	}
}

#endif
