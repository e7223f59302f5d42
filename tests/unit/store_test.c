/* SPDX-License-Identifier: Apache-2.0 */
/* The page store against a plain model: what arrived in rounds is read back as CRIU would. */
#include "test.h"

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

static uint64_t address(size_t o, size_t page)
{
	return (page + (page > 500 ? 1000000 : 0)) * DM_PAGE +
	       (ids[o].kind == DM_PROCESS ? UINT64_C(0x550000000000) : 0);
}

static void content(uint8_t *page, size_t o, size_t i, int version)
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

static struct fixture begin(void)
{
	struct fixture x = {.path = fresh_folder()};

	x.stage = open_folder(x.path);
	x.s = dm_store_new(x.stage, SEED, &err);
	MUST(x.s);
	memset(model, 0xff, sizeof(model));
	return x;
}

static void end(struct fixture *x)
{
	dm_store_free(x->s);
	close(x->stage);
}

/* Send pages from..from+n-1 of object o, all of one version, in records of at most most pages. */
static int send(struct fixture *x, size_t o, size_t from, size_t n, int version, size_t most)
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
static int finish(struct fixture *x, bool present[OBJECTS][PAGES], int more)
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
static void compare(const struct fixture *x, bool present[OBJECTS][PAGES])
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
static void check_chain(const struct fixture *x)
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

/* One round over all objects: runs of pages by chance, new ones, old ones, zeros. */
static void some_round(struct fixture *x, int version, int density)
{
	for (size_t o = 0; o < OBJECTS; o++)
		for (size_t at = pick((size_t)density * 4); at < PAGES;) {
			size_t n = 1 + pick(pick(4) ? 5 : 300);

			n = n < PAGES - at ? n : PAGES - at;
			REQUIRE(send(x, o, at, n, pick(5) ? version : ZEROS, 1 + pick(256)) == 0);
			at += n + pick((size_t)density * 10);
		}
}

TEST(rounds_by_chance_are_read_back)
{
	static bool present[OBJECTS][PAGES];

	for (int i = 0; i < 25; i++) {
		struct fixture x = begin();
		size_t rounds = pick(6);

		for (size_t r = 1; r <= rounds; r++) {
			REQUIRE(dm_store_round(x.s, false, &err) == 0);
			some_round(&x, (int)r, 1 + (int)(r * 3));
		}
		if (i % 2) /* images come before the round */
			REQUIRE(dm_store_file(x.s, "pstree.img", 0, "tree", 4, &err) == 0);
		REQUIRE(dm_store_round(x.s, true, &err) == 0);
		memset(just_sent, 0, sizeof(just_sent));
		some_round(&x, 100, 20);
		for (size_t o = 0; o < OBJECTS; o++)
			for (size_t k = 0; k < PAGES; k++) /* some are unmapped by now */
				present[o][k] = just_sent[o][k] ||
						(model[o][k] != NONE && pick(8) && (o != 4 || i % 3));
		if (finish(&x, present, 0)) {
			TEST_BAD("finish: %s", err.msg);
			end(&x);
			return;
		}
		compare(&x, present);
		check_chain(&x);
		end(&x);
	}
}

/* All pages that were ever sent are in the final state. */
static int finish_all(struct fixture *x, int more)
{
	static bool present[OBJECTS][PAGES];

	for (size_t o = 0; o < OBJECTS; o++)
		for (size_t i = 0; i < PAGES; i++)
			present[o][i] = model[o][i] != NONE;
	if (finish(x, present, more))
		return -1;
	compare(x, present);
	return 0;
}

/* Every way in which a run of old pages, new ones or both is rewritten: by its ends. */
TEST(rewritten_runs_stay_in_their_places)
{
	static const size_t at[] = {0, 1, 99, 100, 101, 255, 256, 257, 298, 299, 300, 301, 399, 400};
	enum { N = sizeof(at) / sizeof(*at) };

	for (size_t a = 0; a < N; a++)
		for (size_t b = a; b < N; b += 1 + pick(3)) {
			struct fixture x = begin();

			dm_store_round(x.s, false, &err);
			send(&x, 0, 0, 100, 1, 256);
			send(&x, 0, 100, 200, 1, 13); /* these join those before them */
			dm_store_round(x.s, false, &err);
			REQUIRE(send(&x, 0, at[a], at[b] - at[a] + 1, 2, 256) == 0);
			dm_store_round(x.s, false, &err);
			REQUIRE(send(&x, 0, at[b], 1, 3, 256) == 0);
			dm_store_round(x.s, true, &err);
			REQUIRE(send(&x, 0, at[a], 1, 4, 256) == 0);
			if (finish_all(&x, 0))
				TEST_BAD("%zu to %zu: %s", at[a], at[b], err.msg);
			end(&x);
		}
}

TEST(a_page_takes_room_once)
{
	struct fixture x = begin();
	uint64_t blocks = 0;
	char name[300];
	struct stat st;

	for (int r = 1; r <= 10; r++) {
		dm_store_round(x.s, false, &err);
		send(&x, 0, 0, 400, r, 256);
	}
	dm_store_round(x.s, true, &err);
	send(&x, 0, 10, 50, ZEROS, 256);
	CHECK_INT(finish_all(&x, 0), 0);
	check_chain(&x);
	for (int k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), k == 2 ? "images/pages-1.img" : "level-%d/pages-1.img", k);
		if (fstatat(x.stage, name, &st, 0) == 0)
			blocks += (uint64_t)st.st_blocks * 512;
	}
	CHECK(blocks >= 350 * DM_PAGE && blocks <= 360 * DM_PAGE);
	end(&x);
}

TEST(a_page_that_never_came_is_missed)
{
	static bool present[OBJECTS][PAGES];

	for (int i = 0; i < 4; i++) {
		struct fixture x = begin();

		memset(present, 0, sizeof(present));
		dm_store_round(x.s, false, &err);
		send(&x, 0, 5, 20, 1, 256);
		present[0][i == 0 ? 4 : i == 1 ? 25 : i == 2 ? 600 : 10] = true;
		if (i == 3)
			present[2][10] = true; /* an object that never came */
		dm_store_round(x.s, true, &err);
		CHECK_INT(finish(&x, present, 0), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		CHECK(strstr(err.msg, "never arrived"));
		CHECK(faccessat(x.stage, "images/pagemap-1.img", F_OK, 0) != 0);
		end(&x);
	}
}

TEST(another_digest_or_count_is_refused)
{
	struct fixture x = begin();

	dm_store_round(x.s, true, &err);
	send(&x, 1, 0, 3, 1, 256);
	CHECK_INT(finish_all(&x, 1), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK(strstr(err.msg, "digests differ"));
	end(&x);

	for (int i = 0; i < 3; i++) { /* the model takes another page for granted */
		x = begin();
		dm_store_round(x.s, false, &err);
		send(&x, 1, 0, 300, 1, 256);
		dm_store_round(x.s, true, &err);
		send(&x, 1, 50, 1, 2, 256);
		model[1][i == 0 ? 50 : i == 1 ? 0 : 299]++;
		CHECK_INT(finish_all(&x, 0), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		CHECK(faccessat(x.stage, "images/pagemap-30.img", F_OK, 0) != 0);
		end(&x);
	}
}

TEST(pages_of_zeros_are_checked_like_others)
{
	struct fixture x = begin();

	dm_store_round(x.s, false, &err);
	send(&x, 3, 0, 10, 1, 256);
	send(&x, 3, 100, 10, ZEROS, 256);
	dm_store_round(x.s, true, &err);
	send(&x, 3, 3, 4, ZEROS, 256);
	send(&x, 3, 105, 2, 5, 256);
	CHECK_INT(finish_all(&x, 0), 0);
	end(&x);
}

TEST(objects_without_pages_have_images)
{
	struct fixture x = begin();
	static bool present[OBJECTS][PAGES];

	memset(present, 0, sizeof(present));
	dm_store_round(x.s, true, &err);
	CHECK_INT(finish(&x, present, 0), 0);
	compare(&x, present);
	CHECK(faccessat(x.stage, "images/pagemap-1.img", F_OK, 0) == 0);
	CHECK(faccessat(x.stage, "images/pagemap-shmem-2.img", F_OK, 0) == 0);
	CHECK(faccessat(x.stage, "images/pages-4.img", F_OK, 0) == 0);
	check_chain(&x);
	end(&x);
}

TEST(pages_must_ascend_within_a_round)
{
	struct fixture x = begin();

	dm_store_round(x.s, false, &err);
	CHECK_INT(send(&x, 0, 100, 5, 1, 256), 0);
	CHECK_INT(send(&x, 0, 50, 5, 1, 256), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK(strstr(err.msg, "not in order"));
	end(&x);
}

TEST(the_final_state_must_ascend)
{
	struct dm_run run = {address(1, 5), 2, 4}, low = {address(1, 6), 1, 4};
	struct fixture x = begin();

	dm_store_round(x.s, true, &err);
	send(&x, 1, 0, 10, 1, 256);
	CHECK_INT(dm_store_object(x.s, ids[1], &run, 1, &err), 0);
	CHECK_INT(dm_store_object(x.s, ids[1], &low, 1, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_INT(dm_store_object(x.s, ids[0], &run, 1, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_INT(dm_store_object(x.s, ids[3], &run, 1, &err), 0);
	CHECK_INT(dm_store_object(x.s, ids[2], &run, 1, &err), -1);
	end(&x);
}

TEST(too_many_levels_are_refused)
{
	struct fixture x = begin();
	int i;

	for (i = 0; i < 200; i++) {
		dm_store_round(x.s, false, &err);
		if (send(&x, 0, (size_t)i, 1, 1, 256))
			break;
	}
	CHECK(i >= 60 && i < 200);
	CHECK_INT(err.code, DM_BAD_STREAM);
	end(&x);
}

TEST(images_come_in_pieces)
{
	struct fixture x = begin();
	struct stat st;
	char *p;

	CHECK_INT(dm_store_file(x.s, "a.img", 0, "one", 3, &err), 0);
	CHECK_INT(dm_store_file(x.s, "a.img", 3, " two", 4, &err), 0);
	CHECK_INT(dm_store_file(x.s, "b.img", 0, "", 0, &err), 0);
	CHECK_INT(dm_store_file(x.s, "c.img", 0, "c", 1, &err), 0);
	CHECK_INT(dm_store_file(x.s, "c.img", 2, "d", 1, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_STR(err.msg, "stream: image c.img has a gap");
	CHECK_INT(dm_store_file(x.s, "c.img", 0, "d", 1, &err), -1);
	CHECK_INT(dm_store_file(x.s, "d.img", 1, "d", 1, &err), -1);
	p = take_all(openat(x.stage, "images/a.img", O_RDONLY), NULL);
	CHECK_STR(p, "one two");
	free(p);
	CHECK(fstatat(x.stage, "images/b.img", &st, 0) == 0 && st.st_size == 0 &&
	      (st.st_mode & 0777) == 0600);
	CHECK_INT(dm_store_file(x.s, "a.img", 0, "again", 5, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	end(&x);
}

TEST(images_of_memory_are_not_taken_from_the_stream)
{
	static const char *const bad[] = {"pagemap-1.img", "pagemap-shmem-1.img", "pages-1.img",
					  "pages-", "parent", "pagemap-x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture x = begin();

		CHECK_INT(dm_store_file(x.s, bad[i], 0, "x", 1, &err), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		end(&x);
	}
}
