/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/script.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "handover/record.h"
#include "net/cut.h"
#include "runtime/criulog.h"
#include "runtime/job.h"
#include "runtime/procs.h"
#include "runtime/restore.h"
#include "runtime/talk.h"

enum { ANSWER_SECONDS = 30 };

#define ACTION "CRTOOLS_SCRIPT_ACTION"

bool dm_script_called(int argc)
{
	return argc == 1 && getenv(ACTION) && getenv(DM_RESTORE_DIR);
}

/*
 * Set how likely CRIU is to be killed when memory is out. It runs in the container's memory cgroup.
 * While it makes the container's processes it must have 0, since those whose value was 0 inherit
 * its own; later it must not be chosen: the container would go on without a decision.
 */
static void set_oom_score(const char *score)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/oom_score_adj", (long)getppid());
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, score, strlen(score)) < 0)
		dm_say("no right to set %s", path); /* into CRIU's log */
	if (fd >= 0)
		close(fd);
}

static int pre_restore(const struct dm_job *job, struct dm_err *err)
{
	char text[DM_TALK_MAX];
	int fd = dm_talk_connect(&job->pending, err), ret = 0;

	if (fd < 0)
		return -1;
	set_oom_score("0");
	dm_talk_say(fd, "script %ld", (long)getppid());
	if (dm_talk_hear(fd, ANSWER_SECONDS, text) != 1)
		ret = dm_fail(err, DM_FAILURE, "the supervisor died");
	close(fd);
	return ret;
}

/* Ask the supervisor, so that it and we never do opposite things. */
static int ask(int fd, pid_t root, struct dm_err *err)
{
	char text[DM_TALK_MAX];
	int heard;

	dm_talk_say(fd, "decide %ld", (long)root);
	heard = dm_talk_hear(fd, ANSWER_SECONDS, text);
	if (heard < 0)
		return dm_fail(err, DM_FAILURE, "the supervisor does not answer");
	if (heard == 0)
		return dm_fail(err, DM_FAILURE, "the supervisor died");
	if (strcmp(text, "yes") != 0)
		return dm_fail(err, DM_FAILURE, "the supervisor said: %s", text);
	return 0;
}

/* The container's own network; -1 when it shares the host's, or with err when it cannot be told. */
static int link_of(pid_t root, struct dm_err *err)
{
	int netns = dm_cut_netns(root, err);

	if (netns < 0 || !dm_cut_own(netns))
		return netns;
	close(netns);
	err->msg[0] = '\0';
	return -1;
}

/* All that has to hold before the decision, and the decision. */
static int win(const struct dm_job *job, const struct dm_procs *t, int fd, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int won;

	if (ask(fd, t->root.pid, err) || dm_criulog_check(&job->pending, err))
		return -1;
	if (!dm_proc_can_run(&t->root))
		return dm_fail(err, DM_FAILURE, "the root task %ld is dead", (long)t->root.pid);
	won = dm_plan_decide(&job->plan, "running", standing, err);
	if (won == 0)
		return dm_fail(err, DM_FAILURE, "another decision stands: %s", standing);
	return won == 1 ? 0 : -1;
}

static void lose(const struct dm_job *job, struct dm_procs *t, int fd, const struct dm_err *why)
{
	struct dm_err err;

	dm_say("the container is killed: %s", why->msg);
	while (dm_procs_kill(t, job->pending.id, DM_PROCS_CONTAINER, -1, &err)) {
		dm_say("%s", err.msg);
		sleep(1);
	}
	if (fd >= 0)
		dm_talk_say(fd, "lost %s", why->msg);
}

/* The root task's number, as CRIU tells it; 0 when it does not. */
static pid_t root_pid(void)
{
	const char *pid = getenv("CRTOOLS_INIT_PID");

	return pid ? atoi(pid) : 0;
}

/* It is decided: open the link before the container runs, so that it misses nothing. */
static void open_link(const struct dm_job *job, int netns, struct dm_cut_opener *opener)
{
	struct dm_err err;

	if (netns < 0 || (opener->pid > 0 && dm_cut_open(opener, &err) == 0) ||
	    dm_cut_remove(netns, &err) == 0)
		return;
	dm_say("%s", err.msg);
	dm_pending_stamp(&job->pending, "closed", &err);
}

static int pre_resume(const struct dm_job *job, const struct dm_err *unready)
{
	struct dm_cut_opener opener = {0};
	struct dm_procs t = {0};
	struct dm_err err = {0};
	int fd = -1, netns = -1, ret = 1;

	if (dm_proc_find(root_pid(), &t.root, &err) == 0) {
		netns = link_of(t.root.pid, &err);
		if (netns >= 0)
			dm_cut_ready(netns, &opener, &err);
		if (unready)
			err = *unready;
		else
			fd = dm_talk_connect(&job->pending, &err);
		if (fd >= 0 && win(job, &t, fd, &err) == 0)
			ret = 0;
	}
	if (ret)
		lose(job, &t, fd, &err);
	else
		open_link(job, netns, &opener);
	dm_cut_unready(&opener);
	if (netns >= 0)
		close(netns);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int post_resume(const struct dm_job *job, struct dm_err *err)
{
	int ret = dm_pending_stamp(&job->pending, "resumed", err), netns;
	struct dm_err ours;

	netns = link_of(root_pid(), &ours);
	if (netns < 0)
		return ret;
	if (dm_cut_remove(netns, &ours))
		dm_say("%s", ours.msg);
	else
		unlinkat(job->pending.dir, "closed", 0);
	close(netns);
	return ret;
}

int dm_script_run(void)
{
	const char *action = getenv(ACTION), *dir = getenv(DM_RESTORE_DIR);
	struct dm_job job = {0};
	struct dm_err err = {0};
	int ready, ret = 0;

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(action, "post-restore"))
		set_oom_score("-1000");
	if (strcmp(action, "pre-restore") != 0 && strcmp(action, "pre-resume") != 0 &&
	    strcmp(action, "post-resume") != 0)
		return 0;
	ready = dm_pending_open_path(dir, &job.pending, &err);
	if (ready == 0)
		dm_fail(&err, DM_FAILURE, "%s is gone", dir);
	else if (ready == 1)
		ready = dm_plan_read(&job.pending, &job.plan, &err) ? -1 : 1;
	if (!strcmp(action, "pre-resume"))
		ret = pre_resume(&job, ready == 1 ? NULL : &err);
	else if (ready != 1)
		ret = -1;
	else if (!strcmp(action, "pre-restore"))
		ret = pre_restore(&job, &err);
	else
		ret = post_resume(&job, &err);
	if (ret < 0)
		dm_say("%s: %s", action, err.msg);
	dm_plan_free(&job.plan);
	return ret != 0;
}
