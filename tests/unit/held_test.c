/* SPDX-License-Identifier: Apache-2.0 */
/* The index of held pages against a plain table, saved and read back; the state's digest. */
#include "test.h"

#include <xxhash.h>

#include "base/io.h"
#include "base/le.h"
#include "memory/held.h"
#include "memory/state.h"
#include "tool.h"

static struct dm_err err;

enum { OBJECTS = 7, PAGES = 300 };

static const struct dm_object ids[OBJECTS] = {
	{DM_SHMEM, 5}, {DM_PROCESS, 7},	 {DM_PROCESS, 1}, {DM_SHMEM, 7}, {DM_PROCESS, UINT64_MAX},
	{DM_SHMEM, 0}, {DM_PROCESS, 300}};

/* What is held, page by page; 0: not held. */
static uint64_t table[OBJECTS][PAGES];

static uint64_t address(size_t page)
{
	return page * DM_PAGE + (page > PAGES / 2 ? UINT64_C(0x7f0000000000) : 0);
}

static struct dm_fingerprint fingerprint(uint64_t v)
{
	return (struct dm_fingerprint){v % 3, v / 3};
}

/* A pass over object o: each page is met one time in density, with a content by chance. */
static void pass(struct dm_held *h, size_t o, size_t density)
{
	struct dm_held_object *object = dm_held_object(h, ids[o], &err);

	MUST(object);
	dm_held_begin(object);
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t v = 1 + pick(4);

		if (pick(density))
			continue;
		CHECK_INT(dm_held_page(object, address(i), fingerprint(v), &err), table[o][i] == v);
		table[o][i] = v;
	}
	CHECK_INT(dm_held_finish(object, &err), 0);
}

/* Compare all: a pass in which each page is met as the table has it finds all it holds. */
static void compare(struct dm_held *h)
{
	for (size_t o = 0; o < OBJECTS; o++) {
		struct dm_held_object *object = dm_held_object(h, ids[o], &err);

		MUST(object);
		dm_held_begin(object);
		for (size_t i = 0; i < PAGES; i++)
			if (table[o][i])
				CHECK_INT(dm_held_page(object, address(i), fingerprint(table[o][i]),
						       &err),
					  1);
		CHECK_INT(dm_held_finish(object, &err), 0);
	}
}

TEST(passes_by_chance_agree_with_a_table)
{
	struct dm_held *h = dm_held_new(&err);

	REQUIRE(h);
	memset(table, 0, sizeof(table));
	for (int i = 0; i < 400; i++) {
		pass(h, pick(OBJECTS), 1 + pick(6));
		if (i % 50 == 0)
			compare(h);
	}
	compare(h);
	dm_held_free(h);
	dm_held_free(NULL);
}

TEST(a_pass_that_is_not_finished_counts_for_nothing)
{
	struct dm_held *h = dm_held_new(&err);
	struct dm_held_object *o;

	memset(table, 0, sizeof(table));
	pass(h, 1, 2);
	o = dm_held_object(h, ids[1], &err);
	dm_held_begin(o);
	for (size_t i = 0; i < PAGES; i++)
		dm_held_page(o, address(i), fingerprint(99), &err);
	compare(h);
	dm_held_free(h);
}

TEST(the_same_object_is_found_again)
{
	struct dm_held *h = dm_held_new(&err);
	struct dm_held_object *o[OBJECTS];

	for (size_t i = 0; i < OBJECTS; i++)
		o[i] = dm_held_object(h, ids[i], &err);
	for (size_t i = 0; i < 2000; i++)
		MUST(dm_held_object(h, (struct dm_object){DM_PROCESS, 1000 + pick(1000)}, &err));
	for (size_t i = 0; i < OBJECTS; i++) {
		CHECK(dm_held_object(h, ids[i], &err) == o[i]);
		for (size_t k = 0; k < i; k++)
			CHECK(o[i] != o[k]);
	}
	dm_held_free(h);
}

TEST(fingerprints_depend_on_every_byte_and_on_the_seed)
{
	uint8_t page[DM_PAGE];
	struct dm_fingerprint f;
	XXH128_hash_t x;

	fill(page, sizeof(page), 1);
	f = dm_fingerprint_of(page, 5);
	x = XXH3_128bits_withSeed(page, DM_PAGE, 5);
	CHECK(f.lo == x.low64 && f.hi == x.high64);
	CHECK(!dm_fingerprint_equal(f, dm_fingerprint_of(page, 6)));
	for (size_t i = 0; i < DM_PAGE; i++) {
		page[i] ^= 1;
		CHECK(!dm_fingerprint_equal(f, dm_fingerprint_of(page, 5)));
		page[i] ^= 1;
	}
	CHECK(dm_fingerprint_equal(f, dm_fingerprint_of(page, 5)));
	CHECK(!dm_fingerprint_equal((struct dm_fingerprint){1, 2}, (struct dm_fingerprint){1, 3}));
	CHECK(!dm_fingerprint_equal((struct dm_fingerprint){1, 2}, (struct dm_fingerprint){0, 2}));
}

TEST(saved_and_loaded_it_is_the_same)
{
	int dir = open_folder(fresh_folder());
	struct dm_held *h = dm_held_new(&err), *again;

	memset(table, 0, sizeof(table));
	CHECK_INT(dm_held_save(h, dir, "empty", &err), 0);
	again = dm_held_load(dir, "empty", &err);
	CHECK(again);
	dm_held_free(again);
	for (int i = 0; i < 50; i++)
		pass(h, pick(OBJECTS - 1), 3);
	CHECK_INT(dm_held_save(h, dir, "held", &err), 0);
	dm_held_free(h);
	h = dm_held_load(dir, "held", &err);
	REQUIRE(h);
	compare(h);
	for (int i = 0; i < 50; i++) /* and goes on being used */
		pass(h, pick(OBJECTS), 3);
	compare(h);
	dm_held_free(h);
	CHECK(!dm_held_load(dir, "none", &err));
	CHECK(strstr(err.msg, "none"));
	close(dir);
}

/* Load the n bytes at p as an index. */
static int loads(int dir, const void *p, size_t n)
{
	struct dm_held *h;
	int fd = openat(dir, "damaged", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	MUST(fd >= 0 && dm_write_full(fd, p, n) == 0);
	close(fd);
	err = (struct dm_err){0};
	h = dm_held_load(dir, "damaged", &err);
	if (!h)
		CHECK(err.msg[0]);
	dm_held_free(h);
	return h != NULL;
}

TEST(damage_to_the_file_is_found)
{
	int dir = open_folder(fresh_folder());
	struct dm_held *h = dm_held_new(&err);
	char *p;
	size_t n;

	memset(table, 0, sizeof(table));
	pass(h, 0, 60);
	pass(h, 1, 60);
	CHECK_INT(dm_held_save(h, dir, "held", &err), 0);
	dm_held_free(h);
	p = dm_read_file(dir, "held", 1 << 20, &n, &err);
	REQUIRE(p && n > 100);
	CHECK(loads(dir, p, n));
	for (size_t i = 0; i < n; i++) {
		if (loads(dir, p, i))
			TEST_BAD("cut at byte %zu", i);
		p[i] ^= 0x40;
		if (loads(dir, p, n))
			TEST_BAD("changed at byte %zu", i);
		p[i] ^= 0x40;
	}
	free(p);
	close(dir);
}

/* With a right checksum, but counts that lead out of the file. */
TEST(counts_that_lead_out_of_the_file_are_refused)
{
	static const uint64_t counts[] = {1, 2, UINT64_MAX, UINT64_MAX / 24, UINT64_MAX / 24 + 1};
	int dir = open_folder(fresh_folder());
	uint8_t p[17 + 8] = {DM_PROCESS};

	dm_put64(p + 17, XXH3_64bits(p, 17));
	CHECK(loads(dir, p, sizeof(p)));
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		dm_put64(p + 9, counts[i]);
		dm_put64(p + 17, XXH3_64bits(p, 17));
		CHECK(!loads(dir, p, sizeof(p)));
	}
	for (size_t n = 1; n < 17; n++) {
		dm_put64(p + n, XXH3_64bits(p, n));
		CHECK(!loads(dir, p, n + 8));
	}
	close(dir);
}

/* The digest of these pages, as state.h tells it, in one piece. */
struct met {
	struct dm_object o;
	uint64_t addr;
	struct dm_fingerprint f;
};

static void naive(const struct met *m, size_t n, uint8_t out[DM_DIGEST])
{
	uint8_t *all = malloc(n * 33 + 1);
	XXH128_canonical_t c;

	MUST(all);
	for (size_t i = 0; i < n; i++) {
		all[i * 33] = m[i].o.kind;
		dm_put64(all + i * 33 + 1, m[i].o.id);
		dm_put64(all + i * 33 + 9, m[i].addr);
		dm_put64(all + i * 33 + 17, m[i].f.lo);
		dm_put64(all + i * 33 + 25, m[i].f.hi);
	}
	XXH128_canonicalFromHash(&c, XXH3_128bits(all, n * 33));
	memcpy(out, c.digest, DM_DIGEST);
	free(all);
}

static uint64_t digest(const struct met *m, size_t n, uint8_t out[DM_DIGEST])
{
	struct dm_state *s = dm_state_new(&err);

	MUST(s);
	for (size_t i = 0; i < n; i++)
		dm_state_add(s, m[i].o, m[i].addr, m[i].f);
	return dm_state_finish(s, out);
}

TEST(the_digest_covers_every_field_and_the_order)
{
	enum { MANY = 3000 };
	struct met *m = calloc(MANY, sizeof(*m)), t;
	uint8_t a[DM_DIGEST], b[DM_DIGEST];
	static const size_t counts[] = {0, 1, 2, 1023, 1024, 1025, 2048, MANY};

	REQUIRE(m);
	for (size_t i = 0; i < MANY; i++)
		m[i] = (struct met){{DM_PROCESS, i / 100}, i * DM_PAGE, {chance(), chance()}};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		CHECK_INT(digest(m, counts[i], a), counts[i]);
		naive(m, counts[i], b);
		CHECK(!memcmp(a, b, DM_DIGEST));
	}
	digest(m, 10, a);
	for (int field = 0; field < 6; field++) {
		t = m[5];
		if (field == 0)
			m[5].o.kind = DM_SHMEM;
		else if (field == 1)
			m[5].o.id++;
		else if (field == 2)
			m[5].addr += DM_PAGE;
		else if (field == 3)
			m[5].f.lo ^= 1;
		else if (field == 4)
			m[5].f.hi ^= UINT64_C(1) << 63;
		else {
			m[5] = m[6];
			m[6] = t;
		}
		digest(m, 10, b);
		CHECK(memcmp(a, b, DM_DIGEST) != 0);
		if (field == 5)
			m[6] = m[5];
		m[5] = t;
	}
	digest(m, 10, b);
	CHECK(!memcmp(a, b, DM_DIGEST));
	free(m);
	dm_state_free(dm_state_new(&err));
	dm_state_free(NULL);
}
