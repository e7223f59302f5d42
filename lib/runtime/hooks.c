/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "net/cut.h"
#include "runtime/pending.h"
#include "runtime/talk.h"

/* The container's state, as a runtime gives it to hooks. */
static int pid_from_stdin(pid_t *pid, struct dm_err *err)
{
	char *text;
	json_t *o;
	size_t len;

	text = dm_read_file(AT_FDCWD, "/proc/self/fd/0", 1 << 20, &len, err);
	o = text ? dm_json_parse(text, len, "state on stdin", err) : NULL;
	free(text);
	if (!o)
		return -1;
	*pid = (pid_t)dm_json_int(o, "pid", 0);
	json_decref(o);
	return *pid > 1 ? 0 : dm_fail(err, DM_FAILURE, "state on stdin: no pid");
}

static int pid_from_text(const char *text, pid_t *pid, struct dm_err *err)
{
	uint64_t n;

	if (dm_num_u64(text, "PID", 2, 0x7fffffff, &n, err))
		return -1;
	*pid = (pid_t)n;
	return 0;
}

static int link_of(const char *arg, int (*what)(int, struct dm_err *), struct dm_err *err)
{
	pid_t pid;
	int netns, ret;

	if (arg ? pid_from_text(arg, &pid, err) : pid_from_stdin(&pid, err))
		return -1;
	netns = dm_cut_netns(pid, err);
	if (netns < 0)
		return -1;
	ret = what(netns, err);
	close(netns);
	return ret;
}

static int wait_for_go(const char *dir, struct dm_err *err)
{
	char text[DM_TALK_MAX];
	struct dm_pending p;
	pid_t pid;
	int fd;

	if (pid_from_stdin(&pid, err))
		return -1;
	if (dm_pending_open_path(dir, &p, err) != 1)
		return dm_fail(err, DM_FAILURE, "%s is gone", dir);
	fd = dm_talk_connect(&p, err);
	if (fd < 0)
		return -1;
	dm_talk_say(fd, "hook %ld", (long)pid);
	if (dm_talk_hear(fd, -1, text) == 1 && !strcmp(text, "go"))
		return 0;
	return dm_fail(err, DM_FAILURE, "the restore was aborted");
}

int dm_hooks_run(const char *name, const char *arg, struct dm_err *err)
{
	if (!strcmp(name, "_cut"))
		return link_of(arg, dm_cut_install, err);
	if (!strcmp(name, "_open") && arg)
		return link_of(arg, dm_cut_remove, err);
	if (!strcmp(name, "_hook") && arg)
		return wait_for_go(arg, err);
	return dm_fail(err, DM_USAGE, "%s: no such command; see dm-runtime(8)", name);
}
