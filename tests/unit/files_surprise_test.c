/* SPDX-License-Identifier: Apache-2.0 */
/* Changes at the worst moment: between the listing of a tree and the reading of its files. */

#include "files_tool.h"

/* What to do to the tree while the archive's first bytes come out. */
struct hook {
	struct trees *t;
	const char *cmd;
	int code; /* fail with this code */
};

static int hooked(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct hook *h = ctx;

	if (h->code)
		return dm_fail(err, (enum dm_code)h->code, "full");
	if (h->cmd && in_src(h->t, h->cmd))
		return dm_fail(err, DM_FAILURE, "hook");
	h->cmd = NULL;
	return dm_buf_add(&h->t->archive, bytes, len, err);
}

/* A pass in which cmd is run while the big file is read. Returns 0; -1. */
static int pass_with(struct trees *t, const char *cmd, int code)
{
	struct hook h = {t, cmd, code};
	struct dm_manifest *now;

	t->archive.len = 0;
	if (dm_pack_tree(&t->opts, t->src, t->old, &now, hooked, &h, &t->packed, &t->err))
		return -1;
	dm_manifest_free(t->old);
	t->old = now;
	return trees_feed(t, t->archive.data, t->archive.len, 65521);
}

static const char *const surprises[] = {
	"rm z",
	"rm z; ln -s ../secret/z z",
	"rm z; mkfifo z",
	"rm z; mkdir z; echo in >z/in",
	"echo other >z2; mv z2 z",
	"rm -r zd",
	"mv zd gone; ln -s ../secret zd",
	"mv zd gone; mkdir zd; echo new >zd/new; echo f >zd/f",
	"mkdir n; mv zd/f n; mv zd gone; mv n zd",
	"mv zd/sub gone; ln -s ../../secret zd/sub",
	"rm zd/f; ln -s ../../secret/z zd/f",
	"rm za; mknod za c 1 3",
	"rm zl1",
	"rm zl1 zl2",
	"rm zl1; echo other >zl1",
	"truncate -s 300000 a",
	"truncate -s 3M a",
	"printf X | dd of=a bs=1 seek=2000000 conv=notrunc status=none",
	"rm a",
	"mv a b",
	"chmod 600 z zd; setfattr -n user.x -v y z",
};

static const char surprised[] = "head -c 2500000 /dev/urandom >a; echo z >z; mkdir -p zd/sub zd2;"
				"echo f >zd/f; echo g >zd/sub/z; echo za >za; echo l >zl1;"
				"ln zl1 zl2; ln zl1 zd2/l";

TEST(what_is_swapped_under_the_reader_never_leads_out)
{
	struct trees t;

	for (size_t i = 0; i < sizeof(surprises) / sizeof(*surprises); i++) {
		REQUIRE(trees_open(&t, NULL) == 0);
		CHECK(sh("mkdir %s/secret; echo SECRET | tee %s/secret/z >%s/secret/f", t.base,
			 t.base, t.base) == 0);
		CHECK(in_src(&t, surprised) == 0);
		if (i % 2)
			settle();
		CHECK(pass_with(&t, surprises[i], 0) == 0);
		CHECK(!memmem(t.archive.data, t.archive.len, "SECRET", 6));
		CHECK(trees_pass(&t) == 0);
		if (!alike(&t))
			TEST_BAD("after %s", surprises[i]);
		/* Once more as a delta in which the big file changed. */
		CHECK(in_src(&t, "rm -rf *") == 0);
		CHECK(in_src(&t, surprised) == 0);
		CHECK(pass_with(&t, surprises[i], 0) == 0);
		CHECK(!memmem(t.archive.data, t.archive.len, "SECRET", 6));
		t.opts.frozen = true;
		CHECK(trees_pass(&t) == 0);
		if (!alike(&t))
			TEST_BAD("in a delta, after %s", surprises[i]);
		trees_close(&t);
	}
}

/*
 * Passes, before each of which the tree is changed and a surprise in each, then one without. All
 * must be as in the source.
 */
static void sequence(const char *const *cmds, size_t n)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	for (size_t i = 0; i < n; i += 2) {
		CHECK(in_src(&t, "head -c 2500000 /dev/urandom >a") == 0);
		CHECK(in_src(&t, cmds[i]) == 0);
		CHECK(pass_with(&t, cmds[i + 1], 0) == 0);
	}
	t.opts.frozen = true;
	CHECK(trees_pass(&t) == 0);
	if (!alike(&t))
		TEST_BAD("after %s ... %s", cmds[0], cmds[n - 1]);
	trees_close(&t);
}

#define SEQUENCE(...)                                                                              \
	do {                                                                                       \
		static const char *const cmds[] = {__VA_ARGS__};                                   \
		sequence(cmds, sizeof(cmds) / sizeof(*cmds));                                      \
	} while (0)

TEST(what_could_not_be_read_is_not_built_on)
{
	/* A folder; something else listed, but not read; a folder again. */
	SEQUENCE("mkdir c; echo e >c/e", ":", "mv c c1; ln -s x c", "rm c; mkdir c", ":", ":");
	SEQUENCE("mkdir c; echo e >c/e", ":", "mv c c1; mkdir c; echo f >c/f", "mv c c2; mv c1 c",
		 ":", ":");
	SEQUENCE("echo c >c", ":", "rm c; mkdir c; echo d >c/d", "mv c c1; echo f >c", ":",
		 "rm c; mv c1 c", ":", ":");
	SEQUENCE("mkdir c", "rmdir c", "mkdir c; echo e >c/e", "rm -r c", "mkdir c", ":");
	/* Two names of a file listed, one of them gone before it was read. */
	SEQUENCE("head -c 200000 /dev/urandom >x; ln x y", "rm y", "cp x y; printf 1 >>y",
		 "printf 1 | dd of=x conv=notrunc status=none", "printf 2 >>x; printf 2 >>y", ":");
	SEQUENCE("head -c 200000 /dev/urandom >x; ln x y", "rm x", "cp y x; printf 1 >>y",
		 "printf 1 | dd of=x conv=notrunc status=none", "printf 2 >>x; printf 2 >>y", ":");
}

TEST(a_file_read_only_to_compare_may_change_its_owner_before)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	t.opts.content = true;
	CHECK(in_src(&t, "echo z >z") == 0);
	settle();
	CHECK(trees_pass(&t) == 0);
	CHECK(in_src(&t, "head -c 2500000 /dev/urandom >a") == 0);
	CHECK(pass_with(&t, "chown 1:1 z; sleep 0.3", 0) == 0);
	settle();
	CHECK(trees_pass(&t) == 0);
	CHECK(alike(&t));
	trees_close(&t);
}

TEST(a_change_while_frozen_is_an_error)
{
	for (size_t i = 0; i < sizeof(surprises) / sizeof(*surprises); i++) {
		struct trees t;

		REQUIRE(trees_open(&t, NULL) == 0);
		CHECK(in_src(&t, surprised) == 0);
		t.opts.frozen = true;
		/* New names, and what happens behind the read, do not show. */
		if (pass_with(&t, surprises[i], 0) == 0)
			TEST_BAD("not seen: %s", surprises[i]);
		else if (!strstr(t.err.msg, "changed while frozen"))
			TEST_BAD("%s: %s", surprises[i], t.err.msg);
		trees_close(&t);
	}
}

TEST(a_failing_writer_is_heard)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, surprised) == 0);
	CHECK(pass_with(&t, NULL, DM_ROLLED_BACK) < 0);
	CHECK_INT(t.err.code, DM_ROLLED_BACK);
	CHECK_STR(t.err.msg, "full");
	trees_close(&t);
}
