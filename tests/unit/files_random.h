/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_RANDOM_H
#define DM_FILES_RANDOM_H

/*
 * Random changes to a tree, the same for the same seed. They follow symbolic links, so the links
 * they make lead nowhere or to a name beside them, never out of the tree.
 */

#include <errno.h>
#include <ftw.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "files_tool.h"

struct dice {
	uint64_t state;
	const char *root; /* the tree's path */
	bool upper;	  /* whiteouts and opaque folders too */
};

static inline unsigned roll(struct dice *d, unsigned n)
{
	d->state = d->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->state >> 33) % n;
}

enum { PATH_ROOM = 512 };

/* A path out of few, so that they meet often: 1 to 3 names of a to e, and e is a long one. */
static inline void some_path(struct dice *d, char out[PATH_ROOM])
{
	int n = snprintf(out, PATH_ROOM, "%s", d->root);

	for (unsigned depth = 1 + roll(d, 3); depth > 0; depth--) {
		char c = (char)('a' + roll(d, 5));

		n += snprintf(out + n, PATH_ROOM - (size_t)n, "/%c", c);
		if (c == 'e')
			n += snprintf(out + n, PATH_ROOM - (size_t)n, "%0110d", 5);
	}
}

static inline void some_bytes(struct dice *d, const char *path, int flags)
{
	static const unsigned sizes[] = {0, 1, 100, 4096, 65536, 70000, 200000, 300000};
	unsigned len = sizes[roll(d, 8)], c = roll(d, 3) ? 1 + roll(d, 255) : 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0644);
	char *buf;
	struct stat st;

	if (fd < 0)
		return;
	buf = malloc(len + 1);
	memset(buf, (int)c, len + 1);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (flags ? write(fd, buf, len) : pwrite(fd, buf, len, 1000 * roll(d, 400))) < 0)
		TEST_BAD("write %s", path);
	free(buf);
	close(fd);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path) && errno != ENOENT;
}

/* Remove whatever path is. */
static inline void remove_path(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* No container can reach a whiteout, so its owner, mode and times are nothing to be kept. */
static inline bool is_whiteout(const struct dice *d, const char *path)
{
	struct stat st;

	return d->upper && lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static inline void change_meta(struct dice *d, const char *path)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {roll(d, 2000000000), roll(d, 999999999)}};
	static const char *const names[] = {"user.a", "trusted.b", "trusted.c",
					    "trusted.overlay.mine"};
	const char *name = names[roll(d, d->upper ? 3 : 4)];

	if (is_whiteout(d, path))
		return;
	switch (roll(d, 5)) {
	case 0:
		fchmodat(AT_FDCWD, path, roll(d, 07777), 0);
		break;
	case 1:
		if (lchown(path, roll(d, 5), roll(d, 5)))
			break;
		break;
	case 2:
		utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
		break;
	case 3:
		lsetxattr(path, name, "value", roll(d, 5), 0);
		break;
	default:
		lremovexattr(path, name);
	}
}

static inline void make_node(struct dice *d, const char *path)
{
	static const mode_t types[] = {S_IFIFO, S_IFCHR, S_IFBLK};
	static const struct timespec old[2] = {{1, 0}, {1, 0}};
	mode_t type = types[roll(d, 3)];

	remove_path(path);
	switch (roll(d, 4)) {
	case 0:
		mkdir(path, 0700 + roll(d, 0100));
		break;
	case 1:
		if (symlink(roll(d, 2) ? "a" : "/nonexistent/x", path))
			break;
		break;
	case 2:
		mknod(path, type | roll(d, 0777), makedev(1 + roll(d, 300), roll(d, 70000)));
		break;
	default:
		if (d->upper && mknod(path, S_IFCHR, 0) == 0)
			utimensat(AT_FDCWD, path, old, 0);
	}
}

/* Make other another name of path; whiteouts with several names come out as several files. */
static inline void add_name(struct dice *d, const char *path, const char *other)
{
	if (is_whiteout(d, path))
		return;
	if (roll(d, 2))
		remove_path(other);
	if (linkat(AT_FDCWD, path, AT_FDCWD, other, 0))
		return;
}

/* Make one random change; many of them fail, which is fine. */
static inline void random_change(struct dice *d)
{
	char path[PATH_ROOM], other[PATH_ROOM];

	some_path(d, path);
	some_path(d, other);
	switch (roll(d, 16)) {
	case 0:
	case 1:
		some_bytes(d, path, O_TRUNC);
		break;
	case 2:
		some_bytes(d, path, O_APPEND);
		break;
	case 3:
	case 4:
		some_bytes(d, path, 0);
		break;
	case 5:
		if (truncate(path, roll(d, 400000)))
			break;
		break;
	case 6:
		remove_path(path);
		break;
	case 7:
	case 8:
		mkdir(path, 0755);
		break;
	case 9:
		make_node(d, path);
		break;
	case 10:
	case 11:
		add_name(d, path, other);
		break;
	case 12:
		rename(path, other);
		break;
	case 13:
		if (d->upper && roll(d, 2))
			lsetxattr(path, "trusted.overlay.opaque", "y", 1, 0);
		else if (d->upper)
			lremovexattr(path, "trusted.overlay.opaque");
		break;
	default:
		change_meta(d, path);
	}
}

#endif
