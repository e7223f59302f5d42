/* SPDX-License-Identifier: Apache-2.0 */
/* dm-rollback: settle on the source what becomes of the container, from the target's receipts. */

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/opt.h"
#include "handover/settle.h"

enum { KEY_ID = 256, KEY_ASK, KEY_PATIENCE, KEY_SETTLE, KEY_THAW, KEY_RELEASE };

static const struct dm_opt opts[] = {
	{KEY_ID, "id", "ID", "the migration"},
	{KEY_ASK, "ask", "COMMAND",
	 "shell command that asks the target: ssh HOST dm-restore --refuse ID"},
	{KEY_PATIENCE, "patience", "SECONDS", "how long to go on asking (default 30)"},
	{KEY_SETTLE, "settle", NULL, "read no receipts: settle by the records and by asking"},
	{KEY_THAW, "thaw", NULL, "let it run on here, without asking: never while it runs there"},
	{KEY_RELEASE, "release", NULL, "give it up here, without asking"},
	{0},
};

static const struct dm_tool tool = {
	"dm-rollback",
	"--id ID [options] CONTAINER <RECEIPTS",
	"Settle what becomes of a frozen container: release it, or let it run on.",
	opts,
};

struct options {
	const char *id, *ask;
	uint64_t patience;
	int settle, thaw, release;
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
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

static int run(const struct options *o, const char *name, struct dm_err *err)
{
	struct dm_container c = {0};
	struct dm_settle s = {.container = &c, .ask = o->ask, .patience = (double)o->patience};
	int ret = -1;

	s.engine = dm_engine_open(err);
	if (!s.engine || dm_container_load(s.engine, name, &c, err))
		goto out;
	/* at the end of a pipeline it may be here before the first stage is */
	s.record = dm_record_open(DM_SOURCE, o->id, !o->settle && !o->thaw && !o->release, err);
	if (!s.record)
		goto out;
	if (o->thaw)
		ret = dm_settle_thaw(&s, err);
	else if (o->release)
		ret = dm_settle_release(&s, err);
	else if (o->settle)
		ret = dm_settle_now(&s, err);
	else
		ret = dm_settle_receipts(&s, STDIN_FILENO, err);
	if (ret == 0 && s.still > 0)
		dm_say("container %s runs there; it stood still for %.2f s (predicted: %.2f s)",
		       c.name, s.still, s.predicted);
	if (ret == 0)
		dm_say("container %s is released here; it is stopped, as %s", c.name, s.released);
out:
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
