/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that change at random, between passes and while one runs. */

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
