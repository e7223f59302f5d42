/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/verbs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "handover/record.h"
#include "net/cut.h"
#include "runtime/bundle.h"
#include "runtime/outcome.h"
#include "runtime/restore.h"
#include "runtime/supervisor.h"
#include "runtime/talk.h"

enum { SPARE_SECONDS = 90 }; /* what the supervisor may take to end a restore, over the limit */

/* The hooks: the cut first of all, before an interface comes; the report last. */
static int edit_bundle(const struct dm_job *job, struct dm_err *err)
{
	const char *cut[] = {"dm-runtime", "_cut", NULL};
	const char *hook[] = {"dm-runtime", "_hook", job->pending.path, NULL};
	char self[PATH_MAX];
	struct dm_bundle b;
	int ret = -1;

	if (dm_restore_self(self, sizeof(self), err) || dm_bundle_open(job->args->bundle, &b, err))
		return -1;
	if (dm_bundle_terminal(&b)) {
		dm_fail(err, DM_UNFIT,
			"a container with a terminal (docker run -t) cannot be restored");
		goto out;
	}
	dm_bundle_drop_criu_config(&b);
	if (dm_bundle_new_network(&b) &&
	    (dm_cut_fit(err) || dm_bundle_hook(&b, "prestart", true, self, cut, err)))
		goto out;
	if (dm_bundle_hook(&b, "createRuntime", false, self, hook, err) || dm_bundle_save(&b, err))
		goto out;
	ret = 0;
out:
	dm_bundle_close(&b);
	return ret;
}

static int prepare(struct dm_job *job, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int decided;

	if (!job->plan.doc && dm_plan_read(&job->pending, &job->plan, err))
		return -1;
	decided = dm_plan_decision(&job->plan, standing, err);
	if (decided < 0)
		return -1;
	if (decided)
		return dm_fail(err, DM_UNFIT, "migration %s is decided already: %s",
			       job->plan.migration, standing);
	if (mkdirat(job->pending.dir, "work", 0700))
		return dm_fail_errno(err, "make %s/work", job->pending.path);
	return edit_bundle(job, err);
}

/* For the shim, which reads it when create has ended. */
static int write_pid_file(const char *path, const char *pid, struct dm_err *err)
{
	char tmp[PATH_MAX];
	int fd;

	if (!path)
		return 0;
	if (snprintf(tmp, sizeof(tmp), "%s.dm-%ld", path, (long)getpid()) >= (int)sizeof(tmp))
		return dm_fail(err, DM_FAILURE, "write %s: name too long", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return dm_fail_errno(err, "create %s", tmp);
	if (dm_write_full(fd, pid, strlen(pid)) || close(fd) || rename(tmp, path)) {
		dm_fail_errno(err, "write %s", path);
		unlink(tmp);
		return -1;
	}
	return 0;
}

/* Wait for the supervisor's answer to create. */
static int await_pid(struct dm_job *job, int fd, struct dm_err *err)
{
	char text[DM_TALK_MAX], why[DM_WHY_MAX] = "";

	dm_talk_say(fd, "create");
	if (dm_talk_hear(fd, -1, text) != 1) {
		dm_outcome_settle(job, why);
		return dm_fail(err, DM_FAILURE, "%s", why);
	}
	if (!strncmp(text, "pid ", 4))
		return write_pid_file(job->args->pid_file, text + 4, err);
	return dm_fail(err, DM_FAILURE, "%s", text + strcspn(text, " ") + 1);
}

static int supervise(struct dm_job *job, struct dm_err *err)
{
	int listener = dm_talk_listen(&job->pending, err), fd, ret = -1;
	pid_t pid;

	if (listener < 0)
		return -1;
	fd = dm_talk_connect(&job->pending, err);
	if (fd < 0)
		goto out;
	pid = fork();
	if (pid == 0) {
		close(fd);
		dm_supervisor_run(job, listener);
		_exit(0);
	}
	close(listener);
	listener = -1;
	if (pid < 0)
		dm_fail_errno(err, "start the supervisor");
	else
		ret = await_pid(job, fd, err);
	close(fd);
out:
	if (listener >= 0)
		close(listener);
	return ret;
}

/* A success whose last step was lost, by a crash between the decision and the clearing away. */
static bool was_done(struct dm_job *job)
{
	char standing[DM_WORD_MAX] = "";
	struct dm_err err;

	return dm_pending_has(&job->pending, "resumed") && dm_outcome_known(&job->pending) != 1 &&
	       dm_plan_read(&job->pending, &job->plan, &err) == 0 &&
	       dm_plan_decision(&job->plan, standing, &err) == 1 && !strcmp(standing, "running") &&
	       dm_pending_finish(&job->pending, &err) == 0;
}

enum dm_verb dm_verb_create(struct dm_job *job, struct dm_err *err)
{
	const struct dm_procs none = {0};
	const struct dm_times times = {0};
	char why[DM_WHY_MAX];
	int began;

	began = dm_pending_begin(&job->pending, why, sizeof(why), err);
	if (began < 0)
		return DM_VERB_FAIL;
	if (began == 0) {
		if (was_done(job))
			return DM_VERB_RUNC;
		dm_fail(err, DM_UNFIT,
			"the restore of this container failed (%s), and it does not start afresh "
			"while %s is there",
			why, job->pending.path);
		return DM_VERB_FAIL;
	}
	if (prepare(job, err)) {
		snprintf(why, sizeof(why), "%s", err->msg);
		dm_outcome_failed(job, &none, &times, false, why);
		return DM_VERB_FAIL;
	}
	return supervise(job, err) ? DM_VERB_FAIL : DM_VERB_DONE;
}

/* No supervisor answers: the files tell, and what is left is brought to its end. */
static enum dm_verb settle(struct dm_job *job, struct dm_err *err)
{
	char why[DM_WHY_MAX] = "";
	int known = dm_outcome_known(&job->pending);

	if (known == 0 || (known < 0 && dm_outcome_settle(job, why)))
		return DM_VERB_DONE;
	if (known == 1)
		dm_pending_begin(&job->pending, why, sizeof(why), err); /* it stands: its text */
	dm_fail(err, DM_FAILURE, "%s", why);
	return DM_VERB_FAIL;
}

enum dm_verb dm_verb_start(struct dm_job *job, struct dm_err *err)
{
	enum dm_verb ret = DM_VERB_FAIL;
	char text[DM_TALK_MAX];
	int fd, heard;

	if (!dm_pending_has(&job->pending, "failed"))
		return DM_VERB_RUNC; /* this folder is for a create to come */
	if (dm_plan_read(&job->pending, &job->plan, err))
		return DM_VERB_FAIL;
	fd = dm_talk_connect(&job->pending, err);
	if (fd < 0)
		return settle(job, err);
	dm_talk_say(fd, "start");
	heard = dm_talk_hear(fd, job->plan.limit + SPARE_SECONDS, text);
	close(fd);
	if (heard == 0)
		return settle(job, err);
	if (heard < 0)
		dm_fail(err, DM_FAILURE, "the restore's supervisor does not answer");
	else if (!strcmp(text, "done"))
		ret = DM_VERB_DONE;
	else
		dm_fail(err, DM_FAILURE, "%s", text + strcspn(text, " ") + 1);
	return ret;
}

enum dm_verb dm_verb_abort(struct dm_job *job, struct dm_err *err)
{
	enum dm_talk_abort answer;

	if (!dm_pending_has(&job->pending, "failed"))
		return DM_VERB_RUNC;
	if (dm_plan_read(&job->pending, &job->plan, err))
		dm_say("%s", err->msg);
	answer = dm_talk_abort(&job->pending, SPARE_SECONDS);
	if (answer == DM_ABORT_SILENT) {
		dm_fail(err, DM_FAILURE, "the restore's supervisor does not answer");
		return DM_VERB_FAIL;
	}
	if (answer == DM_ABORT_NOBODY)
		settle(job, err);
	return DM_VERB_RUNC;
}
