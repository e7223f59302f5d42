/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "container/binds.h"

/* Make what is missing of path; the topmost folder that was made is left in p->made. */
static int make_all(struct dm_bind_place *p, struct dm_err *err)
{
	char part[PATH_MAX];

	for (size_t i = 1; p->path[i - 1]; i++) {
		if (p->path[i] != '/' && p->path[i] != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, p->path);
		if (mkdir(part, 0755) == 0) {
			if (!p->made[0])
				snprintf(p->made, sizeof(p->made), "%s", part);
		} else if (errno != EEXIST) {
			return dm_fail_errno(err, "make folder %s", part);
		}
	}
	return 0;
}

int dm_bind_place_make(struct dm_bind_place *p, const char *path, struct dm_err *err)
{
	const char *kind = dm_binds_kind(path);
	struct dm_err ignored;

	*p = (struct dm_bind_place){0};
	if (path[0] != '/' || strstr(path, "/../") ||
	    snprintf(p->path, sizeof(p->path), "%s", path) >= (int)sizeof(p->path))
		return dm_fail(err, DM_BAD_STREAM, "bind mount %s: not a path to copy to", path);
	if (strcmp(kind, "nothing") && strcmp(kind, "empty"))
		return dm_fail(err, DM_UNFIT, "%s exists here, and is not an empty folder", path);
	if (!strcmp(kind, "empty"))
		return 0;
	if (make_all(p, err)) {
		dm_bind_place_undo(p, &ignored);
		p->path[0] = p->made[0] = '\0';
		return -1;
	}
	return 0;
}

int dm_bind_place_undo(const struct dm_bind_place *p, struct dm_err *err)
{
	char above[PATH_MAX];
	const char *name;
	int fd, ret;

	if (!p->made[0]) {
		fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT ? 0 : dm_fail_errno(err, "open %s", p->path);
		return dm_dir_clear(fd, err) ? dm_fail_prefix(err, "%s", p->path) : 0;
	}
	name = strrchr(p->made, '/') + 1;
	snprintf(above, sizeof(above), "%.*s", (int)(name - p->made), p->made);
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err, "open %s", above);
	ret = dm_dir_remove(fd, name, err);
	close(fd);
	return ret;
}
