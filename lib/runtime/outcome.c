/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/outcome.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "handover/record.h"
#include "runtime/criulog.h"

enum { KILL_SECONDS = 10, END_SECONDS = 10, RESUME_SECONDS = 30 };

/* What CRIU gets to tidy up behind itself when the container's processes are dead. */
static const double self_seconds = 0.5;

static int write_result(const struct dm_job *job, int rc, const char *why, const struct dm_times *t,
			pid_t pid, struct dm_err *err)
{
	json_t *o =
		json_pack("{s:i, s:s, s:I, s:{s:f, s:f, s:f, s:f}}", "rc", rc, "error", why, "pid",
			  (json_int_t)pid, "times", "started", t->started, "setup", t->setup, "go",
			  t->go, "resumed", dm_pending_time(&job->pending, "resumed"));
	char *text = o ? dm_json_text(o, err) : NULL;
	int ret = -1;

	if (text)
		ret = dm_write_file(job->pending.dir, "result.json", text, strlen(text), err);
	else
		dm_fail(err, DM_FAILURE, "write result.json: not UTF-8, or out of memory");
	free(text);
	json_decref(o);
	return ret;
}

int dm_outcome_known(const struct dm_pending *p)
{
	struct dm_err err;
	json_t *o = NULL;
	char *text;
	size_t len;
	int rc;

	if (!dm_pending_has(p, "result.json"))
		return -1;
	text = dm_read_file(p->dir, "result.json", 1 << 16, &len, &err);
	if (text)
		o = dm_json_parse(text, len, "result.json", &err);
	rc = dm_json_int(o, "rc", 1) != 0;
	free(text);
	json_decref(o);
	return rc;
}

int dm_outcome_done(const struct dm_job *job, const struct dm_times *times, pid_t pid,
		    struct dm_err *err)
{
	const char *note = dm_pending_has(&job->pending, "closed")
				   ? "it runs, but its link is still cut: dm-runtime _open PID"
				   : "";

	dm_criulog_trim(&job->pending);
	if (write_result(job, 0, note, times, pid, err))
		return -1;
	return dm_pending_finish(&job->pending, err);
}

static void add(char why[DM_WHY_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(char why[DM_WHY_MAX], const char *fmt, ...)
{
	size_t n = strlen(why);
	va_list ap;

	if (n && n + 2 < DM_WHY_MAX) {
		memcpy(why + n, "; ", 3);
		n += 2;
	}
	va_start(ap, fmt);
	vsnprintf(why + n, DM_WHY_MAX - n, fmt, ap);
	va_end(ap);
}

/* Wait until t has ended; whether it did. */
static bool ended(const struct dm_proc *t, double seconds)
{
	double end = dm_now() + seconds;
	struct timespec nap = {.tv_nsec = 5000000};

	while (dm_proc_can_run(t)) {
		if (dm_now() > end)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

static void take_off(const char *path, char why[DM_WHY_MAX])
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		add(why, "unmount %s: %s", path, strerror(errno));
}

/*
 * The mounts of those who were killed before they took them off. Who later removes the folders they
 * are in would go into them: runc binds the container's root to criu-root in its own folder, CRIU
 * the cgroups to work/.criu.cgyard.*, and the container's file systems to its yard.
 */
static void take_off_mounts(const struct dm_job *job, const char *yard, char why[DM_WHY_MAX])
{
	char path[2 * PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s/criu-root", job->args->root, job->pending.id);
	take_off(path, why);
	if (*yard) {
		take_off(yard, why);
		rmdir(yard);
	}
	snprintf(path, sizeof(path), "%s/work", job->pending.path);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, ".criu.cgyard.", 13) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/work/%s", job->pending.path, e->d_name);
		take_off(path, why);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

/* CRIU and runc are to end, the container's processes are dead. */
static bool end_the_rest(const struct dm_job *job, const struct dm_procs *t, bool runaway,
			 struct dm_criulog *log, char why[DM_WHY_MAX])
{
	const char *id = job->pending.id;
	struct dm_err err;
	bool dead = true;

	if (runaway || !ended(&t->runc, self_seconds)) {
		dm_proc_signal(&t->runc, SIGSTOP); /* it must not see the log before it is cut */
		if (dm_procs_kill(t, id, DM_PROCS_ALL, KILL_SECONDS, &err)) {
			add(why, "%s", err.msg);
			dead = false;
		}
		dm_criulog_read(&job->pending, log);
		dm_criulog_trim(&job->pending);
		dm_proc_signal(&t->runc, SIGCONT);
		if (!ended(&t->runc, END_SECONDS)) {
			dm_proc_signal(&t->runc, SIGKILL);
			dead = ended(&t->runc, KILL_SECONDS) && dead;
		}
	} else {
		dm_criulog_read(&job->pending, log);
		dm_criulog_trim(&job->pending);
	}
	return dead;
}

/* Kill in the order that lets nothing of the container run. Returns whether all are dead. */
static bool undo(const struct dm_job *job, const struct dm_procs *t, bool runaway,
		 char why[DM_WHY_MAX])
{
	struct dm_criulog log;
	struct dm_err err;
	bool dead = true;

	if (runaway)
		dm_proc_signal(&t->runc, SIGSTOP);
	if (dm_procs_kill(t, job->pending.id, DM_PROCS_CONTAINER, KILL_SECONDS, &err)) {
		add(why, "%s", err.msg);
		dead = false;
	}
	dead = end_the_rest(job, t, runaway, &log, why) && dead;
	if (dm_procs_kill(t, job->pending.id, DM_PROCS_ALL, KILL_SECONDS, &err)) {
		add(why, "%s", err.msg);
		dead = false;
	}
	take_off_mounts(job, log.yard, why);
	if (!*why)
		add(why, "%s", *log.why ? log.why : "CRIU or runc ended before the decision");
	return dead;
}

/* The word that stands in the end, or "" when none could be written. */
static void decide(const struct dm_job *job, char standing[DM_WORD_MAX], char why[DM_WHY_MAX])
{
	struct dm_err err;

	standing[0] = '\0';
	if (job->plan.doc && dm_plan_decide(&job->plan, "failed", standing, &err) < 0) {
		standing[0] = '\0';
		add(why, "%s", err.msg);
	}
}

void dm_outcome_failed(const struct dm_job *job, const struct dm_procs *procs,
		       const struct dm_times *times, bool runaway, char why[DM_WHY_MAX])
{
	char standing[DM_WORD_MAX] = "";
	struct dm_err err;
	bool dead;

	dead = undo(job, procs, runaway, why);
	if (dead)
		decide(job, standing, why);
	else
		add(why, "nothing is decided");
	if (!strcmp(standing, "running"))
		add(why, "it had been decided already that it runs here");
	dm_pending_reason(&job->pending, why);
	if (write_result(job, 1, why, times, procs->root.pid, &err))
		add(why, "%s", err.msg);
}

/* After the decision "running": wait until CRIU has let the container go and runc has ended. */
static bool runs(const struct dm_job *job, const struct dm_procs *t)
{
	double end = dm_now() + RESUME_SECONDS;
	struct timespec nap = {.tv_nsec = 5000000};

	while (dm_proc_can_run(&t->root) && dm_now() < end) {
		if (dm_pending_has(&job->pending, "resumed"))
			return ended(&t->runc, END_SECONDS) && dm_proc_can_run(&t->root);
		nanosleep(&nap, NULL);
	}
	return false;
}

int dm_outcome_settle(const struct dm_job *job, char why[DM_WHY_MAX])
{
	char standing[DM_WORD_MAX] = "";
	struct dm_times times = {0};
	struct dm_procs procs;
	struct dm_err err;

	if (dm_procs_read(&job->pending, &procs, &err) ||
	    (job->plan.doc && dm_plan_decision(&job->plan, standing, &err) < 0))
		add(why, "%s", err.msg);
	if (!strcmp(standing, "running") && runs(job, &procs)) {
		if (dm_outcome_done(job, &times, procs.root.pid, &err))
			dm_say("%s", err.msg);
		return 1;
	}
	if (!*why)
		add(why, "its supervisor died");
	dm_outcome_failed(job, &procs, &times, false, why);
	return 0;
}
