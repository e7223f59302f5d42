/* SPDX-License-Identifier: Apache-2.0 */
/* dm-restore: the target's work: receive a stream, start the container, answer with receipts. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/usage.h"
#include "container/container.h"
#include "container/have.h"
#include "handover/receipt.h"
#include "restore/install.h"
#include "restore/receive.h"
#include "restore/start.h"

enum {
	KEY_CHECK = 256,
	KEY_HAVE,
	KEY_PATHS,
	KEY_STAGE,
	KEY_STATUS,
	KEY_REFUSE,
	KEY_INSTALL,
	KEY_REMOVE,
	KEY_LIMIT,
	KEY_LOG,
	KEY_SAVED,
	KEY_KEEP
};

enum { LOG_LEAST = 64 << 10, PATHS_MAX = 1 << 20 };

static const struct dm_opt opts[] = {
	{KEY_CHECK, "check", NULL, "tell on stderr what this host lacks, and receive nothing"},
	{KEY_HAVE, "have", NULL, "with --check: print what this host is and has, as JSON"},
	{KEY_PATHS, "paths", "FILE", "with --have: and what lies at the paths that are asked for"},
	{KEY_STAGE, "stage", "DIR", "staging folder (default /dev/shm/docker-migrate)"},
	{KEY_LIMIT, "limit", "SECONDS", "how long CRIU may take (default 120)"},
	{KEY_LOG, "log-limit", "SIZE", "how long CRIU's log may grow (default 64M)"},
	{KEY_SAVED, "saved", NULL, "the stream comes from a file, and the container runs nowhere"},
	{KEY_KEEP, "keep-images", NULL, "leave CRIU's images in the staging folder"},
	{KEY_STATUS, "status", "ID", "print what became of a migration, as a receipt"},
	{KEY_REFUSE, "refuse", "ID", "the same, after refusing it if nothing is decided yet"},
	{KEY_INSTALL, "install-runtime", NULL, "add our runtime to the engine's configuration"},
	{KEY_REMOVE, "remove-runtime", NULL, "take it out again, if no container has it"},
	{0},
};

static const struct dm_tool tool = {
	"dm-restore",
	"[options] <STREAM >RECEIPTS",
	"Receive a container and start it where it stopped.",
	opts,
};

struct options {
	struct dm_receive_opts receive;
	const char *status, *refuse, *paths;
	int check, have, install, remove;
	struct dm_start_opts start;
};

static int on_option(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct options *o = ctx;

	switch (key) {
	case KEY_CHECK:
		o->check = 1;
		return 0;
	case KEY_HAVE:
		o->have = 1;
		return 0;
	case KEY_PATHS:
		o->paths = arg;
		return 0;
	case KEY_STAGE:
		o->receive.stage = arg;
		return 0;
	case KEY_SAVED:
		o->receive.saved = true;
		return 0;
	case KEY_KEEP:
		o->receive.keep = true;
		return 0;
	case KEY_LIMIT:
		return dm_num_u64(arg, "--limit", 1, 86400, &o->start.limit, err);
	case KEY_LOG:
		if (dm_num_size(arg, "--log-limit", &o->start.log_limit, err))
			return -1;
		if (o->start.log_limit < LOG_LEAST || o->start.log_limit > INT64_MAX)
			return dm_fail(err, DM_USAGE, "--log-limit: at least 64K");
		return 0;
	case KEY_STATUS:
		o->status = arg;
		return 0;
	case KEY_REFUSE:
		o->refuse = arg;
		return 0;
	case KEY_INSTALL:
		o->install = 1;
		return 0;
	case KEY_REMOVE:
		o->remove = 1;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

/* An interrupt ends the stream, and with it all that it brought; once the stream is complete it
 * changes nothing any more. */
static void on_signal(int sig)
{
	int fd = open("/dev/null", O_RDONLY);

	(void)sig;
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

/* What lies at the paths of dm-fsdiff --paths. */
static int add_paths(json_t *have, const char *file, struct dm_err *err)
{
	char *text = dm_read_file(AT_FDCWD, strcmp(file, "-") ? file : "/dev/stdin", PATHS_MAX,
				  NULL, err);
	json_t *o = text ? dm_json_parse(text, strlen(text), "--paths", err) : NULL;

	free(text);
	if (o)
		dm_have_paths(have, json_object_get(o, "paths"));
	json_decref(o);
	return o ? 0 : -1;
}

static int check(struct dm_engine *e, const struct options *o, struct dm_err *err)
{
	json_t *have = dm_have(e, o->receive.stage, err), *v;
	size_t i, n;
	int ret = 0;

	if (!have)
		return -1;
	if (o->paths && add_paths(have, o->paths, err)) {
		json_decref(have);
		return -1;
	}
	if (o->have) {
		ret = dm_have_layers(e, have, err) ? -1 : dm_receipt_print(have, err);
		json_decref(have);
		return ret;
	}
	n = json_array_size(json_object_get(have, "obstacles"));
	json_array_foreach(json_object_get(have, "obstacles"), i, v)
	{
		dm_say("%s", json_string_value(v));
	}
	json_decref(have);
	return n ? dm_fail(err, DM_UNFIT, "this host is not ready to receive a container") : 0;
}

/* Answer what became of a migration; with refuse, nothing can become of it any more. */
static int answer(const char *id, int refuse, struct dm_err *err)
{
	struct dm_record *r = dm_record_open(DM_TARGET, id, false, err);
	char standing[DM_WORD_MAX];
	json_t *receipt = NULL;
	int stale, ret = -1;

	if (!r)
		return -1;
	stale = dm_receipt_stale(r, err);
	if (stale < 0)
		goto out;
	/* what was not decided before a reboot never runs */
	if ((stale || refuse) &&
	    dm_record_decide(r, stale ? "failed" : "refused", standing, err) < 0)
		goto out;
	receipt = dm_receipt_result(r, NULL, err);
	if (receipt)
		ret = dm_receipt_print(receipt, err);
out:
	json_decref(receipt);
	dm_record_close(r);
	return ret;
}

/* The result, after what this program has used. */
static int print_result(struct dm_record *r, const char *reason, struct dm_err *err)
{
	json_t *usage = dm_usage(), *result = dm_receipt_result(r, reason, err);
	int ret = -1;

	json_object_set_new(usage, "stage", json_string("restore"));
	if (result && dm_receipt_print(usage, err) == 0)
		ret = dm_receipt_print(result, err);
	json_decref(usage);
	json_decref(result);
	return ret;
}

/* It will not run: say so in the record first, then remove what came. */
static void give_up(struct dm_receive *r, const struct dm_err *why)
{
	const struct dm_received *got = dm_receive_get(r);
	char standing[DM_WORD_MAX];
	struct dm_err err;

	if (!got->record)
		return;
	if (dm_record_decide(got->record, "failed", standing, &err) < 0) {
		dm_say("%s", err.msg);
		return; /* undecided: it must stay as it is until somebody asks */
	}
	if (!strcmp(standing, "running"))
		return;
	dm_start_abort(got);
	dm_receive_undo(r);
	dm_start_undo(got);
	if (print_result(got->record, why->msg, &err))
		dm_say("%s", err.msg);
}

/* A process that is woken by the restore (sleep(1) of busybox, for one) may have ended it at once. */
static void say_outcome(struct dm_engine *e, const char *id)
{
	struct dm_container c;
	struct dm_err err;

	if (dm_container_load(e, id, &c, &err)) {
		dm_say("container %.12s was restored; %s", id, err.msg);
		return;
	}
	if (c.running)
		dm_say("container %s runs here", c.name);
	else
		dm_say("container %s was restored, but has ended since, with exit code %lld",
		       c.name, dm_json_int(c.inspect, "State.ExitCode", -1));
	dm_container_free(&c);
}

static int receive(struct dm_engine *e, const struct options *o, struct dm_err *err)
{
	struct dm_receive *r = dm_receive_new(e, &o->receive, err);
	const struct dm_received *got;
	int ret = -1;

	if (!r)
		return -1;
	got = dm_receive_get(r);
	if (dm_receive_run(r, STDIN_FILENO, err) || dm_start(e, got, &o->start, err)) {
		give_up(r, err);
		goto out;
	}
	ret = print_result(got->record, NULL, err);
	say_outcome(e, got->container->id);
out:
	dm_receive_free(r);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = {.receive.stage = "/dev/shm/docker-migrate",
			    .start = {.limit = 120, .log_limit = 64 << 20}};
	struct sigaction sa = {.sa_handler = on_signal};
	struct dm_engine *e = NULL;
	struct dm_err err;
	int at, ret;

	at = dm_opt_parse(&tool, argc, argv, on_option, &o, &err);
	if (at < 0)
		return dm_opt_die(&tool, &err);
	if (argc != at || (o.have && !o.check) || (o.paths && !o.have) ||
	    o.check + o.install + o.remove + !!o.status + !!o.refuse > 1) {
		dm_fail(&err, DM_USAGE,
			"no operands, --have only with --check, --paths with --have, and one task "
			"at a time");
		return dm_opt_die(&tool, &err);
	}
	signal(SIGPIPE, SIG_IGN); /* the record tells what a lost receipt cannot */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	if (o.status || o.refuse) {
		ret = answer(o.status ? o.status : o.refuse, o.refuse != NULL, &err);
	} else if (o.remove) {
		ret = dm_remove_runtime(&err);
	} else {
		e = dm_engine_open(&err);
		ret = !e	  ? -1
		      : o.install ? dm_install_runtime(e, &err)
		      : o.check	  ? check(e, &o, &err)
				  : receive(e, &o, &err);
	}
	dm_engine_close(e);
	if (ret || dm_close_stdout(&err))
		return dm_opt_die(&tool, &err);
	return DM_OK;
}
