/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of segments: one order, one migration. */
#include "test.h"

#include "stream_tool.h"

static struct dm_err err;

enum { SEGMENTS = 5 };

/* Read the segments of the whole stream in this order ("01234"). */
static int read_order(const char *all, const size_t *ends, const char *order)
{
	char *p = malloc(1 << 24);
	size_t n = 0;
	int ret;

	MUST(p);
	for (; *order; order++) {
		int i = *order - '0';
		size_t from = i ? ends[i - 1] : 0;

		memcpy(p + n, all + from, ends[i] - from);
		n += ends[i] - from;
	}
	ret = read_bytes(p, n, &nothing_heard, NULL, &err);
	free(p);
	return ret;
}

TEST(segments_go_in_one_order_only)
{
	static const char *const letters[SEGMENTS] = {"ScijktuvE", "RrpzqE", "DtuvE", "FffrpqoogE",
						      "DtvL"};
	struct raw r = raw_new("m-1", 5);
	size_t ends[SEGMENTS];
	const char *all;
	char order[8];
	int right = 0;

	for (int i = 0; i < SEGMENTS; i++) {
		raw_letters(&r, letters[i]);
		ends[i] = r.b.len;
	}
	all = r.b.data;
	/* every sequence of up to six of the five segments that begins with any of them */
	for (int n = 0; n <= SEGMENTS + 1; n++) {
		int all_n = 1;

		for (int i = 0; i < n; i++)
			all_n *= SEGMENTS;
		for (int v = 0; v < all_n; v++) {
			int k = v;

			for (int i = 0; i < n; i++, k /= SEGMENTS)
				order[i] = (char)('0' + k % SEGMENTS);
			order[n] = '\0';
			if (n > 2 && (order[0] != '0' || order[1] != '1'))
				continue; /* these are told from the first two */
			if (read_order(all, ends, order) == 0)
				right += strcmp(order, "01234") ? 1000 : 1;
			else
				CHECK_INT(err.code, DM_BAD_STREAM);
		}
	}
	CHECK_INT(right, 1);
	CHECK_INT(read_order(all, ends, "0123"), -1);
	CHECK(strstr(err.msg, "it ends before its last segment"));
	CHECK_INT(read_order(all, ends, "0134"), -1);
	CHECK(strstr(err.msg, "does not follow the one before it"));
	CHECK_INT(read_order(all, ends, "012344"), -1);
	CHECK_INT(read_order(all, ends, ""), -1);
	CHECK_STR(err.msg, "stream: it is empty");
	dm_buf_free(&r.b);
}

/* Read a stream whose second segment's head was changed by change. */
static int read_changed(void (*change)(struct raw *r))
{
	struct raw r = raw_new("the-id", 3);
	int ret;

	raw_letters(&r, "ScE");
	change(&r);
	raw_letters(&r, "FrqgEDL");
	ret = read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err);
	dm_buf_free(&r.b);
	return ret;
}

static void no_change(struct raw *r)
{
	(void)r;
}
static void other_id(struct raw *r)
{
	strcpy(r->id, "the-iD");
}
static void longer_id(struct raw *r)
{
	strcpy(r->id, "the-id2");
}
static void other_seed(struct raw *r)
{
	r->seed = 4;
}
static void number_again(struct raw *r)
{
	r->number = 0;
}
static void number_ahead(struct raw *r)
{
	r->number = 2;
}
static void other_before(struct raw *r)
{
	r->before[15] ^= 1;
}
static void no_before(struct raw *r)
{
	memset(r->before, 0, DM_DIGEST);
}

TEST(segments_of_another_attempt_are_refused)
{
	static void (*const changes[])(struct raw *) = {other_id,     longer_id,    other_seed,
							number_again, number_ahead, other_before,
							no_before};

	CHECK_INT(read_changed(no_change), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		if (read_changed(changes[i]) == 0)
			TEST_BAD("change %zu is taken", i);
		CHECK_INT(err.code, DM_BAD_STREAM);
		CHECK(strstr(err.msg, i < 3 ? "of another migration" : "does not follow"));
	}
}

TEST(the_first_segment_has_no_segment_before_it)
{
	struct raw r = raw_new("x", 0);

	r.before[0] = 1;
	raw_letters(&r, "ScEFrqgEDL");
	CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
	dm_buf_free(&r.b);
	r = raw_new("x", 0);
	r.number = 1;
	raw_letters(&r, "ScEFrqgEDL");
	CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), -1);
	dm_buf_free(&r.b);
}
