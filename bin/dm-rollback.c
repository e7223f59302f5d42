/* SPDX-License-Identifier: Apache-2.0 */
/* dm-rollback: settle on the source what becomes of the container, from the target's receipts. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/opt.h"
#include "handover/figures.h"
#include "handover/receipt.h"
#include "handover/report.h"
#include "handover/settle.h"

enum {
	KEY_ID = 256,
	KEY_ASK,
	KEY_PATIENCE,
	KEY_SETTLE,
	KEY_THAW,
	KEY_RELEASE,
	KEY_REPORT,
	KEY_FIGURES,
	KEY_JSON
};

enum { FIGURES_MAX = 1 << 20 };

static const struct dm_opt opts[] = {
	{KEY_ID, "id", "ID", "the migration"},
	{KEY_ASK, "ask", "COMMAND",
	 "shell command that asks the target: ssh HOST dm-restore --refuse ID"},
	{KEY_PATIENCE, "patience", "SECONDS", "how long to go on asking (default 30)"},
	{KEY_SETTLE, "settle", NULL, "read no receipts: settle by the records and by asking"},
	{KEY_THAW, "thaw", NULL, "let it run on here, without asking: never while it runs there"},
	{KEY_RELEASE, "release", NULL, "give it up here, without asking"},
	{KEY_REPORT, "report", "FILE", "write what it came to into FILE, as JSON"},
	{KEY_FIGURES, "figures", "FILE", "with what is in FILE: from dm-ship --report-fd"},
	{KEY_JSON, "json", NULL, "print the receipts, and how it ended, as lines of JSON"},
	{0},
};

static const struct dm_tool tool = {
	"dm-rollback",
	"--id ID [options] CONTAINER <RECEIPTS",
	"Settle what becomes of a frozen container: release it, or let it run on.",
	opts,
};

struct options {
	const char *id, *ask, *report, *figures;
	uint64_t patience;
	int settle, thaw, release, json;
};

static int on_option(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct options *o = ctx;

	switch (key) {
	case KEY_ID:
		o->id = arg;
		return dm_record_id_ok(arg) ? 0
					    : dm_fail(err, DM_USAGE, "--id: \"%s\" is no id", arg);
	case KEY_ASK:
		o->ask = arg;
		return 0;
	case KEY_PATIENCE:
		return dm_num_u64(arg, "--patience", 0, 1000000, &o->patience, err);
	case KEY_SETTLE:
		o->settle = 1;
		return 0;
	case KEY_THAW:
		o->thaw = 1;
		return 0;
	case KEY_RELEASE:
		o->release = 1;
		return 0;
	case KEY_REPORT:
		o->report = arg;
		return 0;
	case KEY_FIGURES:
		o->figures = arg;
		return 0;
	case KEY_JSON:
		o->json = 1;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

static int settle(const struct options *o, struct dm_settle *s, struct dm_err *err)
{
	if (o->thaw)
		return dm_settle_thaw(s, err);
	if (o->release)
		return dm_settle_release(s, err);
	if (o->settle)
		return dm_settle_now(s, err);
	return dm_settle_receipts(s, STDIN_FILENO, err);
}

/* Tell how it ended: to people, into a file, and to programs. All is done by now, so what goes wrong
 * here does not change the exit code. */
static void tell(const struct options *o, struct dm_settle *s, int ret, const struct dm_err *why)
{
	struct dm_report_end end = {ret ? why->code : DM_OK, ret ? why->msg : NULL,
				    ret ? NULL : s->released, s->resumed};
	struct dm_err err;
	json_t *report;
	char *text;

	text = o->figures ? dm_read_file(AT_FDCWD, o->figures, FIGURES_MAX, NULL, &err) : NULL;
	if (o->figures && !text)
		dm_say("%s", err.msg);
	dm_figures_parse(text ? text : "", "source", s->figures);
	free(text);
	report = dm_report_make(s->record, s->container, s->figures, &end, &err);
	if (!report || (o->report && dm_report_write(report, o->report, &err)))
		dm_say("%s", err.msg);
	if (report)
		dm_report_say(report);
	if (ret == 0)
		dm_say("container %s is released here; it is stopped, as %s", s->container->name,
		       s->released);
	if (report && o->json) {
		json_t *line = json_pack("{s:s, s:O, s:O, s:O, s:O*}", "receipt", "settled", "id",
					 json_object_get(report, "id"), "outcome",
					 json_object_get(report, "outcome"), "code",
					 json_object_get(report, "code"), "message",
					 json_object_get(report, "message"));

		if (dm_receipt_print(line, &err))
			dm_say("%s", err.msg);
		json_decref(line);
	}
	json_decref(report);
}

static int run(const struct options *o, const char *name, struct dm_err *err)
{
	struct dm_container c = {0};
	struct dm_settle s = {.container = &c,
			      .ask = o->ask,
			      .patience = (double)o->patience,
			      .echo = o->json,
			      .figures = json_array()};
	int ret = -1;

	s.engine = dm_engine_open(err);
	if (!s.engine || dm_container_load(s.engine, name, &c, err))
		goto out;
	/* at the end of a pipeline it may be here before the first stage is */
	s.record = dm_record_open(DM_SOURCE, o->id, !o->settle && !o->thaw && !o->release, err);
	if (!s.record)
		goto out;
	ret = settle(o, &s, err);
	tell(o, &s, ret, err);
out:
	json_decref(s.figures);
	dm_record_close(s.record);
	dm_container_free(&c);
	dm_engine_close(s.engine);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = {.patience = 30};
	struct dm_err err;
	int at;

	at = dm_opt_parse(&tool, argc, argv, on_option, &o, &err);
	if (at < 0)
		return dm_opt_die(&tool, &err);
	if (argc - at != 1 || !o.id || o.settle + o.thaw + o.release > 1) {
		dm_fail(&err, DM_USAGE,
			"one container, --id and at most one of --settle, --thaw, --release");
		return dm_opt_die(&tool, &err);
	}
	/* it must outlive what it watches: an interrupt ends the pipeline, and then its input */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (run(&o, argv[at], &err))
		return dm_opt_die(&tool, &err);
	return DM_OK;
}
