/* SPDX-License-Identifier: Apache-2.0 */
/* The page store against a plain model: what arrived in rounds is read back as CRIU would. */
#include "test.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "base/io.h"
#include "store_tool.h"

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
				present[o][k] = just_sent[o][k] || (model[o][k] != NONE &&
								    pick(8) && (o != 4 || i % 3));
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
	static const size_t at[] = {0,	 1,   99,  100, 101, 255, 256,
				    257, 298, 299, 300, 301, 399, 400};
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
		snprintf(name, sizeof(name), k == 2 ? "images/pages-1.img" : "level-%d/pages-1.img",
			 k);
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

TEST(more_objects_than_a_shell_allows_descriptors)
{
	struct rlimit before, few;
	struct fixture x;
	int i, failed = 0;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
	if (before.rlim_max < 1000)
		SKIP("only few descriptors are allowed");
	few = (struct rlimit){256, before.rlim_max};
	REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
	x = begin();
	dm_store_round(x.s, false, &err);
	for (i = 1; i <= 700 && !failed; i++)
		failed = dm_store_pages(x.s, (struct dm_object){DM_PROCESS, (uint64_t)i}, 0, 1,
					NULL, &err);
	if (failed)
		TEST_BAD("object %d: %s", i, err.msg);
	end(&x);
	setrlimit(RLIMIT_NOFILE, &before);
}

/* A record of a few bytes must not make the store take all memory, or all time. */
TEST(pages_of_zeros_without_end_are_refused)
{
	struct fixture x = begin();
	struct sysinfo host;
	double start = dm_now();

	REQUIRE(sysinfo(&host) == 0);
	if ((host.totalram + host.totalswap) / DM_PAGE * host.mem_unit > UINT32_MAX / 8)
		SKIP("this host has memory for that many");
	dm_store_round(x.s, false, &err);
	CHECK_INT(dm_store_pages(x.s, ids[0], 0, 1000, NULL, &err), 0);
	CHECK_INT(dm_store_pages(x.s, ids[0], 0, 1001, NULL, &err), 0);
	CHECK_INT(dm_store_pages(x.s, ids[0], 0, UINT32_MAX, NULL, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_INT(dm_store_pages(x.s, ids[1], 0, UINT32_MAX, NULL, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK(dm_now() - start < 20);
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
	static const char *const bad[] = {"pagemap-1.img", "pagemap-shmem-1.img",
					  "pages-1.img",   "pages-",
					  "parent",	   "pagemap-x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture x = begin();

		CHECK_INT(dm_store_file(x.s, bad[i], 0, "x", 1, &err), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		end(&x);
	}
}
