/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: opened beneath a root, made for their owner alone, removed whole. */
#include "test.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "base/dir.h"
#include "tool.h"

static struct dm_err err;

/* Fill dir with: f, sub/f, link -> f, out -> /, up -> .., subs -> sub */
static void populate(int dir)
{
	int fd = openat(dir, "f", O_WRONLY | O_CREAT, 0600);

	MUST(fd >= 0);
	close(fd);
	MUST(mkdirat(dir, "sub", 0700) == 0);
	fd = openat(dir, "sub/f", O_WRONLY | O_CREAT, 0600);
	MUST(fd >= 0);
	close(fd);
	MUST(symlinkat("f", dir, "link") == 0 && symlinkat("/", dir, "out") == 0 &&
	     symlinkat("..", dir, "up") == 0 && symlinkat("sub", dir, "subs") == 0);
}

/* Open path beneath dir. Returns 0, or errno. */
static int beneath(int dir, const char *path, bool cross)
{
	int fd = dm_dir_open_beneath(dir, path, O_RDONLY, 0, cross);

	if (fd < 0)
		return errno;
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return 0;
}

TEST(nothing_outside_a_folder_is_opened)
{
	int dir = open_folder(fresh_folder()), fd;
	struct stat st;

	populate(dir);
	for (int cross = 0; cross < 2; cross++) {
		CHECK_INT(beneath(dir, "f", cross), 0);
		CHECK_INT(beneath(dir, "sub/f", cross), 0);
		CHECK_INT(beneath(dir, "sub/../f", cross), 0);
		CHECK_INT(beneath(dir, ".", cross), 0);
		CHECK_INT(beneath(dir, "..", cross), EXDEV);
		CHECK_INT(beneath(dir, "sub/../..", cross), EXDEV);
		CHECK_INT(beneath(dir, "/etc/passwd", cross), EXDEV);
		CHECK_INT(beneath(dir, "link", cross), ELOOP);
		CHECK_INT(beneath(dir, "subs/f", cross), ELOOP);
		CHECK_INT(beneath(dir, "up", cross), ELOOP);
		CHECK_INT(beneath(dir, "out/etc/passwd", cross), ELOOP);
		CHECK_INT(beneath(dir, "none", cross), ENOENT);
	}
	umask(0);
	fd = dm_dir_open_beneath(dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0640, false);
	umask(022);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
	close(fd);
	close(dir);
}

TEST(another_mount_is_entered_only_on_demand)
{
	int root = open_folder("/");

	CHECK_INT(beneath(root, "proc/version", false), EXDEV);
	CHECK_INT(beneath(root, "proc/version", true), 0);
	close(root);
}

/* Make base/name; its mode must be 0700. Returns 0, or the code. */
static int make(const char *base, const char *name)
{
	char path[5000];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s%s%s", base, name[0] ? "/" : "", name);
	err = (struct dm_err){0};
	fd = dm_dir_make(path, &err);
	if (fd < 0)
		return (int)err.code;
	CHECK(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return 0;
}

TEST(folders_are_made_for_their_owner_alone)
{
	const char *base = fresh_folder();
	char path[256], name[4200];
	int dir = open_folder(base);
	struct stat st;

	populate(dir);
	umask(0);
	CHECK_INT(make(base, "a/b/c"), 0);
	CHECK_INT(make(base, "a/b/c"), 0);
	CHECK_INT(make(base, "d//e/"), 0);
	umask(022);
	CHECK(fstatat(dir, "a", &st, 0) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(fstatat(dir, "d/e", &st, 0) == 0);

	CHECK_INT(make("", ""), DM_FAILURE);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK_INT(make(base, name), DM_FAILURE);
	CHECK_INT(make(base, "f"), DM_FAILURE);
	CHECK_INT(make(base, "f/x"), DM_FAILURE);
	CHECK(strstr(err.msg, "make folder "));
	snprintf(path, sizeof(path), "%s/f", base);
	CHECK(strstr(err.msg, path));
	close(dir);
}

TEST(folders_that_others_can_enter_are_refused)
{
	static const mode_t modes[] = {0755, 0710, 0701, 0777, 0740, 01777};
	const char *base = fresh_folder();
	int dir = open_folder(base);

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		MUST(mkdirat(dir, "x", 0700) == 0 && fchmodat(dir, "x", modes[i], 0) == 0);
		CHECK_INT(make(base, "x"), DM_UNFIT);
		CHECK(strstr(err.msg, "0700"));
		CHECK_INT(make(base, "x/y"), 0); /* what lies in it is closed by itself */
		MUST(dm_dir_remove(dir, "x", &err) == 0);
	}
	close(dir);
}

TEST(links_are_no_folders)
{
	const char *base = fresh_folder();
	int dir = open_folder(base);

	populate(dir);
	CHECK_INT(make(base, "sub"), 0);
	CHECK_INT(make(base, "subs"), DM_FAILURE);
	CHECK_INT(make(base, "subs/"), DM_FAILURE);
	CHECK_INT(make(base, "subs//"), DM_FAILURE);
	close(dir);
}

TEST(folders_of_another_user_are_refused)
{
	const char *base = fresh_folder();
	int dir = open_folder(base);

	if (geteuid())
		SKIP("not root");
	MUST(mkdirat(dir, "x", 0700) == 0 && fchownat(dir, "x", 12345, 12345, 0) == 0);
	CHECK_INT(make(base, "x"), DM_UNFIT);
	close(dir);
}

TEST(trees_are_removed_and_links_are_not_followed)
{
	const char *base = fresh_folder(), *outside = fresh_folder();
	int dir = open_folder(base), out = open_folder(outside), sub;
	size_t before = count_descriptors();
	char name[32];

	populate(out);
	MUST(mkdirat(dir, "t", 0700) == 0);
	sub = openat(dir, "t", O_RDONLY | O_DIRECTORY);
	populate(sub);
	MUST(mkdirat(sub, "sub/deep", 0000) == 0 && mkdirat(sub, "sub/deep/er", 0500) == 0);
	MUST(symlinkat(outside, sub, "sub/outside") == 0 && mkfifoat(sub, "sub/fifo", 0600) == 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		MUST(i % 3 ? mkfifoat(sub, name, 0600) == 0 : mkdirat(sub, name, 0700) == 0);
	}
	close(sub);
	CHECK_INT(dm_dir_remove(dir, "t", &err), 0);
	CHECK_INT(count_names(base), 0);
	CHECK_INT(count_names(outside), 6);
	MUST(symlinkat(outside, dir, "t") == 0);
	CHECK_INT(dm_dir_remove(dir, "t", &err), 0);
	CHECK_INT(count_names(base), 0);
	CHECK_INT(count_names(outside), 6);
	CHECK_INT(dm_dir_remove(dir, "t", &err), 0);
	CHECK_INT(dm_dir_remove(out, "f", &err), 0);
	CHECK_INT(count_names(outside), 5);
	CHECK_INT(count_descriptors(), before);
	close(out);
	close(dir);
}

/* Remove a tree in a mount namespace where something is mounted in it. Returns what was wrong. */
static int remove_around_mount(const char *outside, const char *base, const char *type, bool top)
{
	char at[256];
	int dir;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 77;
	dir = open_folder(base); /* of this namespace */
	MUST(mkdirat(dir, "t", 0700) == 0 && mkdirat(dir, "t/m", 0700) == 0);
	snprintf(at, sizeof(at), "%s/t%s", base, top ? "" : "/m");
	if (mount(type ? "none" : outside, at, type, type ? 0 : MS_BIND, NULL))
		return 77;
	if (type) {
		snprintf(at, sizeof(at), "%s/t%s/inside", base, top ? "" : "/m");
		MUST(mkdir(at, 0700) == 0);
	}
	if (dm_dir_remove(dir, "t", &err) != -1)
		return 1;
	if (strncmp(err.msg, "remove t: ", 10))
		return 2;
	return type && access(at, F_OK) ? 3 : 0;
}

TEST(other_mounts_are_not_entered)
{
	static const char *const types[] = {"tmpfs", NULL}; /* NULL: the same file system again */

	for (int i = 0; i < 4; i++) {
		const char *base = fresh_folder(), *outside = fresh_folder();
		int out = open_folder(outside), code;
		pid_t pid;

		populate(out);
		close(out);
		fflush(stdout);
		pid = fork();
		MUST(pid >= 0);
		if (pid == 0)
			_exit(remove_around_mount(outside, base, types[i / 2], i % 2));
		code = exit_code(pid);
		if (code == 77)
			SKIP("mounting is not allowed");
		CHECK_INT(code, 0);
		CHECK_INT(count_names(outside), 6);
	}
}

TEST(room_is_what_the_file_system_has)
{
	int fd = open_folder(fresh_folder());
	struct statvfs v;
	uint64_t room = dm_dir_room(fd);

	MUST(fstatvfs(fd, &v) == 0);
	CHECK(room > 0 && room / 2 < (uint64_t)v.f_bavail * v.f_frsize &&
	      room * 2 > (uint64_t)v.f_bavail * v.f_frsize);
	close(fd);
	CHECK_INT(dm_dir_room(fd), 0);
}
