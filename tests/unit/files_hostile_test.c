/* SPDX-License-Identifier: Apache-2.0 */
/* Archives that no packer of ours makes: cut off, damaged, or made to break out. */

#include <archive.h>
#include <archive_entry.h>

#include "files_random.h"

/* One entry of an archive. Fields of zero or NULL are left out. */
struct entry {
	const char *path, *hardlink, *symlink, *data, *xattr, *value;
	mode_t type;
	int64_t uid;
	int64_t size; /* when it is not the data's: of a sparse file */
};

static la_ssize_t to_archive(struct archive *a, void *ctx, const void *bytes, size_t len)
{
	struct dm_err err;

	(void)a;
	return dm_buf_add(ctx, bytes, len, &err) ? -1 : (la_ssize_t)len;
}

static void add_entry(struct archive *a, const struct entry *in)
{
	struct archive_entry *e = archive_entry_new();
	size_t len = in->data ? strlen(in->data) : 0;

	archive_entry_copy_pathname(e, in->path);
	archive_entry_set_mode(e, in->type | 0644);
	archive_entry_set_uid(e, in->uid);
	archive_entry_set_mtime(e, 1000, 0);
	archive_entry_set_size(e, in->size ? in->size : (int64_t)len);
	if (in->size)
		archive_entry_sparse_add_entry(e, in->size - (int64_t)len, (int64_t)len);
	if (in->hardlink)
		archive_entry_copy_hardlink(e, in->hardlink);
	if (in->symlink)
		archive_entry_copy_symlink(e, in->symlink);
	if (in->xattr)
		archive_entry_xattr_add_entry(e, in->xattr, in->value, strlen(in->value));
	if (archive_write_header(a, e) != ARCHIVE_OK)
		TEST_BAD("%s: %s", in->path, archive_error_string(a));
	if (in->size) {
		static char zeros[1 << 20];

		for (int64_t n = in->size - (int64_t)len; n > 0; n -= (int64_t)sizeof(zeros))
			archive_write_data(a, zeros,
					   n < (int64_t)sizeof(zeros) ? (size_t)n : sizeof(zeros));
	}
	if (len > 0 && !in->hardlink && archive_write_data(a, in->data, len) < 0)
		TEST_BAD("%s: %s", in->path, archive_error_string(a));
	archive_entry_free(e);
}

static void build(struct trees *t, const struct entry *entries, size_t n)
{
	struct archive *a = archive_write_new();

	t->archive.len = 0;
	archive_write_set_format_pax(a);
	archive_write_set_format_option(a, "pax", "hdrcharset", "BINARY");
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open2(a, &t->archive, NULL, to_archive, NULL, NULL);
	for (size_t i = 0; i < n && entries[i].path; i++)
		add_entry(a, &entries[i]);
	archive_write_free(a);
}

#define ROOT                                                                                       \
	{                                                                                          \
		.path = ".", .type = AE_IFDIR                                                      \
	}

static const char big_name[] =
	"0123456789012345678901234567890123456789012345678901234567890123456"
	"0123456789012345678901234567890123456789012345678901234567890123456"
	"0123456789012345678901234567890123456789012345678901234567890123456"
	"0123456789012345678901234567890123456789012345678901234567890123456";

struct attack {
	int kind; /* enum dm_tree_kind */
	int code; /* what is to come of it */
	struct entry entries[4];
};

#define REG(p)                                                                                     \
	{                                                                                          \
		.path = p, .type = AE_IFREG, .data = "evil"                                        \
	}
#define MARK(p, x, v)                                                                              \
	{                                                                                          \
		.path = p, .type = AE_IFREG, .xattr = x, .value = v                                \
	}
#define LINK(p, to)                                                                                \
	{                                                                                          \
		.path = p, .type = AE_IFREG, .hardlink = to                                        \
	}

/* The target has f, d/x, h (a name of secret/h), l -> ../secret/z, ld -> ../secret. */
static const struct attack attacks[] = {
	{0, DM_BAD_STREAM, {REG("../evil"), ROOT}},
	{0, DM_BAD_STREAM, {REG("/tmp/files-evil"), ROOT}},
	{0, DM_BAD_STREAM, {REG("d/../../evil"), ROOT}},
	{0, DM_BAD_STREAM, {REG(".."), ROOT}},
	{0, DM_BAD_STREAM, {REG("./f"), ROOT}},
	{0, DM_BAD_STREAM, {REG("d//x"), ROOT}},
	{0, DM_BAD_STREAM, {REG("d/./x"), ROOT}},
	{0, DM_BAD_STREAM, {REG("d/."), ROOT}},
	{0, DM_BAD_STREAM, {REG("ld/evil"), ROOT}},
	{0, DM_BAD_STREAM, {REG("ld/z"), ROOT}},
	{0, DM_BAD_STREAM, {REG("f/x"), ROOT}},
	{0, DM_BAD_STREAM, {REG("missing/x"), ROOT}},
	{0, DM_BAD_STREAM, {REG(big_name), ROOT}},
	{0, DM_BAD_STREAM, {REG("."), ROOT}},
	{0, DM_BAD_STREAM, {{.path = "../secret", .type = AE_IFDIR}, ROOT}},
	{0, DM_BAD_STREAM, {{.path = "/", .type = AE_IFDIR}, ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "../secret/z"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "/etc/passwd"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "ld/z"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "d"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("f", "f"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "none"), ROOT}},
	{0, DM_BAD_STREAM, {LINK("new", "f/x"), ROOT}},
	{0, DM_BAD_STREAM, {LINK(".", "f"), ROOT}},
	{0, DM_FAILURE, {LINK("d", "d/x"), ROOT}}, /* d goes, and d/x with it */
	{0, DM_BAD_STREAM, {MARK("../secret", DM_PACK_DELETED, "y"), ROOT}},
	{0, DM_BAD_STREAM, {MARK(".", DM_PACK_DELETED, "y"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("l", DM_PACK_PATCH, "7"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("h", DM_PACK_PATCH, "7"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("d", DM_PACK_PATCH, "7"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("none", DM_PACK_PATCH, "7"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATCH, "8"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATCH, ""), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATCH, "-2"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATCH, "2x"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATCH, big_name), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATH, "../evil"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATH, "ld/evil"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_PATH, ""), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", "docker-migrate.other", "y"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_OPAQUE, "y"), ROOT}},
	{0, DM_BAD_STREAM, {MARK("f", DM_PACK_WHITEOUT, "y"), ROOT}},
	{1, DM_BAD_STREAM, {MARK("f", DM_PACK_WHITEOUT, "y"), ROOT}},
	{1, DM_BAD_STREAM, {MARK("f", "trusted.overlay.redirect", "/x"), ROOT}},
	{1, DM_BAD_STREAM, {MARK("f", "trusted.overlay.opaque", "y"), ROOT}},
	{2, DM_BAD_STREAM, {MARK("f", "trusted.overlay.metacopy", ""), ROOT}},
	{1, DM_BAD_STREAM, {{.path = "new", .type = AE_IFCHR}, ROOT}},
	{2, DM_BAD_STREAM, {{.path = "new", .type = AE_IFCHR}, ROOT}},
	{0, DM_BAD_STREAM, {{.path = "f", .type = AE_IFREG, .uid = 0xffffffff}, ROOT}},
	{0, DM_BAD_STREAM, {{.path = "f", .type = AE_IFREG, .uid = (int64_t)1 << 40}, ROOT}},
	{0, DM_BAD_STREAM, {ROOT, REG("after")}},
	{0, DM_BAD_STREAM, {ROOT, ROOT}},
	{0, DM_BAD_STREAM, {REG("f")}},
	{0, DM_FAILURE, {MARK("f", "nonsense.name", "y"), ROOT}},
	/* These are odd, but do no harm. */
	{0, DM_OK, {REG("l"), ROOT}},
	{0, DM_OK, {REG("h"), ROOT}},
	{0, DM_OK, {REG("ld"), ROOT}},
	{0, DM_OK, {{.path = "ld", .type = AE_IFDIR}, REG("ld/z"), ROOT}},
	{0, DM_OK, {{.path = "l", .type = AE_IFLNK, .symlink = "../secret/z", .uid = 7}, ROOT}},
	{0, DM_OK, {LINK("l", "f"), ROOT}},
	{0, DM_OK, {LINK("ld", "f"), ROOT}},
	{0, DM_OK, {LINK("new", "l"), REG("new"), ROOT}},
	{0, DM_OK, {{.path = "d", .type = AE_IFLNK, .symlink = "../secret"}, ROOT}},
	{0, DM_OK, {MARK("ld", DM_PACK_DELETED, "y"), ROOT}},
	{0, DM_OK, {MARK("ld/z", DM_PACK_DELETED, "y"), ROOT}},
	{0, DM_OK, {MARK("f/x", DM_PACK_DELETED, "y"), ROOT}},
	{0, DM_OK, {MARK("none/x", DM_PACK_DELETED, "y"), ROOT}},
};

/* What an attack could change, as text. */
static const char outside[] = "stat -c '%N %f %u %g %s %y' secret secret/*; cat secret/*;"
			      "ls -A . | grep -v look; ls -d /tmp/files-evil 2>/dev/null; true";

/* Set up the target of the attacks. */
static int victim(struct trees *t)
{
	if (trees_open(t, NULL))
		return -1;
	return sh("cd %s && mkdir secret && echo SECRET >secret/z && echo SECRET >secret/h &&"
		  "cd dst && echo file >f && mkdir d && echo x >d/x && ln ../secret/h h &&"
		  "ln -s ../secret/z l && ln -s ../secret ld && cd .. && { %s; } >look.1",
		  t->base, outside);
}

/* Whether nothing but the target changed. */
static bool untouched(const struct trees *t)
{
	return sh("cd %s && { %s; } >look.2; cmp -s look.1 look.2", t->base, outside) == 0;
}

TEST(no_archive_breaks_out)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		const struct attack *k = &attacks[i];
		struct trees t;
		int ret;

		REQUIRE(victim(&t) == 0);
		t.kind = (enum dm_tree_kind)k->kind;
		build(&t, k->entries, 4);
		t.err.code = DM_OK;
		ret = trees_feed(&t, t.archive.data, t.archive.len, 512);
		if ((ret < 0) != (k->code != DM_OK) || (int)t.err.code != k->code)
			TEST_BAD("attack %zu (%s): %d, code %d: %s", i, k->entries[0].path, ret,
				 (int)t.err.code, t.err.msg);
		if (!untouched(&t))
			TEST_BAD("attack %zu (%s) changed something outside", i,
				 k->entries[0].path);
		trees_close(&t);
	}
}

TEST(a_mount_in_the_target_is_not_entered)
{
	struct trees t;
	const struct entry in[] = {REG("d/evil"), ROOT};
	const struct entry on[] = {{.path = "d", .type = AE_IFDIR}, ROOT};

	REQUIRE(victim(&t) == 0);
	CHECK(sh("mount --bind %s/secret %s/dst/d", t.base, t.base) == 0);
	build(&t, in, 2);
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 512) < 0);
	build(&t, on, 2);
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 512) < 0);
	CHECK(sh("umount %s/dst/d", t.base) == 0);
	CHECK(untouched(&t));
	trees_close(&t);
}

TEST(an_archive_cut_anywhere_is_an_error)
{
	struct trees t;

	REQUIRE(victim(&t) == 0);
	CHECK(in_src(&t, "mkdir d; echo data >d/f; ln d/f g; ln -s x s; truncate -s 100000 sp;"
			 "echo end >>sp; setfattr -n user.x -v y d") == 0);
	CHECK(trees_pack(&t) == 0);
	for (size_t n = 0; n < t.archive.len && !test_failed; n++) {
		if (trees_feed(&t, t.archive.data, n, 4096) == 0)
			TEST_BAD("cut at %zu of %zu", n, t.archive.len);
		else if (t.err.code != DM_BAD_STREAM)
			TEST_BAD("cut at %zu: code %d: %s", n, (int)t.err.code, t.err.msg);
	}
	CHECK(untouched(&t));
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 1) == 0);
	CHECK(sh("rm %s/dst/h %s/dst/l %s/dst/ld %s/dst/d/x %s/dst/f; touch -r %s/src/d %s/dst/d;"
		 "touch -r %s/src %s/dst",
		 t.base, t.base, t.base, t.base, t.base, t.base, t.base, t.base, t.base) == 0);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(nothing_may_follow_the_end)
{
	struct trees t;
	const char zeros[4096] = "";
	struct dm_err err;
	size_t len;

	REQUIRE(victim(&t) == 0);
	CHECK(in_src(&t, "echo data >f") == 0);
	CHECK(trees_pack(&t) == 0);
	len = t.archive.len;
	CHECK(dm_buf_add(&t.archive, zeros, sizeof(zeros), &err) == 0);
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 100) == 0); /* padding */
	t.archive.data[t.archive.len - 1] = 1;
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 100) < 0);
	CHECK_INT(t.err.code, DM_BAD_STREAM);
	t.archive.len = len;
	CHECK(dm_buf_add(&t.archive, t.archive.data, 0, &err) == 0);
	for (size_t i = 0; i < len; i++) { /* a second archive */
		char c = t.archive.data[i];

		CHECK(dm_buf_add(&t.archive, &c, 1, &err) == 0);
	}
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 100) < 0);
	CHECK_INT(t.err.code, DM_BAD_STREAM);
	trees_close(&t);
}

TEST(damaged_archives_do_no_harm)
{
	struct dice d = {.state = 1};
	struct trees t;
	char *good;
	size_t len;
	int passed = 0;

	REQUIRE(victim(&t) == 0);
	CHECK(in_src(&t, "mkdir d; echo data >d/f; ln d/f g; ln -s x s; truncate -s 100000 sp;"
			 "echo end >>sp; setfattr -n user.x -v y d; mkfifo p; mkdir zz; echo z "
			 ">zz/z") == 0);
	CHECK(trees_pack(&t) == 0);
	len = t.archive.len;
	good = malloc(len);
	memcpy(good, t.archive.data, len);
	for (int i = 0; i < 2000; i++) {
		memcpy(t.archive.data, good, len);
		for (unsigned n = 1 + roll(&d, 3); n > 0; n--)
			t.archive.data[roll(&d, (unsigned)len)] = (char)roll(&d, 256);
		passed += trees_feed(&t, t.archive.data, len, 4096) == 0;
	}
	CHECK(passed < 1900); /* damage in data and padding is for others to find */
	CHECK(untouched(&t));
	free(good);
	trees_close(&t);
}

/* Feed n bytes of nothing after a bad beginning: the error comes back, and no call hangs. */
TEST(an_error_reaches_the_feeder_in_time)
{
	static char junk[1 << 20];
	struct trees t;
	struct dm_apply *a;
	int ret = 0, n = 0;

	REQUIRE(victim(&t) == 0);
	memset(junk, 'x', sizeof(junk));
	a = dm_apply_new(t.dst, DM_TREE_PLAIN, &t.err);
	REQUIRE(a != NULL);
	for (; n < 200 && ret == 0; n++)
		ret = dm_apply_data(a, junk, sizeof(junk), &t.err);
	CHECK(ret < 0);
	CHECK(n < 10);
	CHECK_INT(t.err.code, DM_BAD_STREAM);
	CHECK(dm_apply_data(a, junk, 1, &t.err) < 0);
	CHECK(dm_apply_end(a, NULL, &t.err) < 0);
	CHECK_INT(t.err.code, DM_BAD_STREAM);
	/* Given up in the middle, in the beginning, and with the ring full. */
	CHECK(in_src(&t, "head -c 20M /dev/urandom >big") == 0);
	CHECK(trees_pack(&t) == 0);
	for (int i = 0; i < 50; i++) {
		a = dm_apply_new(t.dst, DM_TREE_PLAIN, &t.err);
		REQUIRE(a != NULL);
		CHECK(dm_apply_data(a, t.archive.data, (size_t)i * 400000, &t.err) == 0);
		dm_apply_abort(a);
	}
	dm_apply_abort(NULL);
	trees_close(&t);
}

TEST(a_full_disk_is_an_error_not_a_hang)
{
	struct trees t;
	char path[96];

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "head -c 30M /dev/urandom >big") == 0);
	CHECK(trees_pack(&t) == 0);
	close(t.dst);
	CHECK(sh("mkdir %s/m1; mount -t tmpfs -o size=5M none %s/m1", t.base, t.base) == 0);
	snprintf(path, sizeof(path), "%s/m1", t.base);
	t.dst = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(trees_feed(&t, t.archive.data, t.archive.len, 1 << 20) < 0);
	CHECK_INT(t.err.code, DM_FAILURE);
	CHECK(strstr(t.err.msg, "big") && strstr(t.err.msg, "No space"));
	close(t.dst);
	t.dst = -1;
	trees_close(&t);
}
