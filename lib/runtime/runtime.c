/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"
#include "handover/unborn.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "runtime/args.h"
#include "runtime/hooks.h"
#include "runtime/script.h"
#include "runtime/verbs.h"

typedef enum dm_verb verb_fn(struct dm_job *job, struct dm_err *err);

static const struct {
	const char *name;
	verb_fn *run;
} verbs[] = {{"create", dm_verb_create},
	     {"start", dm_verb_start},
	     {"kill", dm_verb_abort},
	     {"delete", dm_verb_abort}};

/* Into the runtime's log too: from there the engine takes what it shows. */
static void log_error(const struct dm_args *args, const char *msg)
{
	struct tm tm;
	char when[64], *text = NULL;
	time_t now = time(NULL);
	json_t *o;
	int fd;

	if (!args->log)
		return;
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	if (args->log_json) {
		o = json_pack("{s:s, s:o, s:s}", "level", "error", "msg",
			      json_sprintf("dm-runtime: %s", msg), "time", when);
		text = o ? json_dumps(o, JSON_COMPACT) : NULL;
		json_decref(o);
	} else if (asprintf(&text, "time=\"%s\" level=error msg=\"dm-runtime: %s\"", when, msg) <
		   0) {
		text = NULL;
	}
	fd = open(args->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (text && fd >= 0 &&
	    (dm_write_full(fd, text, strlen(text)) || dm_write_full(fd, "\n", 1)))
		dm_say("write %s: %s", args->log, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(text);
}

static int report(const struct dm_args *args, const struct dm_err *err)
{
	log_error(args, err->msg);
	dm_say("%s", err->msg);
	return (int)err->code;
}

/* CRIU starts its script with stdin closed: what is opened first would be taken for it. */
static void hold_stdio(void)
{
	for (int i = 0; i < 3; i++)
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
			_exit(1);
}

static int hand_on(char **argv)
{
	const char *runc = getenv("DM_RUNC");

	argv[0] = (char *)(uintptr_t)(runc ? runc : "runc");
	execvp(argv[0], argv);
	dm_say("start %s: %s", argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

/* Whether the verb is one of ours and a restore is pending; then it is done, with the exit status
 * in *status. Returns false when it is runc's turn. */
static bool ours(const struct dm_args *args, int *status)
{
	struct dm_job job = {.args = args};
	enum dm_verb done;
	struct dm_err err;
	verb_fn *run = NULL;
	int pending;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (args->verb && !strcmp(args->verb, verbs[i].name))
			run = verbs[i].run;
	if (!run || !args->id)
		return false;
	pending = dm_pending_open(args->id, &job.pending, &err);
	if (pending == 0 && run == dm_verb_create && dm_unborn_is(args->id)) {
		dm_fail(&err, DM_UNFIT,
			"container %.12s was made by a migration that did not come to its end; it "
			"must not start from cold: remove it",
			args->id);
		*status = report(args, &err);
		return true;
	}
	if (pending == 0 || (pending < 0 && run != dm_verb_create))
		return false;
	if (pending < 0) {
		*status = report(args, &err);
		return true;
	}
	done = run(&job, &err);
	dm_plan_free(&job.plan);
	close(job.pending.dir);
	if (done == DM_VERB_RUNC)
		return false;
	*status = done == DM_VERB_DONE ? 0 : report(args, &err);
	return true;
}

int dm_runtime_run(int argc, char **argv)
{
	struct dm_args args;
	struct dm_err err;
	int status;

	hold_stdio();
	if (dm_script_called(argc))
		return dm_script_run();
	if (argc > 1 && argv[1][0] == '_') {
		if (dm_hooks_run(argv[1], argc > 2 ? argv[2] : NULL, &err) == 0)
			return 0;
		dm_say("%s", err.msg);
		return (int)err.code;
	}
	dm_args_read(argc, argv, &args);
	return ours(&args, &status) ? status : hand_on(argv);
}
