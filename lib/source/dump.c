/* SPDX-License-Identifier: Apache-2.0 */
#include "source/dump.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/io.h"

enum { LOG_MAX = 64 << 20, DUMP_SECONDS = 600, FROZEN_SECONDS = 10 };

/* The first of CRIU's error lines is the cause; later ones follow from it. */
static void explain(const char *path, struct dm_err *err)
{
	char log[PATH_MAX + 32], *all, *line, *end;
	struct dm_err ignored;

	snprintf(log, sizeof(log), "%s/work/dump.log", path);
	all = dm_read_file(AT_FDCWD, log, LOG_MAX, NULL, &ignored);
	line = all ? strstr(all, "Error (") : NULL;
	/* a limit that may not be raised is no reason */
	while (line && strstr(line, "RLIMIT_NOFILE") &&
	       strcspn(line, "\n") > (size_t)(strstr(line, "RLIMIT_NOFILE") - line))
		line = strstr(line + 1, "Error (");
	if (line) {
		end = line + strcspn(line, "\n");
		*end = '\0';
		dm_fail_prefix(err, "CRIU: %s", line);
	}
	free(all);
}

static int wait_frozen(const struct dm_cgroup *c, struct dm_err *err)
{
	struct timespec nap = {.tv_nsec = 2000000};
	double end = dm_now() + FROZEN_SECONDS;
	int frozen;

	while ((frozen = dm_cgroup_frozen(c, err)) == 0) {
		if (dm_now() > end)
			return dm_fail(err, DM_FAILURE, "cgroup %s: not frozen after the dump",
				       c->path);
		nanosleep(&nap, NULL);
	}
	return frozen < 0 ? -1 : 0;
}

int dm_dump(const struct dm_container *c, const char *path, int dirfd, enum dm_tcp tcp,
	    struct dm_err *err)
{
	char root[PATH_MAX], images[PATH_MAX + 32], work[PATH_MAX + 32], conf[PATH_MAX + 64];
	const char *const argv[] = {"runc",
				    "--root",
				    root,
				    "checkpoint",
				    "--leave-running",
				    "--file-locks",
				    "--image-path",
				    images,
				    "--work-path",
				    work,
				    c->id,
				    NULL};
	const char *const env[] = {conf, NULL};
	/* the network is cut already, and CRIU's own lock costs time here and on the target */
	const char *options =
		tcp == DM_TCP_CLOSE ? "network-lock skip\ntcp-close\n" : "network-lock skip\n";
	struct dm_child child = {
		.argv = argv, .env = env, .in = -1, .out = -1, .err = -1, .session = true};
	pid_t pid;
	int rc;

	if (dm_container_runc_root(c, root, sizeof(root), err))
		return -1;
	snprintf(images, sizeof(images), "%s/images", path);
	snprintf(work, sizeof(work), "%s/work", path);
	snprintf(conf, sizeof(conf), "CRIU_CONFIG_FILE=%s/criu.conf", path);
	if ((mkdirat(dirfd, "images", 0700) || mkdirat(dirfd, "work", 0700)))
		return dm_fail_errno(err, "make folder %s", images);
	if (dm_write_file(dirfd, "criu.conf", options, strlen(options), err))
		return -1;
	pid = dm_child_start(&child, err);
	if (pid < 0)
		return -1;
	rc = dm_child_wait(pid, "runc checkpoint", DUMP_SECONDS, err);
	if (rc != 0) {
		if (rc > 0)
			dm_fail(err, DM_FAILURE,
				"container %s: the dump failed (runc ended with %d)", c->name, rc);
		explain(path, err);
		return -1;
	}
	return wait_frozen(&c->cgroup, err);
}
