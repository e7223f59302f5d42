/* SPDX-License-Identifier: Apache-2.0 */
/* Which segment and record may come when: stream/format.h's grammar as a regular expression, and
 * every sequence that is one change away from a good one. */
#include "test.h"

#include <regex.h>

#include "stream/grammar.h"
#include "stream_tool.h"

static struct dm_err err;

/* The letters are those of raw_letters(). */
static const char letters[] = "SRDFcijktuvrpzqfogEL";
static const char grammar[] = "^Sc(ij*k)?(tu*v)*E"
			      "(R(r[pz]*q)*E|D(tu*v)*E)*"
			      "Ff*r[pz]*qo*gE"
			      "D(tu*v)*L$";

static regex_t whole;

__attribute__((constructor)) static void compile(void)
{
	if (regcomp(&whole, grammar, REG_EXTENDED | REG_NOSUB))
		abort();
}

static bool expected(const char *s)
{
	return regexec(&whole, s, 0, NULL, 0) == 0;
}

/* What the library says of s: a whole stream? A head must follow an end, which the reader sees to:
 * records and ends need a segment at hand. */
static bool taken(const char *s)
{
	struct dm_grammar g = {0};
	bool inside = false;

	for (; *s; s++) {
		const char *kind = strchr(raw_kinds, *s), *type = strchr(raw_types, *s);
		int bad;

		if (!kind != inside)
			return false;
		err.code = DM_OK;
		if (kind)
			bad = dm_grammar_segment(&g, (enum dm_segment_kind)(kind - raw_kinds + 1),
						 &err);
		else if (type)
			bad = dm_grammar_record(&g, (uint16_t)(type - raw_types + DM_CONFIG), &err);
		else
			bad = dm_grammar_end(&g, *s == 'L', &err);
		if (bad && err.code != DM_BAD_STREAM)
			TEST_BAD("%s: refused with code %d", s, (int)err.code);
		if (bad)
			return false;
		inside = *s != 'E' && *s != 'L';
	}
	return !inside && dm_grammar_done(&g);
}

static const char *const good[] = {
	"ScEFrqgEDL",
	"SctvEFrqgEDL",
	"ScijjktuuvtvERrpzpqrqEDtuvERrqEFffrpzqoogEDtuvtvL",
	"ScEREDEFfrzqogEDtvL",
	"ScijkEDtvtuvEDEFrpqoogEDtvL",
	"ScEDERrqEFfrqgEDL",
};

static size_t compared;

static void compare(const char *s)
{
	compared++;
	if (expected(s) != taken(s))
		TEST_BAD("%s is %s", s, taken(s) ? "taken" : "refused");
}

/* Call fn with every string that is one letter away from s. */
static void around(const char *s, void (*fn)(const char *s))
{
	size_t n = strlen(s);
	char t[128];

	MUST(n < sizeof(t) - 2);
	for (size_t i = 0; i <= n; i++) {
		for (const char *l = letters; *l; l++) {
			snprintf(t, sizeof(t), "%.*s%c%s", (int)i, s, *l, s + i);
			fn(t);
			if (i == n)
				continue;
			strcpy(t, s);
			t[i] = *l;
			fn(t);
		}
		if (i == n)
			continue;
		snprintf(t, sizeof(t), "%.*s%s", (int)i, s, s + i + 1);
		fn(t);
		snprintf(t, sizeof(t), "%.*s", (int)i, s);
		fn(t);
		for (size_t k = i + 1; k < n; k++) { /* two change places */
			strcpy(t, s);
			t[i] = s[k];
			t[k] = s[i];
			fn(t);
		}
	}
}

TEST(good_streams_are_taken)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		compare(good[i]);
		CHECK(expected(good[i]));
	}
}

TEST(every_record_in_every_place)
{
	compared = 0;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		around(good[i], compare);
	CHECK(compared > 5000);
}

static void compare_around(const char *s)
{
	around(s, compare);
}

TEST(every_two_changes_of_short_streams)
{
	compared = 0;
	around("ScEFrqgEDL", compare_around);
	around("SctvEFrqgEDL", compare_around);
	CHECK(compared > 500000);
}

TEST(records_by_chance)
{
	char s[64];

	for (int i = 0; i < 200000; i++) {
		const char *from = good[pick(sizeof(good) / sizeof(*good))];
		size_t n;

		strcpy(s, from);
		for (size_t k = pick(4) + 1; k > 0; k--) {
			n = strlen(s);
			if (n > 0 && pick(3))
				s[pick(n)] = letters[pick(sizeof(letters) - 1)];
			else if (n < sizeof(s) - 1 && pick(2))
				strcat(s, (char[]){letters[pick(sizeof(letters) - 1)], '\0'});
			else if (n > 1)
				s[n - 1] = '\0';
		}
		compare(s);
	}
}

/* The same through the reader: the bytes of s. */
static void compare_read(const char *s)
{
	struct raw r = raw_new("x", 0);
	bool ok;

	compared++;
	raw_letters(&r, s);
	ok = read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err) == 0;
	if (!ok && err.code != DM_BAD_STREAM)
		TEST_BAD("%s: refused with code %d", s, (int)err.code);
	if (expected(s) != ok)
		TEST_BAD("%s is %s by the reader", s, ok ? "taken" : "refused");
	dm_buf_free(&r.b);
}

TEST(the_reader_keeps_to_the_grammar)
{
	compared = 0;
	around("SctuvERrpqEFfrzqogEDtvL", compare_read);
	CHECK(compared > 1000);
}

TEST(unknown_types_have_no_place)
{
	static const unsigned types[] = {0, 17, 18, 255, 256, 257, 65535};
	static const char *const before[] = {"S", "Sc", "Sctu", "ScER", "ScERr", "ScED", "ScEF"};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		for (size_t k = 0; k < sizeof(before) / sizeof(*before); k++)
			for (size_t len = 0; len < 3; len += 2) {
				struct raw r = raw_new("x", 0);

				raw_letters(&r, before[k]);
				raw_record(&r, types[i], "{}", len);
				CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err),
					  -1);
				CHECK_INT(err.code, DM_BAD_STREAM);
				CHECK(!strstr(err.msg, "ends too early"));
				dm_buf_free(&r.b);
			}
	CHECK_INT(dm_grammar_limit(0), 0);
	CHECK_INT(dm_grammar_limit(17), 0);
	CHECK_INT(dm_grammar_limit(65535), 0);
}

TEST(unknown_kinds_of_segments_have_no_place)
{
	static const unsigned kinds[] = {0, 5, 6, 255, 257, 65535};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct raw r = raw_new("x", 0);

		raw_letters(&r, "ScE");
		raw_head(&r, kinds[i]);
		CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		CHECK(strstr(err.msg, "out of order"));
		dm_buf_free(&r.b);
	}
}

TEST(an_abort_may_come_anywhere)
{
	static const char *const before[] = {"S",      "Sc",   "Scij",	"Sctu",	  "ScER",
					     "ScERrp", "ScED", "ScEFf", "ScEFrqg"};

	for (size_t k = 0; k < sizeof(before) / sizeof(*before); k++) {
		struct raw r = raw_new("x", 0);

		raw_letters(&r, before[k]);
		raw_record(&r, DM_ABORT, "no more", 7);
		raw_letters(&r, "EFrqgEDL");
		CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
		CHECK_INT(err.code, DM_BAD_STREAM);
		CHECK_STR(err.msg, "the sender gave up: no more");
		dm_buf_free(&r.b);
	}
}
