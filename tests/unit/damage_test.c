/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are cut or changed at any byte, or wrong in a head: always an error. */
#include "test.h"

#include <errno.h>

#include "stream_tool.h"

static struct dm_err err;
static struct heard all, part;

/* A complete stream with every type of record. */
static struct raw complete(void)
{
	struct raw r = raw_new("the-id", 3);

	raw_letters(&r, "ScijktuvERrpzqEDtvEFfrzqogEDtuvL");
	all = (struct heard){0};
	MUST(read_bytes(r.b.data, r.b.len, &hearing, &all, &err) == 0);
	return r;
}

/* Damaged bytes: refused, as a bad stream, and what was heard until then was no other. */
static void refused(const void *p, size_t n, const char *what, size_t at)
{
	part = (struct heard){0};
	if (read_bytes(p, n, &hearing, &part, &err) == 0)
		TEST_BAD("%s at byte %zu is taken", what, at);
	else if (err.code != DM_BAD_STREAM || !err.msg[0])
		TEST_BAD("%s at byte %zu: code %d, \"%s\"", what, at, (int)err.code, err.msg);
	if (strncmp(part.text, all.text, part.n) != 0)
		TEST_BAD("%s at byte %zu: something else is heard", what, at);
}

TEST(a_cut_at_every_byte)
{
	struct raw r = complete();

	for (size_t i = 0; i < r.b.len; i++)
		refused(r.b.data, i, "a cut", i);
	dm_buf_free(&r.b);
}

TEST(a_change_of_every_byte)
{
	static const uint8_t bits[] = {1, 0x80, 0xff, 2, 4, 8, 16, 32, 64};
	struct raw r = complete();
	uint8_t *p = (uint8_t *)r.b.data;

	for (size_t i = 0; i < r.b.len; i++)
		for (size_t k = 0; k < (i % 16 == 0 || r.b.len - i < 500 ? sizeof(bits) : 2); k++) {
			p[i] ^= bits[k];
			refused(p, r.b.len, "a change", i);
			p[i] ^= bits[k];
		}
	dm_buf_free(&r.b);
}

TEST(a_byte_too_few_or_too_many)
{
	struct raw r = complete();
	char *p = malloc(r.b.len + 1);

	REQUIRE(p);
	for (size_t i = 0; i < r.b.len; i++) {
		memcpy(p, r.b.data, i);
		memcpy(p + i, r.b.data + i + 1, r.b.len - i - 1);
		refused(p, r.b.len - 1, "a lost byte", i);
		p[i] = r.b.data[i];
		memcpy(p + i + 1, r.b.data + i, r.b.len - i);
		refused(p, r.b.len + 1, "a doubled byte", i);
	}
	free(p);
	dm_buf_free(&r.b);
}

TEST(anything_behind_the_end)
{
	static const size_t sizes[] = {1, 16, 119, 120, 121, 5000};
	struct raw r = complete();
	size_t n = r.b.len;
	char junk[5000];

	for (int kind = 0; kind < 3; kind++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			r.b.len = n;
			if (kind == 0)
				fill(junk, sizes[i], 3);
			else if (kind == 1)
				memset(junk, 0, sizes[i]);
			else
				memcpy(junk, r.b.data, sizes[i] < n ? sizes[i] : n);
			raw_put(&r, junk, sizes[i]);
			refused(r.b.data, r.b.len, "junk", sizes[i]);
		}
	r.b.len = n;
	raw_letters(&r, "DtuvE");
	refused(r.b.data, r.b.len, "one more segment", n);
	dm_buf_free(&r.b);
}

/* A first segment's head with change made to it, then a whole stream; the error's text. */
static const char *with_head(void (*change)(uint8_t *h))
{
	struct raw r = raw_new("the-id", 3);
	uint8_t h[DM_HEAD_SIZE];

	raw_make_head(&r, DM_SETUP, h);
	change(h);
	raw_seal_head(&r, h);
	raw_letters(&r, "cEFrqgEDL");
	if (read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err) == 0)
		strcpy(err.msg, "taken");
	else
		CHECK_INT(err.code, DM_BAD_STREAM);
	dm_buf_free(&r.b);
	return err.msg;
}

static void as_it_is(uint8_t *h)
{
	(void)h;
}
static void version_0(uint8_t *h)
{
	dm_put16(h + 8, 0);
}
static void version_2(uint8_t *h)
{
	dm_put16(h + 8, 2);
}
static void saved(uint8_t *h)
{
	dm_put32(h + 12, DM_SAVED);
}
static void flag_2(uint8_t *h)
{
	dm_put32(h + 12, 2);
}
static void flag_31(uint8_t *h)
{
	dm_put32(h + 12, 0x80000001);
}
static void no_id(uint8_t *h)
{
	dm_put32(h + 20, 0);
}
static void long_id(uint8_t *h)
{
	memset(h + 24, 'x', DM_STREAM_ID);
	dm_put32(h + 20, DM_STREAM_ID + 1);
}
static void huge_id(uint8_t *h)
{
	dm_put32(h + 20, UINT32_MAX);
}
static void short_id(uint8_t *h)
{
	dm_put32(h + 20, 3); /* the rest stands behind it */
}
static void nul_in_id(uint8_t *h)
{
	h[26] = 0;
}
static void junk_behind_id(uint8_t *h)
{
	h[24 + DM_STREAM_ID - 1] = 1;
}
static void no_magic(uint8_t *h)
{
	h[7] = 'M';
}

TEST(every_field_of_a_head)
{
	CHECK_STR(with_head(as_it_is), "taken");
	CHECK(strstr(with_head(version_0), "version 0 is not known"));
	CHECK(strstr(with_head(version_2), "version 2 is not known"));
	CHECK_STR(with_head(saved), "taken");
	CHECK(strstr(with_head(flag_2), "unknown flags"));
	CHECK(strstr(with_head(flag_31), "unknown flags"));
	CHECK(strstr(with_head(no_id), "bad id"));
	CHECK(strstr(with_head(long_id), "bad id"));
	CHECK(strstr(with_head(huge_id), "bad id"));
	CHECK(strstr(with_head(short_id), "bad id"));
	CHECK(strstr(with_head(nul_in_id), "bad id"));
	CHECK(strstr(with_head(junk_behind_id), "bad id"));
	CHECK(strstr(with_head(no_magic), "no segment begins here"));
}

TEST(an_id_of_full_length)
{
	struct raw r =
		raw_new("0123456789012345678901234567890123456789012345678901234567890123", 0);

	CHECK_INT(strlen(r.id), DM_STREAM_ID);
	raw_letters(&r, "ScEFrqgEDL");
	part = (struct heard){0};
	CHECK_INT(read_bytes(r.b.data, r.b.len, &hearing, &part, &err), 0);
	CHECK(strstr(part.text, r.id));
	dm_buf_free(&r.b);
}

TEST(a_descriptor_that_cannot_be_read_is_no_bad_stream)
{
	int dir = open_folder("/");

	CHECK_INT(dm_stream_read(dir, &nothing_heard, NULL, &err), -1);
	CHECK_INT(err.code, DM_FAILURE);
	CHECK_STR(err.msg, "read stream: Is a directory");
	close(dir);
}
