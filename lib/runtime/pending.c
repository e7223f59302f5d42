/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pending.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"

static const char *run_folder(void)
{
	const char *run = getenv("DM_RUN");

	return run ? run : "/run/docker-migrate";
}

/* What runc takes for a container's id, and can be no path. */
static bool id_ok(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.");

	return n >= 1 && n < 256 && id[n] == '\0' && id[0] != '.';
}

int dm_pending_open_path(const char *path, struct dm_pending *p, struct dm_err *err)
{
	struct stat st;

	if (snprintf(p->path, sizeof(p->path), "%s", path) >= (int)sizeof(p->path))
		return dm_fail(err, DM_FAILURE, "open folder %s: name too long", path);
	p->id = strrchr(p->path, '/') ? strrchr(p->path, '/') + 1 : p->path;
	p->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->dir < 0 && errno == ENOENT)
		return 0;
	if (p->dir < 0)
		return dm_fail_errno(err, "open folder %s", path);
	if (fstat(p->dir, &st) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		close(p->dir);
		return dm_fail(err, DM_UNFIT, "folder %s: must be mode 0700 and owned by user %u",
			       path, (unsigned)geteuid());
	}
	return 1;
}

int dm_pending_path(const char *id, char path[PATH_MAX], struct dm_err *err)
{
	if (!id_ok(id) || snprintf(path, PATH_MAX, "%s/restore/%s", run_folder(), id) >= PATH_MAX)
		return dm_fail(err, DM_FAILURE, "container id %s: not allowed", id);
	return 0;
}

int dm_pending_open(const char *id, struct dm_pending *p, struct dm_err *err)
{
	char path[PATH_MAX];
	int ret;

	if (dm_pending_path(id, path, err))
		return 0; /* no id of ours */
	ret = dm_pending_open_path(path, p, err);
	p->id = id;
	return ret;
}

bool dm_pending_has(const struct dm_pending *p, const char *name)
{
	return faccessat(p->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int dm_pending_begin(const struct dm_pending *p, char *why, size_t size, struct dm_err *err)
{
	static const char text[] = "it was begun, and no end is known\n";
	char *old;
	int fd;

	fd = openat(p->dir, "failed", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {
		old = dm_read_file(p->dir, "failed", 4096, NULL, err);
		snprintf(why, size, "%.*s", old ? (int)strcspn(old, "\n") : 0, old ? old : "");
		free(old);
		return 0;
	}
	if (fd < 0)
		return dm_fail_errno(err, "create %s/failed", p->path);
	if (dm_write_full(fd, text, sizeof(text) - 1) || fsync(fd) || fsync(p->dir)) {
		dm_fail_errno(err, "write %s/failed", p->path);
		close(fd);
		return -1;
	}
	close(fd);
	return 1;
}

void dm_pending_reason(const struct dm_pending *p, const char *why)
{
	struct dm_err err;
	char line[1100];
	int n = snprintf(line, sizeof(line), "%s\n", why);

	if (dm_write_file(p->dir, "failed", line, (size_t)n, &err))
		dm_say("%s", err.msg);
}

int dm_pending_finish(const struct dm_pending *p, struct dm_err *err)
{
	char done[PATH_MAX];
	int fd, ret = -1;

	snprintf(done, sizeof(done), "%s/done", run_folder());
	fd = dm_dir_make(done, err);
	if (fd < 0)
		return -1;
	if (dm_dir_remove(fd, p->id, err))
		goto out;
	if (renameat(AT_FDCWD, p->path, fd, p->id)) {
		dm_fail_errno(err, "move %s to %s", p->path, done);
		goto out;
	}
	if (unlinkat(p->dir, "failed", 0) && errno != ENOENT) {
		dm_fail_errno(err, "remove %s/%s/failed", done, p->id);
		goto out;
	}
	ret = 0;
out:
	close(fd);
	return ret;
}

int dm_pending_stamp(const struct dm_pending *p, const char *name, struct dm_err *err)
{
	struct timespec t;
	char line[64];
	int n;

	clock_gettime(CLOCK_REALTIME, &t);
	n = snprintf(line, sizeof(line), "%lld.%06ld\n", (long long)t.tv_sec, t.tv_nsec / 1000);
	return dm_write_file(p->dir, name, line, (size_t)n, err);
}

double dm_pending_time(const struct dm_pending *p, const char *name)
{
	struct dm_err err;
	char *text;
	double t;

	if (!dm_pending_has(p, name))
		return 0;
	text = dm_read_file(p->dir, name, 4096, NULL, &err);
	t = text ? strtod(text, NULL) : 0;
	free(text);
	return t;
}
