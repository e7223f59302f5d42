/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, buffers, JSON and error lines. */
#include "test.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/le.h"
#include "base/num.h"
#include "tool.h"

static struct dm_err err;

/* Whether text is taken as a number from lo to hi, and which. */
static int number(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	err = (struct dm_err){0};
	*out = 77;
	return dm_num_u64(text, "--it", lo, hi, out, &err) == 0;
}

TEST(numbers_are_decimal_digits_alone)
{
	static const char *const bad[] = {"",	  " 1",	 "1 ",	"+1",  "-1", "1x",
					  "0x10", "1e3", "1.0", "one", "--", "\n1"};
	uint64_t v;

	CHECK(number("0", 0, 9, &v) && v == 0);
	CHECK(number("007", 0, 9, &v) && v == 7);
	CHECK(number("18446744073709551615", 0, UINT64_MAX, &v) && v == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (number(bad[i], 0, UINT64_MAX, &v))
			TEST_BAD("\"%s\" is taken as %llu", bad[i], (unsigned long long)v);
		CHECK_INT(err.code, DM_USAGE);
		CHECK_INT(v, 77);
	}
	CHECK(!number("18446744073709551616", 0, UINT64_MAX, &v));
	CHECK(!number("99999999999999999999999", 0, UINT64_MAX, &v));
}

TEST(numbers_keep_to_their_range_and_say_it)
{
	uint64_t v;

	CHECK(number("3", 3, 5, &v) && v == 3);
	CHECK(number("5", 3, 5, &v) && v == 5);
	CHECK(!number("2", 3, 5, &v));
	CHECK(!number("6", 3, 5, &v));
	CHECK_STR(err.msg, "--it: \"6\" is not a number from 3 to 5");
}

TEST(sizes_take_one_unit)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {{"0", 0},
		    {"512", 512},
		    {"1K", 1 << 10},
		    {"1k", 1 << 10},
		    {"3M", 3 << 20},
		    {"2g", UINT64_C(2) << 30},
		    {"5T", UINT64_C(5) << 40},
		    {"16777215T", UINT64_C(16777215) << 40},
		    {"18446744073709551615", UINT64_MAX}};
	static const char *const bad[] = {"",	  "K",	 "1KB",	      "1 K",
					  "1.5G", "-1",	 "+1K",	      "1P",
					  "1KK",  " 1K", "16777216T", "18446744073709551615K"};
	uint64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		CHECK_INT(dm_num_size(good[i].text, "--it", &v, &err), 0);
		if (v != good[i].want)
			TEST_BAD("%s is %llu", good[i].text, (unsigned long long)v);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err = (struct dm_err){0};
		if (dm_num_size(bad[i], "--it", &v, &err) == 0)
			TEST_BAD("\"%s\" is taken", bad[i]);
		CHECK_INT(err.code, DM_USAGE);
	}
	CHECK(strstr(err.msg, "--it: \"18446744073709551615K\""));
}

TEST(sizes_for_people)
{
	static const struct {
		uint64_t n;
		const char *want;
	} t[] = {{0, "0 B"},
		 {1023, "1023 B"},
		 {1024, "1.0 KiB"},
		 {1536, "1.5 KiB"},
		 {(1 << 20) - 1, "1.0 MiB"},
		 {1 << 20, "1.0 MiB"},
		 {UINT64_C(1) << 30, "1.0 GiB"},
		 {UINT64_C(3) << 39, "1.5 TiB"},
		 {UINT64_C(5000) << 40, "5000.0 TiB"}};
	char out[32];

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		dm_num_human(t[i].n, out, sizeof(out));
		CHECK_STR(out, t[i].want);
	}
	for (uint64_t unit = 1 << 20; unit <= UINT64_C(1) << 40; unit <<= 10)
		for (uint64_t n = unit - unit / 512; n <= unit; n += unit / 65536) {
			dm_num_human(n, out, sizeof(out));
			CHECK(strncmp(out, "1024", 4) != 0);
		}
}

TEST(little_endian_fields_at_any_alignment)
{
	uint8_t b[16] = {0};

	dm_put16(b + 1, 0x0102);
	dm_put32(b + 3, 0x03040506);
	dm_put64(b + 7, UINT64_C(0x0708090a0b0c0d0e));
	CHECK(!memcmp(b, "\0\x02\x01\x06\x05\x04\x03\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\0", 16));
	CHECK_INT(dm_get16(b + 1), 0x0102);
	CHECK_INT(dm_get32(b + 3), 0x03040506);
	CHECK(dm_get64(b + 7) == UINT64_C(0x0708090a0b0c0d0e));
}

TEST(buffer_holds_what_was_added)
{
	struct dm_buf b = {0};
	char piece[3000], *all = malloc(1 << 20);
	size_t len = 0;

	REQUIRE(all);
	for (int i = 0; i < 300; i++) {
		size_t n = pick(sizeof(piece));

		fill(piece, n, chance());
		REQUIRE(dm_buf_add(&b, piece, n, &err) == 0);
		memcpy(all + len, piece, n);
		len += n;
	}
	CHECK_INT(b.len, len);
	CHECK(!memcmp(b.data, all, len));
	CHECK(dm_buf_add(&b, NULL, 0, &err) == 0);
	CHECK(dm_buf_room(&b, 5000, &err) == b.data + b.len);
	CHECK(b.size - b.len >= 5000);
	CHECK_INT(b.len, len);
	dm_buf_free(&b);
	CHECK(!b.data && !b.len && !b.size);
	CHECK(dm_buf_add(&b, "x", 1, &err) == 0 && b.len == 1);
	dm_buf_free(&b);
	free(all);
}

TEST(buffer_keeps_to_its_cap)
{
	struct dm_buf b = {.cap = 1000};
	char x[1001] = {0};

	CHECK_INT(dm_buf_add(&b, x, 999, &err), 0);
	CHECK_INT(dm_buf_add(&b, x, 2, &err), -1);
	CHECK_INT(b.len, 999);
	CHECK_INT(dm_buf_add(&b, x, 1, &err), 0);
	CHECK_INT(dm_buf_add(&b, x, 1, &err), -1);
	CHECK(strstr(err.msg, "1000"));
	CHECK_INT(dm_buf_add(&b, x, 0, &err), 0);
	CHECK(!dm_buf_room(&b, (size_t)-1, &err));
	dm_buf_free(&b);
	CHECK_INT(b.cap, 1000);
	CHECK_INT(dm_buf_add(&b, x, 1001, &err), -1);
	b.cap = 0;
	CHECK(!dm_buf_room(&b, (size_t)-1, &err));
	CHECK(!dm_buf_room(&b, (size_t)-1 - 100, &err));
	dm_buf_free(&b);
}

static json_t *parse(const char *text)
{
	err = (struct dm_err){0};
	return dm_json_parse(text, strlen(text), "it", &err);
}

TEST(json_is_one_object)
{
	static const char *const bad[] = {"",
					  "[]",
					  "1",
					  "\"x\"",
					  "{",
					  "{}x",
					  "{} {}",
					  "{\"a\":1,}",
					  "{\"a\":1,\"a\":2}",
					  "{a:1}",
					  "{\"a\":\"\xff\"}",
					  "{\"a\":\"\\u0000\"}",
					  "null"};
	json_t *o;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		o = parse(bad[i]);
		if (o)
			TEST_BAD("%s is taken", bad[i]);
		CHECK(!strncmp(err.msg, "it: ", 4) && err.code == DM_FAILURE);
		json_decref(o);
	}
	o = dm_json_parse("{\"a\":1}, rest", 7, "it", &err);
	CHECK_INT(dm_json_int(o, "a", 0), 1);
	json_decref(o);
}

TEST(json_that_is_too_deep_is_an_error)
{
	enum { DEEP = 100000 };
	char *text = malloc(2 * DEEP + 10);

	REQUIRE(text);
	strcpy(text, "{\"a\":");
	memset(text + 5, '[', DEEP);
	text[5 + DEEP] = '\0';
	CHECK(!parse(text));
	free(text);
}

TEST(json_paths)
{
	json_t *o =
		parse("{\"a\":{\"b\":{\"s\":\"text\",\"n\":-7,\"t\":true,\"f\":false}},\"r\":1.5,"
		      "\"l\":[1],\"e\":\"\"}");

	REQUIRE(o);
	CHECK_STR(dm_json_str(o, "a.b.s", "?"), "text");
	CHECK_STR(dm_json_str(o, "e", "?"), "");
	CHECK_STR(dm_json_str(o, "a.b.n", "?"), "?");
	CHECK_STR(dm_json_str(o, "a.b", "?"), "?");
	CHECK_STR(dm_json_str(o, "a.x.s", "?"), "?");
	CHECK_STR(dm_json_str(o, "a.b.s.x", "?"), "?");
	CHECK_STR(dm_json_str(NULL, "a", "?"), "?");
	CHECK_INT(dm_json_int(o, "a.b.n", 3), -7);
	CHECK_INT(dm_json_int(o, "r", 3), 3);
	CHECK_INT(dm_json_int(o, "a.b.t", 3), 3);
	CHECK(dm_json_true(o, "a.b.t"));
	CHECK(!dm_json_true(o, "a.b.f"));
	CHECK(!dm_json_true(o, "a.b.n"));
	CHECK(!dm_json_true(o, "none"));
	CHECK(json_is_array(dm_json_at(o, "l")));
	CHECK(dm_json_at(o, "") == o);
	json_decref(o);
}

TEST(json_as_text_is_one_line)
{
	json_t *o = json_pack("{s:s}", "a", "one\ntwo");
	char *text = dm_json_text(o, &err);

	CHECK_STR(text, "{\"a\":\"one\\ntwo\"}");
	free(text);
	json_decref(o);
	CHECK(!dm_json_text(NULL, &err));
}

TEST(errors_keep_code_and_line)
{
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	CHECK_INT(dm_fail(&err, DM_UNFIT, "open %s: %d", "it", 3), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "open it: 3");
	CHECK_INT(dm_fail_prefix(&err, "step %d", 2), -1);
	CHECK_STR(err.msg, "step 2: open it: 3");
	CHECK_INT(err.code, DM_UNFIT);
	errno = ENOSPC;
	CHECK_INT(dm_fail_errno(&err, "write %s", "it"), -1);
	CHECK_STR(err.msg, "write it: No space left on device");
	CHECK_INT(err.code, DM_FAILURE);
	dm_fail(&err, DM_USAGE, "%s", big);
	CHECK_INT(strlen(err.msg), sizeof(err.msg) - 1);
	dm_fail_prefix(&err, "p");
	CHECK_INT(strlen(err.msg), sizeof(err.msg) - 1);
	CHECK(!strncmp(err.msg, "p: xxx", 6));
	dm_fail_prefix(&err, "%s", big);
	dm_fail_errno(&err, "%s", big);
	CHECK_INT(strlen(err.msg), sizeof(err.msg) - 1);
}

/* What dm_say() writes for text, in how many writes. */
static int say(const char *text, char *out, size_t size)
{
	int fds[2], saved, n = 0;
	ssize_t got;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
	saved = dup(2);
	MUST(saved >= 0 && dup2(fds[1], 2) == 2);
	dm_say("%s", text);
	MUST(dup2(saved, 2) == 2);
	close(saved);
	close(fds[1]);
	out[0] = '\0';
	for (char more[4096];
	     (got = recv(fds[0], n ? more : out, n ? sizeof(more) : size - 1, 0)) > 0; n++)
		if (n == 0)
			out[got] = '\0';
	close(fds[0]);
	return n;
}

TEST(messages_are_one_line_in_one_write)
{
	char out[8192], big[6000];

	dm_set_program("dm-it");
	CHECK_INT(say("all is well", out, sizeof(out)), 1);
	CHECK_STR(out, "dm-it: all is well\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	CHECK_INT(say(big, out, sizeof(out)), 1);
	CHECK(strlen(out) > 1000 && strlen(out) < 4096);
	CHECK(strchr(out, '\n') == out + strlen(out) - 1);
}

TEST(messages_carry_no_control_bytes)
{
	char text[64] = "", out[256], want[64] = "dm-it: ";
	size_t n = 0;

	dm_set_program("dm-it");
	for (int c = 1; c < 32; c++)
		text[n++] = (char)c;
	text[n++] = 0x7f;
	memset(want + 7, '?', n);
	strcpy(want + 7 + n, "\n");
	CHECK_INT(say(text, out, sizeof(out)), 1);
	CHECK_STR(out, want);
	say("caf\xc3\xa9 %s", out, sizeof(out));
	CHECK_STR(out, "dm-it: caf\xc3\xa9 %s\n");
}
