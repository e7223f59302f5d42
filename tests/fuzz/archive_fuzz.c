/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives applied to a tree: the first byte says of which kind the tree is, the rest is the
 * archive. All is done by a thread whose root folder is one in memory: whatever happened, nothing
 * else would be reached. Beside the tree lies a secret, which must stay as it is.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "files/apply.h"
#include "threads.h"
#include "ustar.h"

FUZZ_FORMAT(fuzz_ustar)

/* The linker's --wrap lends the memory for the archive's bytes: to make it anew takes long. */
enum { LARGE = 4 << 20, LENT = LARGE + (64 << 10) };

static _Alignas(64) uint8_t memory[LENT];
static int lent;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

void *__wrap_calloc(size_t n, size_t size)
{
	if (n != 1 || size < LARGE || size > LENT)
		return __real_calloc(n, size);
	lent++;
	memset(memory, 0, size - LARGE); /* it ends with the room for bytes */
	return memory;
}

void __wrap_free(void *p)
{
	if (p == memory)
		lent--;
	else
		__real_free(p);
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	HOLDS(fd >= 0 && dm_write_full(fd, text, strlen(text)) == 0);
	close(fd);
}

/* Go where nothing is but a secret, an empty folder and /proc. */
static void confine(void)
{
	HOLDS(unshare(CLONE_NEWNS | CLONE_FS) == 0);
	HOLDS(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	HOLDS(mount("fuzz", fuzz_folder(), "tmpfs", 0, "size=64m") == 0);
	HOLDS(chroot(fuzz_folder()) == 0 && chdir("/") == 0);
	HOLDS(mkdir("proc", 0755) == 0 && mount("proc", "/proc", "proc", 0, NULL) == 0);
	HOLDS(mkdir("secret", 0700) == 0 && mkdir("work", 0700) == 0);
	put(AT_FDCWD, "secret/s", "secret");
	HOLDS(mkdir("secret/in", 0700) == 0);
	put(AT_FDCWD, "secret/in/t", "secret, too");
}

/* The tree as it is before: files, links to what is outside, an open folder. Returns it. */
static int plant(void)
{
	int tree;

	HOLDS(mkdir("work/tree", 0755) == 0);
	tree = open("work/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(tree >= 0 && mkdirat(tree, "d", 0755) == 0 && mkdirat(tree, "d/e", 0755) == 0);
	put(tree, "f", "four");
	put(tree, "d/g", "a file in a folder");
	put(tree, "big", "to be patched");
	HOLDS(truncate("work/tree/big", 70000) == 0);
	HOLDS(symlinkat("../../secret", tree, "up") == 0 && symlinkat("/secret/s", tree, "s") == 0);
	HOLDS(symlinkat("../../../secret", tree, "d/up") == 0);
	return tree;
}

static struct stat look(const char *path)
{
	struct stat st;

	HOLDS(lstat(path, &st) == 0);
	st.st_atim = (struct timespec){0};
	return st;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_nlink == b->st_nlink &&
	       a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_size == b->st_size &&
	       !memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) &&
	       !memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim));
}

static const uint8_t *archive;
static size_t archive_size;

static void apply(void)
{
	static const char *const outside[] = {"/", "/secret", "/secret/s", "/secret/in",
					      "/secret/in/t"};
	enum { OUTSIDE = sizeof(outside) / sizeof(*outside) };
	static struct stat before[OUTSIDE];
	static bool confined;
	struct dm_err err = {0};
	struct dm_apply *a;
	size_t n = archive_size ? archive_size - 1 : 0, half = n / 2;
	int tree, failed;

	if (!confined) {
		confine();
		for (int i = 0; i < OUTSIDE; i++)
			before[i] = look(outside[i]);
		confined = true;
	}
	tree = plant();
	a = dm_apply_new(tree, (enum dm_tree_kind)(archive_size ? archive[0] % 3 : 0), &err);
	HOLDS(a);
	failed = dm_apply_data(a, archive + 1, half, &err) ||
		 dm_apply_data(a, archive + 1 + half, n - half, &err);
	if (failed && n % 2)
		dm_apply_abort(a);
	else
		failed = dm_apply_end(a, NULL, &err);
	HOLDS(!failed || err.msg[0]);
	close(tree);
	for (int i = 0; i < OUTSIDE; i++) {
		struct stat now = look(outside[i]);

		HOLDS(same(&now, &before[i]));
	}
	tree = open("work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(tree >= 0 && dm_tree_remove(tree, "tree", &err) == 0);
	close(tree);
	HOLDS(lent == 0 && fuzz_threads() == 1);
}

static void *work(void *arg)
{
	(void)arg;
	apply();
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pthread_t thread;

	archive = data;
	archive_size = size;
	HOLDS(pthread_create(&thread, NULL, work, NULL) == 0); /* the same one each time */
	HOLDS(pthread_join(thread, NULL) == 0);
	return 0;
}
