/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of an engine, old and new, and others, as they go through the sieve. */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

#include "base/json.h"
#include "source/sieve.h"
#include "tool.h"

enum { ROOM = 8 << 20 };

static struct dm_err err;

/* A run of bytes in memory. */
struct bytes {
	char *p;
	size_t len;
};

static struct bytes bytes_new(void)
{
	struct bytes b = {malloc(ROOM), 0};

	MUST(b.p);
	return b;
}

static void add(struct bytes *b, const void *p, size_t n)
{
	MUST(n <= ROOM - b->len);
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
}

/* One entry: content NULL is a folder, a link is symbolic. */
struct file {
	const char *path, *content, *link;
	size_t len; /* of the content; 0: it is text */
};

#define D1 "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "3333333333333333333333333333333333333333333333333333333333333333"

static char big[70001];

static const struct file since_25[] = {
	{.path = "blobs/"},
	{.path = "blobs/sha256/"},
	{.path = "blobs/sha256/" D1, .content = big, .len = sizeof(big)},
	{.path = "blobs/sha256/" D2, .content = big, .len = 512},
	{.path = "blobs/sha256/" D3, .content = "the configuration"},
	{.path = "index.json", .content = "{}"},
	{.path = "manifest.json", .content = "[{\"Layers\":[\"blobs/sha256/" D1 "\"]}]"},
	{0},
};

static const struct file before_25[] = {
	{.path = D1 "/"},
	{.path = D1 "/VERSION", .content = "1.0"},
	{.path = D1 "/json", .content = "{}"},
	{.path = D1 "/layer.tar", .content = big, .len = 1024},
	{.path = D2 "/"},
	{.path = D2 "/layer.tar", .link = "../" D1 "/layer.tar"},
	{.path = D3 "/"},
	{.path = D3 "/layer.tar", .content = big, .len = 1536},
	{.path = "manifest.json",
	 .content = "[{\"Layers\":[\"" D1 "/layer.tar\",\"" D3 "/layer.tar\"]}]"},
	{0},
};

static size_t content_len(const struct file *f)
{
	return f->len ? f->len : f->content ? strlen(f->content) : 0;
}

static struct bytes pack(const struct file *f, int format)
{
	struct bytes b = bytes_new();
	struct archive *a = archive_write_new();

	MUST(archive_write_set_format(a, format) == ARCHIVE_OK);
	MUST(archive_write_open_memory(a, b.p, ROOM, &b.len) == ARCHIVE_OK);
	for (; f->path; f++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, f->path);
		archive_entry_set_mode(e, f->link      ? AE_IFLNK | 0777
					  : f->content ? AE_IFREG | 0644
						       : AE_IFDIR | 0755);
		archive_entry_set_symlink(e, f->link);
		archive_entry_set_size(e, (la_int64_t)content_len(f));
		MUST(archive_write_header(a, e) == ARCHIVE_OK);
		if (f->content)
			MUST(archive_write_data(a, f->content, content_len(f)) ==
			     (la_ssize_t)content_len(f));
		archive_entry_free(e);
	}
	MUST(archive_write_close(a) == ARCHIVE_OK);
	archive_write_free(a);
	return b;
}

static int take(void *ctx, const void *p, size_t n, struct dm_err *ignored)
{
	(void)ignored;
	add(ctx, p, n);
	return 0;
}

/* Through the sieve in pieces of at most most bytes; *dropped is how many files stayed behind. */
static struct bytes sift(struct bytes in, const json_t *without, size_t most, size_t *dropped)
{
	struct bytes out = bytes_new();
	struct dm_sieve *s = dm_sieve_new(without, take, &out, &err);

	MUST(s);
	for (size_t at = 0, n; at < in.len; at += n) {
		n = most > 1 ? 1 + pick(most) : 1;
		n = n < in.len - at ? n : in.len - at;
		MUST(dm_sieve_data(s, in.p + at, n, &err) == 0);
	}
	MUST(dm_sieve_end(s, &err) == 0);
	*dropped = dm_sieve_dropped(s);
	dm_sieve_free(s);
	return out;
}

static json_t *keys(const char *one, const char *other)
{
	json_t *o = json_pack("{s:b}", one, 1);

	if (other)
		json_object_set_new(o, other, json_true());
	MUST(o);
	return o;
}

/* The archive holds these files, but for those in without, and no others. */
static void holds(struct bytes b, const struct file *f, const json_t *without)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char *content = malloc(ROOM);

	archive_read_support_format_tar(a);
	MUST(content && archive_read_open_memory(a, b.p, b.len) == ARCHIVE_OK);
	for (; f->path; f++) {
		if (json_object_get(without, f->path))
			continue;
		REQUIRE(archive_read_next_header(a, &e) == ARCHIVE_OK);
		CHECK_STR(archive_entry_pathname(e), f->path);
		CHECK_INT(archive_read_data(a, content, ROOM), content_len(f));
		CHECK(!f->content || !memcmp(content, f->content, content_len(f)));
		if (f->link)
			CHECK_STR(archive_entry_symlink(e), f->link);
	}
	CHECK_INT(archive_read_next_header(a, &e), ARCHIVE_EOF);
	archive_read_free(a);
	free(content);
}

/* Leave out what without names, whatever the pieces that the archive comes in. */
static void check_sift(const struct file *f, int format, json_t *without, size_t files)
{
	static const size_t most[] = {ROOM, 1, 511, 512, 513, 5000, 40000};
	struct bytes in = pack(f, format), first = {0}, out;
	size_t dropped;

	for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
		out = sift(in, without, most[i], &dropped);
		CHECK_INT(dropped, files);
		if (i == 0) {
			holds(out, f, without);
			first = out;
			continue;
		}
		CHECK(out.len == first.len && !memcmp(out.p, first.p, out.len));
		free(out.p);
	}
	free(first.p);
	free(in.p);
	json_decref(without);
}

TEST(layers_of_a_new_archive)
{
	fill(big, sizeof(big), 1);
	check_sift(since_25, ARCHIVE_FORMAT_TAR_USTAR, keys("blobs/sha256/" D1, NULL), 1);
	check_sift(since_25, ARCHIVE_FORMAT_TAR_USTAR, keys("blobs/sha256/" D1, "blobs/sha256/" D2),
		   2);
	check_sift(since_25, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, keys("blobs/sha256/" D2, NULL), 1);
}

TEST(layers_of_an_old_archive)
{
	check_sift(before_25, ARCHIVE_FORMAT_TAR_USTAR, keys(D1 "/layer.tar", NULL), 1);
	check_sift(before_25, ARCHIVE_FORMAT_TAR_USTAR, keys(D1 "/layer.tar", D3 "/layer.tar"), 2);
}

TEST(only_files_are_left_out)
{
	check_sift(before_25, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, keys("no such file", NULL), 0);
	/* a link, and a folder: holds() must not be told of them */
	struct bytes in = pack(before_25, ARCHIVE_FORMAT_TAR_USTAR), out;
	json_t *without = keys(D2 "/layer.tar", D2 "/");
	size_t dropped;

	out = sift(in, without, 1000, &dropped);
	CHECK_INT(dropped, 0);
	CHECK(out.len == in.len && !memcmp(out.p, in.p, in.len));
	json_decref(without);
	free(in.p);
	free(out.p);
}

TEST(long_names_go_with_their_files)
{
	char name[3][400];
	struct file f[] = {
		{.path = name[0], .content = "one"},
		{.path = name[1], .content = big, .len = 3000},
		{.path = name[2], .content = "three"},
		{.path = "manifest.json", .content = "[]"},
		{0},
	};

	for (int i = 0; i < 3; i++) {
		memset(name[i], 'n', sizeof(name[i]));
		snprintf(name[i] + 330, 70, "%d", i);
	}
	check_sift(f, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, keys(name[0], name[1]), 2);
	check_sift(f, ARCHIVE_FORMAT_TAR_GNUTAR, keys(name[0], name[1]), 2);
	check_sift(f, ARCHIVE_FORMAT_TAR_GNUTAR, keys(name[2], NULL), 1);
}

/* An entry made by hand. */
static void add_entry(struct bytes *b, const char *name, char type, const char *body, size_t len,
		      size_t told)
{
	static const char zeros[1024];
	unsigned char h[512] = {0};
	unsigned sum = 0;

	snprintf((char *)h, 100, "%s", name);
	snprintf((char *)h + 124, 12, "%011zo", told);
	memcpy(h + 257, "ustar\00000", 8);
	h[156] = (unsigned char)type;
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	add(b, h, 512);
	add(b, body, len);
	add(b, zeros, (512 - len % 512) % 512);
}

static void add_end(struct bytes *b)
{
	static const char zeros[1024];

	add(b, zeros, sizeof(zeros));
}

/* How a file larger than the header has room for looks. */
TEST(a_size_in_a_pax_header)
{
	struct file f[] = {{.path = "big", .content = big, .len = 1500},
			   {.path = "small", .content = "small"},
			   {0}};
	struct bytes in = bytes_new(), out;
	json_t *without = keys("big", NULL);
	size_t dropped;

	add_entry(&in, "x", 'x', "13 size=1500\n", 13, 13);
	add_entry(&in, "big", '0', big, 1500, 0);
	add_entry(&in, "small", '0', "small", 5, 5);
	add_end(&in);
	out = sift(in, without, 700, &dropped);
	CHECK_INT(dropped, 1);
	holds(out, f, without);
	CHECK_INT(out.len, 2048);
	json_decref(without);
	free(in.p);
	free(out.p);
}

/* From an entry on that is not understood, all stays; what is left out was so before it. */
static void check_foreign(const char *header, size_t len, char type, bool damaged)
{
	struct bytes in = bytes_new(), out;
	json_t *without = keys("gone", "kept");
	size_t dropped, from, before;

	add_entry(&in, "gone", '0', big, 600, 600);
	before = in.len;
	if (header)
		add_entry(&in, "x", type, header, len, len);
	add_entry(&in, "odd", header ? '0' : type, big, 700, 700);
	if (damaged)
		in.p[before + 3] ^= 1;
	from = in.len;
	add_entry(&in, "kept", '0', big, 2000, 2000);
	add_end(&in);
	out = sift(in, without, 900, &dropped);
	CHECK_INT(dropped, 1);
	REQUIRE(out.len == in.len - before);
	CHECK(!memcmp(out.p, in.p + before, out.len) && from < in.len);
	json_decref(without);
	free(in.p);
	free(out.p);
}

TEST(what_is_not_understood_stays)
{
	check_foreign(NULL, 0, '0', true);
	check_foreign(NULL, 0, 'S', false);
	check_foreign(NULL, 0, '5', false); /* a folder with bytes in it */
	check_foreign(NULL, 0, 'g', false);
	check_foreign("99 path=kept\n", 13, 'x', false);
	check_foreign("13 pathkept.\n", 13, 'x', false);
	check_foreign("0 a=b\n", 6, 'x', false);
	check_foreign("x path=kept\n", 12, 'x', false);
	check_foreign("12 size=-99\n", 12, 'x', false);
	check_foreign("16 size=12 size\n", 16, 'x', false);
	check_foreign("32 size=9999999999999999999999\n", 31, 'x', false);
}

TEST(the_table_of_contents_is_found)
{
	struct bytes in = pack(before_25, ARCHIVE_FORMAT_TAR_USTAR);
	struct dm_sieve *s = dm_sieve_new(NULL, NULL, NULL, &err);
	const char *text;
	size_t len;

	REQUIRE(s && !dm_sieve_manifest(s, &len));
	for (size_t i = 0; i < in.len; i++)
		CHECK(dm_sieve_data(s, in.p + i, 1, &err) == 0);
	text = dm_sieve_manifest(s, &len);
	REQUIRE(text);
	CHECK_INT(len, strlen(before_25[8].content));
	CHECK(!memcmp(text, before_25[8].content, len));
	dm_sieve_free(s);
	free(in.p);
}

TEST(half_a_table_or_one_without_end_is_none)
{
	struct bytes in = bytes_new(), large = bytes_new();
	struct dm_sieve *s = dm_sieve_new(NULL, NULL, NULL, &err);
	size_t len;

	add_entry(&in, "manifest.json", '0', "[]", 2, 2000);
	REQUIRE(s && dm_sieve_data(s, in.p, in.len, &err) == 0);
	CHECK(!dm_sieve_manifest(s, &len));
	dm_sieve_free(s);
	in.len = 0;
	fill(large.p, ROOM, 2);
	add_entry(&in, "manifest.json", '0', large.p, (4 << 20) + 1, (4 << 20) + 1);
	s = dm_sieve_new(NULL, NULL, NULL, &err);
	REQUIRE(s && dm_sieve_data(s, in.p, in.len, &err) == 0);
	CHECK(!dm_sieve_manifest(s, &len));
	dm_sieve_free(s);
	free(in.p);
	free(large.p);
}

static int refuse(void *ctx, const void *p, size_t n, struct dm_err *e)
{
	(void)ctx;
	(void)p;
	(void)n;
	return dm_fail(e, DM_FAILURE, "no more");
}

TEST(a_sink_that_fails_is_told)
{
	struct bytes in = pack(since_25, ARCHIVE_FORMAT_TAR_USTAR);
	struct dm_sieve *s = dm_sieve_new(NULL, refuse, NULL, &err);

	REQUIRE(s);
	CHECK(dm_sieve_data(s, in.p, in.len, &err) == -1);
	CHECK_STR(err.msg, "no more");
	dm_sieve_free(s);
	free(in.p);
}

/* Cut anywhere, damaged anywhere: never more bytes than came, and never a wrong one before the
 * place. */
TEST(damaged_archives)
{
	json_t *without = keys("blobs/sha256/" D1, "blobs/sha256/" D2);
	struct bytes in = pack(since_25, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE), out;
	struct bytes all = bytes_new();
	size_t dropped;

	for (int i = 0; i < 2000; i++) {
		all.len = 0;
		add(&all, in.p, pick(4) ? in.len : pick(in.len));
		for (size_t k = pick(4); k-- && all.len;)
			all.p[pick(2) ? pick(all.len) : pick(all.len) / 70000 * 512 + pick(512)] =
				(char)chance();
		out = sift(all, without, 1 + pick(3000), &dropped);
		CHECK(out.len <= all.len && dropped <= 3);
		free(out.p);
	}
	json_decref(without);
	free(in.p);
	free(all.p);
}
