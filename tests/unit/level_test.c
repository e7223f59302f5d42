/* SPDX-License-Identifier: Apache-2.0 */
/* One level of the page store: look-ups in any order between growth, against a table. */
#include "test.h"

#include "restore/level.h"
#include "tool.h"

static struct dm_err err;

enum { SEED = 3, PAGES = 400 };

TEST(look_ups_agree_with_a_table_while_it_grows)
{
	for (int i = 0; i < 300; i++) {
		struct dm_level l = {.fd = memory_file("", 0)};
		uint64_t table[PAGES], slots = 0, slot;

		memset(table, 0xff, sizeof(table));
		for (size_t at = 0; at < PAGES;) {
			size_t n = 1 + pick(20);

			n = n < PAGES - at ? n : PAGES - at;
			CHECK_INT(dm_level_append(&l, at * DM_PAGE, (uint32_t)n, &err), slots);
			for (size_t k = 0; k < n; k++)
				table[at + k] = slots++;
			at += n + (pick(2) ? 0 : pick(10));
			for (size_t k = pick(30); k > 0; k--) {
				size_t page = pick(3) ? pick(PAGES) : at < PAGES ? at - pick(2) : 0;

				slot = UINT64_MAX;
				CHECK_INT(dm_level_find(&l, page * DM_PAGE, &slot),
					  ~table[page] != 0);
				CHECK_INT(slot, table[page]);
			}
		}
		CHECK(l.slots == slots && l.n <= PAGES);
		dm_level_clear(&l);
		CHECK(l.fd == -1 && !l.e && !l.f && !l.n && !l.slots);
	}
}

TEST(neighbours_become_one_extent)
{
	struct dm_level l = {.fd = memory_file("", 0)};
	uint64_t slot;

	dm_level_append(&l, 0, 10, &err);
	dm_level_append(&l, 10 * DM_PAGE, 10, &err);
	CHECK_INT(l.n, 1);
	dm_level_append(&l, 21 * DM_PAGE, 1, &err);
	CHECK_INT(l.n, 2);
	CHECK(!dm_level_find(&l, 20 * DM_PAGE, &slot));
	CHECK(dm_level_find(&l, 21 * DM_PAGE, &slot) && slot == 20);
	CHECK(dm_level_append(&l, 20 * DM_PAGE, 1, &err) == UINT64_MAX);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK(dm_level_append(&l, 21 * DM_PAGE, 1, &err) == UINT64_MAX);
	CHECK_INT(l.slots, 21);
	dm_level_clear(&l);
}

TEST(bytes_and_zeros_are_written_with_their_fingerprints)
{
	static uint8_t bytes[8 * DM_PAGE], zeros[DM_PAGE], page[DM_PAGE];
	struct dm_level l = {.fd = memory_file("", 0)};
	struct stat st;

	fill(bytes, sizeof(bytes), 5);
	dm_level_append(&l, 0, 20, &err);
	CHECK_INT(dm_level_write(&l, 0, 8, bytes, SEED, &err), 0);
	CHECK_INT(dm_level_write(&l, 8, 12, NULL, SEED, &err), 0);
	CHECK(fstat(l.fd, &st) == 0 && st.st_size == 20 * DM_PAGE);
	CHECK(st.st_blocks * 512 == 8 * DM_PAGE);
	CHECK_INT(dm_level_write(&l, 6, 4, NULL, SEED, &err), 0); /* over both */
	CHECK_INT(dm_level_write(&l, 19, 1, bytes, SEED, &err), 0);
	CHECK(fstat(l.fd, &st) == 0 && st.st_size == 20 * DM_PAGE);
	for (uint64_t i = 0; i < 20; i++) {
		const uint8_t *want = i < 6 ? bytes + i * DM_PAGE : i == 19 ? bytes : zeros;

		CHECK(pread(l.fd, page, DM_PAGE, (off_t)(i * DM_PAGE)) == DM_PAGE);
		CHECK(!memcmp(page, want, DM_PAGE));
		CHECK(dm_fingerprint_equal(l.f[i], dm_fingerprint_of(want, SEED)));
	}
	close(l.fd);
	l.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	CHECK_INT(dm_level_write(&l, 0, 1, bytes, SEED, &err), -1);
	CHECK_STR(err.msg, "write pages image: No space left on device");
	dm_level_clear(&l);
}
