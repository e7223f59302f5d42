/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that change at random, between passes and under their eyes. */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "files_random.h"

/* Where random changes begin; DM_SEED gives another. */
static uint64_t seed(void)
{
	const char *s = getenv("DM_SEED");

	return s ? strtoull(s, NULL, 0) : 1;
}

static void random_rounds(bool upper, int rounds)
{
	struct trees t;
	char root[96];
	struct dice d = {seed(), root, upper};

	REQUIRE(trees_open(&t, NULL) == 0);
	snprintf(root, sizeof(root), "%s/src", t.base);
	t.opts.upper = upper;
	t.kind = upper ? DM_TREE_UPPER : DM_TREE_PLAIN;
	for (int i = 0; i < rounds && !test_failed; i++) {
		/* A file's opaque mark would be refused; folders may have it. */
		for (unsigned n = roll(&d, 60); n > 0; n--)
			random_change(&d);
		in_src(&t, "find . ! -type d -exec setfattr -h -x trusted.overlay.opaque {} +"
			   " 2>/dev/null; true");
		if (roll(&d, 4) == 0)
			settle();
		CHECK(trees_pass(&t) == 0);
		if (same_trees(&t, "src", "dst", ""))
			TEST_BAD("seed %llu, round %d", (unsigned long long)seed(), i);
		if (roll(&d, 3) == 0)
			CHECK(trees_feed(&t, t.archive.data, t.archive.len, 1 + roll(&d, 9999)) ==
			      0);
	}
	trees_close(&t);
}

TEST(a_volume_changed_at_random_is_followed)
{
	random_rounds(false, 50);
}

TEST(an_upper_directory_changed_at_random_is_followed)
{
	random_rounds(true, 50);
}

TEST(a_mounted_overlay_follows_another)
{
	struct trees t;
	char root[96];
	struct dice d = {seed(), root, false};

	REQUIRE(trees_open(&t, NULL) == 0);
	snprintf(root, sizeof(root), "%s/m1", t.base);
	CHECK(sh("cd %s; mkdir low m1 m2 w1 w2; cd low; for i in a b c; do mkdir -p $i/a $i/b $i/c;"
		 "echo $i >$i/d; echo $i >$i/a/b; ln $i/d $i/a/e; mkfifo $i/b/c; done",
		 t.base) == 0);
	if (sh("cd %s; cp -a low low2; mount -t overlay o1 m1 -o "
	       "lowerdir=low,upperdir=src,workdir=w1",
	       t.base)) {
		trees_close(&t);
		SKIP("no overlay here");
	}
	t.opts.upper = true;
	t.kind = DM_TREE_UPPER;
	for (int n = 0; n < 30; n++)
		random_change(&d);
	CHECK(trees_pass(&t) == 0);
	close(t.dst);
	CHECK(sh("cd %s; mount -t overlay o2 m2 -o lowerdir=low2,upperdir=dst,workdir=w2",
		 t.base) == 0);
	snprintf(root, sizeof(root), "%s/m2", t.base);
	t.dst = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(root, sizeof(root), "%s/m1", t.base);
	t.kind = DM_TREE_MERGED;
	CHECK(same_trees(&t, "m1", "m2", "") == 0);
	/* A new folder where the layer below has one; an attribute that overlayfs hides. */
	for (size_t i = 0; i < 3; i++) {
		static const char *const cmds[] = {
			"rm -rf c/a a/b b; mkdir -p c/a a b; echo b >a/b; mkdir b/c",
			"setfattr -n trusted.overlay.mine -v 1 c", /* refused before Linux 6.7 */
			"setfattr -x trusted.overlay.mine c"};

		sh("cd %s/m1; { %s; } 2>/dev/null", t.base, cmds[i]);
		CHECK(trees_pass(&t) == 0);
		CHECK(same_trees(&t, "m1", "m2", "") == 0);
	}
	for (int i = 0; i < 40 && !test_failed; i++) {
		for (unsigned n = roll(&d, 40); n > 0; n--)
			random_change(&d);
		CHECK(trees_pass(&t) == 0);
		if (same_trees(&t, "m1", "m2", ""))
			TEST_BAD("seed %llu, round %d", (unsigned long long)seed(), i);
	}
	close(t.dst);
	t.dst = -1;
	CHECK(sh("cd %s; umount m1 m2", t.base) == 0);
	trees_close(&t);
}

/* A thread that changes the tree until it is told to stop. */
struct changer {
	struct dice d;
	char root[96];
	atomic_bool stop;
	pthread_t thread;
};

static void *change(void *ctx)
{
	struct changer *c = ctx;

	while (!c->stop)
		random_change(&c->d);
	return NULL;
}

TEST(changes_while_packing_are_left_to_the_next_pass)
{
	struct trees t;
	struct changer c = {0};

	REQUIRE(trees_open(&t, NULL) == 0);
	snprintf(c.root, sizeof(c.root), "%s/src", t.base);
	c.d = (struct dice){seed(), c.root, false};
	for (int round = 0; round < 10 && !test_failed; round++) {
		c.stop = false;
		REQUIRE(pthread_create(&c.thread, NULL, change, &c) == 0);
		for (int i = 0; i < 15; i++)
			CHECK(trees_pass(&t) == 0);
		c.stop = true;
		pthread_join(c.thread, NULL);
		t.opts.frozen = true;
		CHECK(trees_pass(&t) == 0);
		t.opts.frozen = false;
		if (!alike(&t))
			TEST_BAD("seed %llu, round %d", (unsigned long long)seed(), round);
	}
	trees_close(&t);
}

/* A thread that stores through a shared mapping. */
struct storer {
	volatile uint64_t *words;
	size_t pages;
	atomic_bool stop;
	pthread_t thread;
};

static void *store(void *ctx)
{
	struct storer *s = ctx;
	struct dice d = {seed(), "", false};

	for (uint64_t n = 1; !s->stop; n++) {
		s->words[roll(&d, (unsigned)s->pages) * 512] = n;
		if (roll(&d, 100) == 0)
			usleep(roll(&d, 300));
	}
	return NULL;
}

/* Passes while somebody stores, each followed by a frozen one. */
static void stores(const char *where)
{
	struct trees t;
	struct storer s = {.pages = 64};
	char path[96];
	int fd;

	if (trees_open(&t, where))
		SKIP("no such file system");
	snprintf(path, sizeof(path), "%s/src/mapped", t.base);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(ftruncate(fd, (off_t)s.pages * 4096) == 0);
	CHECK(in_src(&t, "yes | head -c 262144 | dd of=mapped conv=notrunc status=none") == 0);
	s.words = mmap(NULL, s.pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(s.words != MAP_FAILED);
	for (int i = 0; i < 40; i++) {
		s.stop = false;
		pthread_create(&s.thread, NULL, store, &s);
		usleep(1000);
		CHECK(trees_pass(&t) == 0);
		CHECK(trees_pass(&t) == 0);
		/* Old times on everything but what is stored from now on. */
		settle();
		CHECK(trees_pass(&t) == 0);
		s.stop = true;
		pthread_join(s.thread, NULL);
		t.opts.frozen = true;
		CHECK(trees_pass(&t) == 0);
		t.opts.frozen = false;
		CHECK(sh("cmp %s/src/mapped %s/dst/mapped", t.base, t.base) == 0);
	}
	munmap((void *)s.words, s.pages * 4096);
	close(fd);
	trees_close(&t);
}

TEST(stores_through_a_mapping_are_not_lost)
{
	stores(NULL);
}

TEST(stores_through_a_mapping_on_tmpfs_are_not_lost)
{
	stores("/dev/shm");
}

TEST(files_named_by_the_caller_are_compared_by_content)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "echo a >a") == 0);
	settle();
	CHECK(trees_pass(&t) == 0);
	t.opts.content = true;
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.checked, 1);
	CHECK_INT(t.packed.sent, 0);
	trees_close(&t);
}

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
	/* Looked at for its content only, it changes its owner before that. */
	SEQUENCE("echo z >z", ":", ":", "chown 1:1 z", ":", ":");
	/* Two names of a file listed, one of them gone before it was read. */
	SEQUENCE("head -c 200000 /dev/urandom >x; ln x y", "rm y", "cp x y; printf 1 >>y",
		 "printf 1 | dd of=x conv=notrunc status=none", "printf 2 >>x; printf 2 >>y", ":");
	SEQUENCE("head -c 200000 /dev/urandom >x; ln x y", "rm x", "cp y x; printf 1 >>y",
		 "printf 1 | dd of=x conv=notrunc status=none", "printf 2 >>x; printf 2 >>y", ":");
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

TEST(a_mount_in_the_tree_is_named)
{
	struct trees t;

	REQUIRE(trees_open(&t, NULL) == 0);
	CHECK(in_src(&t, "mkdir -p d/m; touch d/f") == 0);
	CHECK(sh("mount -t tmpfs none %s/src/d/m", t.base) == 0);
	CHECK(trees_pack(&t) < 0);
	CHECK_INT(t.err.code, DM_UNFIT);
	CHECK(strstr(t.err.msg, "d/m"));
	CHECK(sh("umount %s/src/d/m; cd %s; : >other; mount --bind other src/d/f", t.base,
		 t.base) == 0);
	CHECK(trees_pack(&t) < 0);
	CHECK_INT(t.err.code, DM_UNFIT);
	CHECK(strstr(t.err.msg, "d/f"));
	CHECK(sh("umount %s/src/d/f", t.base) == 0);
	trees_close(&t);
}
