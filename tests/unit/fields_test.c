/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of every record: what is allowed, and one step beyond. */
#include "test.h"

#include "stream_tool.h"

static struct dm_err err;

/* Read letters and then one record by hand. Returns 1 when the record itself was taken: what is
 * missed is all that comes behind it. */
static int takes(const char *letters, unsigned type, unsigned flags, const void *p, size_t len)
{
	struct raw r = raw_new("x", 0);
	int taken;

	raw_letters(&r, letters);
	raw_cut_record(&r, type, flags, p, len, len);
	CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	taken = strstr(err.msg, "ends too early") != NULL;
	dm_buf_free(&r.b);
	return taken;
}

TEST(flags_of_records_are_unknown)
{
	static const char *const before[] = {"",      "",     "S",	"Sc",	 "Scij",  "Scij",
					     "Sc",    "Sct",  "Sct",	"ScER",	 "ScERr", "ScERr",
					     "ScERr", "ScEF", "ScEFrq", "ScEFrq"};
	uint8_t p[DM_PAGES_HEAD + DM_PAGE];
	struct raw r;

	for (unsigned type = DM_CONFIG; type <= DM_DIGEST_RECORD; type++)
		for (unsigned flag = 0; flag < 17; flag++) {
			size_t at, n;

			r = raw_new("x", 0);
			raw_any_record(&r, type); /* to have its payload */
			n = r.b.len - DM_RECORD_HEAD;
			at = DM_RECORD_HEAD;
			memcpy(p, r.b.data + at, n);
			dm_buf_free(&r.b);
			if (takes(before[type - 1], type, flag < 16 ? 1u << flag : 0, p, n) !=
			    (flag == 16))
				TEST_BAD("type %u with flag %u: %s", type, flag, err.msg);
			if (flag < 16)
				CHECK(strstr(err.msg, "unknown flags"));
		}
	CHECK(!takes("S", DM_ABORT, 1, "x", 1));
	CHECK(strstr(err.msg, "unknown flags"));
}

TEST(the_end_is_exact)
{
	static const struct {
		unsigned flags;
		int records, bytes;
	} bad[] = {{2, 0, 0}, {0x8000, 0, 0}, {0, 1, 0},       {0, -1, 0},
		   {0, 0, 1}, {0, 0, -1},     {DM_LAST, 0, 0}, {3, 0, 0}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct raw r = raw_new("x", 0);

		raw_letters(&r, "Sc");
		raw_end_off(&r, bad[i].flags, bad[i].records, bad[i].bytes);
		raw_letters(&r, "FrqgEDL");
		CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		dm_buf_free(&r.b);
	}
	CHECK(!takes("Sc", DM_END, 0, "0123456789012345678901234567890", 31));
	CHECK(strstr(err.msg, "count or digest is wrong"));
	CHECK(!takes("Sc", DM_END, 0, "01234567890123456789012345678901", 32));
	CHECK(strstr(err.msg, "count or digest is wrong"));
	CHECK(!takes("Sc", DM_END, 0, "012345678901234567890123456789012", 33));
	CHECK(!takes("Sc", DM_END, 0, "", 0));
}

/* The reader must not wait for, nor make room for, a payload that is over the limit. */
TEST(lengths_over_the_limit_are_refused_at_once)
{
	static const char *const before[] = {"ScE",   "S",    "S",	"Sc",	 "Scij",  "Scij",
					     "Sc",    "Sct",  "Sct",	"ScER",	 "ScERr", "ScERr",
					     "ScERr", "ScEF", "ScEFrq", "ScEFrq"};
	static const size_t limits[] = {64,
					1024,
					DM_JSON_MAX,
					DM_JSON_MAX,
					DM_DATA_MAX,
					0,
					DM_JSON_MAX,
					DM_DATA_MAX,
					0,
					64,
					DM_PAGES_HEAD + DM_PAGES_MAX * DM_PAGE,
					64,
					64,
					DM_FILE_HEAD + DM_NAME_MAX + DM_DATA_MAX,
					16 + DM_RUNS_MAX * DM_RUN_SIZE,
					64};

	for (unsigned type = DM_END; type <= DM_DIGEST_RECORD; type++) {
		size_t over[] = {limits[type - 1] + 1, UINT32_MAX};

		for (int i = 0; i < 2; i++) {
			struct raw r = raw_new("x", 0);

			raw_letters(&r, type == DM_END ? "Sc" : before[type - 1]);
			raw_cut_record(&r, type, 0, "", over[i], 0);
			CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
			if (!strstr(err.msg, "too long"))
				TEST_BAD("type %u, %zu bytes: %s", type, over[i], err.msg);
			dm_buf_free(&r.b);
		}
	}
}

TEST(payloads_up_to_the_limit_are_taken)
{
	char *p = calloc(1, DM_PAYLOAD_MAX);

	REQUIRE(p);
	CHECK(takes("S", DM_CONFIG, 0, p, DM_JSON_MAX));
	CHECK(takes("Sci", DM_IMAGE_DATA, 0, p, DM_DATA_MAX));
	CHECK(takes("Sct", DM_TREE_DATA, 0, p, DM_DATA_MAX));
	CHECK(takes("Sct", DM_TREE_DATA, 0, p, 0));
	p[0] = DM_PROCESS;
	dm_put32(p + 4, DM_PAGES_MAX);
	CHECK(takes("ScERr", DM_PAGES, 0, p, DM_PAGES_HEAD + DM_PAGES_MAX * DM_PAGE));
	memset(p, 'n', DM_FILE_HEAD + DM_NAME_MAX);
	memset(p, 0, DM_FILE_HEAD);
	dm_put16(p, DM_NAME_MAX);
	CHECK(takes("ScEF", DM_FILE, 0, p, DM_FILE_HEAD + DM_NAME_MAX + DM_DATA_MAX));
	dm_put16(p, DM_NAME_MAX - 1); /* then the data are one too long */
	CHECK(!takes("ScEF", DM_FILE, 0, p, DM_FILE_HEAD + DM_NAME_MAX + DM_DATA_MAX));
	memset(p, 0, 64);
	p[0] = DM_SHMEM;
	dm_put32(p + 4, DM_RUNS_MAX);
	for (size_t i = 0; i < DM_RUNS_MAX; i++) {
		dm_put64(p + 16 + i * DM_RUN_SIZE, i * DM_PAGE);
		dm_put32(p + 24 + i * DM_RUN_SIZE, 1);
	}
	CHECK(takes("ScEFrq", DM_OBJECT, 0, p, 16 + DM_RUNS_MAX * DM_RUN_SIZE));
	free(p);
}

/* A PAGES or ZEROS record of these fields. */
static int takes_pages(unsigned type, unsigned kind, uint32_t count, uint64_t addr, size_t len)
{
	static uint8_t p[DM_PAGES_HEAD + (DM_PAGES_MAX + 1) * DM_PAGE];

	p[0] = (uint8_t)kind;
	dm_put32(p + 4, count);
	dm_put64(p + 16, addr);
	return takes("ScERr", type, 0, p, len);
}

TEST(every_field_of_pages)
{
	enum { HEAD = DM_PAGES_HEAD };
	const uint64_t top = UINT64_MAX - UINT64_MAX % DM_PAGE; /* the last page's address */

	CHECK(takes_pages(DM_PAGES, DM_PROCESS, 1, 0, HEAD + DM_PAGE));
	CHECK(takes_pages(DM_PAGES, DM_SHMEM, 2, DM_PAGE, HEAD + 2 * DM_PAGE));
	CHECK(takes_pages(DM_ZEROS, DM_PROCESS, 1000000, DM_PAGE, HEAD));
	CHECK(takes_pages(DM_ZEROS, DM_PROCESS, UINT32_MAX, 0, HEAD));
	CHECK(takes_pages(DM_ZEROS, DM_PROCESS, 1, top - DM_PAGE, HEAD));
	for (unsigned type = DM_PAGES; type <= DM_ZEROS; type++) {
		size_t len = type == DM_PAGES ? HEAD + DM_PAGE : HEAD;

		CHECK(!takes_pages(type, 0, 1, 0, len));
		CHECK(!takes_pages(type, 3, 1, 0, len));
		CHECK(!takes_pages(type, DM_PROCESS, 0, 0, type == DM_PAGES ? HEAD : HEAD));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 1, len));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 2048, len));
		CHECK(!takes_pages(type, DM_PROCESS, 1, UINT64_MAX, len));
		CHECK(!takes_pages(type, DM_PROCESS, 1, top, len));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 0, len - 1));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 0, len + 1));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 0, HEAD - 1));
		CHECK(!takes_pages(type, DM_PROCESS, 1, 0, 0));
	}
	CHECK(!takes_pages(DM_PAGES, DM_PROCESS, 1, 0, HEAD));
	CHECK(!takes_pages(DM_PAGES, DM_PROCESS, 2, 0, HEAD + DM_PAGE));
	CHECK(!takes_pages(DM_PAGES, DM_PROCESS, DM_PAGES_MAX + 1, 0,
			   HEAD + (DM_PAGES_MAX + 1) * DM_PAGE));
	CHECK(!takes_pages(DM_PAGES, DM_PROCESS, UINT32_MAX, 0, HEAD + DM_PAGE));
	CHECK(!takes_pages(DM_ZEROS, DM_PROCESS, 2, top - DM_PAGE, HEAD));
}

/* A FILE record; the name is n bytes long. */
static int takes_file(const char *name, size_t n, uint64_t offset)
{
	uint8_t p[1000] = {0};

	dm_put16(p, (uint16_t)n);
	dm_put64(p + 8, offset);
	memcpy(p + DM_FILE_HEAD, name, n < 500 ? n : 500);
	return takes("ScEF", DM_FILE, 0, p, DM_FILE_HEAD + (n < 500 ? n : 500) + 3);
}

TEST(every_field_of_a_file)
{
	static const char *const bad[] = {"",	   ".",	 "..",	     "/",    "a/b",
					  "../x",  ".x", "-x",	     "a b",  "a\nb",
					  "a\x7f", "a*", "\xc3\xa9", "a\\b", "/etc/passwd"};
	char name[1000];

	CHECK(takes_file("pstree.img", 10, 0));
	CHECK(takes_file("A-z_0.9", 7, INT64_MAX - DM_DATA_MAX));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (takes_file(bad[i], strlen(bad[i]), 0))
			TEST_BAD("the name \"%s\" is taken", bad[i]);
	CHECK(!takes_file("a\0b", 3, 0));
	CHECK(!takes_file("ab\0", 3, 0));
	memset(name, 'n', sizeof(name));
	CHECK(takes_file(name, DM_NAME_MAX, 0));
	CHECK(!takes_file(name, DM_NAME_MAX + 1, 0));
	CHECK(!takes_file(name, 65535, 0));
	CHECK(!takes_file("x", 1, (uint64_t)INT64_MAX - DM_DATA_MAX + 1));
	CHECK(!takes_file("x", 1, UINT64_MAX));
	CHECK(!takes("ScEF", DM_FILE, 0, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
	CHECK(!takes("ScEF", DM_FILE, 0, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15));
	CHECK(!takes("ScEF", DM_FILE, 0, "", 0));
}

/* An OBJECT record with up to two runs. */
static int takes_runs(uint64_t a, uint32_t an, uint64_t b, uint32_t bn)
{
	uint8_t p[16 + 2 * DM_RUN_SIZE] = {DM_PROCESS, 0, 0, 0, 2};

	dm_put64(p + 16, a);
	dm_put32(p + 24, an);
	dm_put64(p + 32, b);
	dm_put32(p + 40, bn);
	return takes("ScEFrq", DM_OBJECT, 0, p, sizeof(p));
}

TEST(every_field_of_an_object)
{
	const uint64_t top = UINT64_MAX - UINT64_MAX % DM_PAGE;
	uint8_t p[16 + DM_RUN_SIZE] = {DM_PROCESS};

	CHECK(takes_runs(0, 1, DM_PAGE, 1));
	CHECK(takes_runs(0, 2, 5 * DM_PAGE, UINT32_MAX));
	CHECK(!takes_runs(0, 2, DM_PAGE, 1));
	CHECK(!takes_runs(DM_PAGE, 1, 0, 1));
	CHECK(!takes_runs(DM_PAGE, 1, DM_PAGE, 1));
	CHECK(!takes_runs(0, 0, DM_PAGE, 1));
	CHECK(!takes_runs(0, 1, DM_PAGE, 0));
	CHECK(!takes_runs(1, 1, DM_PAGE, 1));
	CHECK(!takes_runs(0, 1, DM_PAGE + 8, 1));
	CHECK(!takes_runs(0, 1, top, 1));
	CHECK(!takes_runs(0, 1, top - 2 * DM_PAGE, UINT32_MAX));
	CHECK(takes("ScEFrq", DM_OBJECT, 0, p, 16));
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 15));
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 17));
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, sizeof(p)));
	p[4] = 1;
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 16));
	dm_put32(p + 4, UINT32_MAX);
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 16));
	dm_put32(p + 4, 0);
	p[0] = 0;
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 16));
	p[0] = 3;
	CHECK(!takes("ScEFrq", DM_OBJECT, 0, p, 16));
}

TEST(records_of_one_size)
{
	static const struct {
		const char *before;
		unsigned type;
		size_t size;
	} t[] = {{"ScER", DM_ROUND_BEGIN, 4},
		 {"ScERr", DM_ROUND_END, 16},
		 {"ScEFrq", DM_DIGEST_RECORD, DM_DIGEST + 8},
		 {"Sci", DM_IMAGE_END, 0},
		 {"Sct", DM_TREE_END, 0}};
	static const uint8_t zeros[64];

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		for (size_t n = 0; n < 64; n++)
			if (takes(t[i].before, t[i].type, 0, zeros, n) != (n == t[i].size))
				TEST_BAD("type %u of %zu bytes", t[i].type, n);
}

TEST(what_the_sender_says_at_last_is_told)
{
	char text[1025];

	CHECK(!takes("S", DM_ABORT, 0, "disk\nis full", 12));
	CHECK_STR(err.msg, "the sender gave up: disk\nis full");
	CHECK(!takes("S", DM_ABORT, 0, "", 0));
	CHECK_STR(err.msg, "the sender gave up: ");
	memset(text, 'x', sizeof(text));
	CHECK(!takes("S", DM_ABORT, 0, text, 1024));
	CHECK(!strncmp(err.msg, "the sender gave up: xxx", 23));
	CHECK(strlen(err.msg) > 500 && strlen(err.msg) < sizeof(err.msg));
	CHECK(!takes("S", DM_ABORT, 0, "cut\0off", 7));
	CHECK_STR(err.msg, "the sender gave up: cut");
}
