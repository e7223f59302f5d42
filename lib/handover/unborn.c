/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/unborn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "handover/record.h"

static int folder(char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/unborn", dm_record_state());

	return n > 0 && n < PATH_MAX ? 0 : -1;
}

int dm_unborn_mark(const char *container, const char *migration, struct dm_err *err)
{
	char path[PATH_MAX];
	int dir, ret;

	if (folder(path))
		return dm_fail(err, DM_FAILURE, "mark container %.12s: path too long", container);
	dir = dm_dir_make(path, err);
	if (dir < 0)
		return -1;
	ret = dm_write_file(dir, container, migration, strlen(migration), err);
	close(dir);
	return ret;
}

int dm_unborn_clear(const char *container, struct dm_err *err)
{
	char path[PATH_MAX];
	int dir, ret = 0;

	if (folder(path) || (dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 0; /* nothing was ever marked */
	if ((unlinkat(dir, container, 0) && errno != ENOENT) || fsync(dir))
		ret = dm_fail_errno(err, "unmark container %.12s", container);
	close(dir);
	return ret;
}

/* Whether that migration was decided "running". */
static int ran(const char *migration)
{
	struct dm_err ignored;
	struct dm_record *r = dm_record_open(DM_TARGET, migration, false, &ignored);
	char standing[DM_WORD_MAX];
	int ret;

	if (!r)
		return 0;
	ret = dm_record_decision(r, standing, &ignored) == 1 && !strcmp(standing, "running");
	dm_record_close(r);
	return ret;
}

int dm_unborn_is(const char *container)
{
	char path[PATH_MAX], file[PATH_MAX], *migration;
	struct dm_err ignored;
	int ret;

	if (strchr(container, '/') || folder(path) ||
	    snprintf(file, sizeof(file), "%s/%s", path, container) >= (int)sizeof(file) ||
	    access(file, F_OK))
		return 0;
	migration = dm_read_file(AT_FDCWD, file, 4096, NULL, &ignored);
	ret = !migration || !ran(migration);
	free(migration);
	return ret;
}
