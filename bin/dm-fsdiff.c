/* SPDX-License-Identifier: Apache-2.0 */
/* dm-fsdiff: what a container is and what it has on disk, as a segment of a migration stream. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/opt.h"
#include "container/fit.h"
#include "container/have.h"
#include "handover/stage.h"
#include "source/check.h"
#include "source/document.h"
#include "source/image.h"
#include "source/trees.h"

enum {
	KEY_ID = 256,
	KEY_DELTA,
	KEY_LAST,
	KEY_CHECK,
	KEY_HAVE,
	KEY_ESTIMATE,
	KEY_JSON,
	KEY_PATHS,
	KEY_TCP,
	KEY_BINDS,
	KEY_BIND,
	KEY_SAVE
};

static const struct dm_opt opts[] = {
	{KEY_ID, "id", "ID", "the migration"},
	{KEY_DELTA, "delta", NULL, "send what has changed on disk since the last pass"},
	{KEY_LAST, "last", NULL, "with --delta: the container is frozen, and the stream ends here"},
	{KEY_CHECK, "check", NULL, "tell on stderr what keeps the container from moving"},
	{KEY_HAVE, "have", "FILE",
	 "with --check: what the target has, from dm-restore --check --have"},
	{KEY_ESTIMATE, "estimate", NULL,
	 "with --check: tell what would be sent, and keep no record"},
	{KEY_JSON, "json", NULL, "with --check: print what was found on stdout, as JSON"},
	{KEY_TCP, "tcp", "MODE", "TCP connections: refuse (default) or close"},
	{KEY_BINDS, "binds", "MODE", "bind mounts: require (default), copy or refuse"},
	{KEY_BIND, "bind", "MOUNT", "PATH=MODE: the same for one of them"},
	{KEY_PATHS, "paths", NULL, "print the paths that the target must tell about"},
	{KEY_SAVE, "save", NULL, "the stream goes into a file, and nobody will answer"},
	{0},
};

static const struct dm_tool tool = {
	"dm-fsdiff",
	"--id ID [--delta [--last]] [options] CONTAINER >STREAM\n"
	"       dm-fsdiff --id ID --check [--have FILE] [--estimate] [--json] CONTAINER",
	"Send a container's configuration, image, volumes and writable layer, or what changed.",
	opts,
};

struct options {
	struct dm_check_opts ask; /* its id and fit count for every stage */
	bool delta, last, check, save, paths;
};

static int on_option(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct options *o = ctx;

	switch (key) {
	case KEY_ID:
		o->ask.id = arg;
		return dm_record_id_ok(arg) ? 0
					    : dm_fail(err, DM_USAGE, "--id: \"%s\" is no id", arg);
	case KEY_DELTA:
		o->delta = true;
		return 0;
	case KEY_LAST:
		o->last = true;
		return 0;
	case KEY_CHECK:
		o->check = true;
		return 0;
	case KEY_HAVE:
		o->ask.have = arg;
		return 0;
	case KEY_ESTIMATE:
		o->ask.estimate = true;
		return 0;
	case KEY_JSON:
		o->ask.json = true;
		return 0;
	case KEY_TCP:
		return dm_fit_tcp(arg, &o->ask.fit.tcp, err);
	case KEY_BINDS:
		return dm_binds_all(&o->ask.fit.binds, arg, err);
	case KEY_BIND:
		return dm_binds_one(&o->ask.fit.binds, arg, err);
	case KEY_PATHS:
		o->paths = true;
		return 0;
	case KEY_SAVE:
		o->save = true;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

static int setup(const struct options *o, struct dm_engine *e, const struct dm_container *c,
		 struct dm_stage *s, struct dm_err *err)
{
	json_t *list = json_array(), *document = NULL, *have = NULL;
	char *text = NULL;
	int ret = -1;

	if (dm_fit_container(c, &o->ask.fit, list, err) || dm_fit_report(c, list, err) ||
	    dm_check_have(s->record, &have, err))
		goto out;
	json_object_set_new(s->figures, "versions", dm_have_versions(e));
	document = dm_document(e, c, &o->ask.fit, err);
	text = document ? dm_json_text(document, err) : NULL;
	if (!text ||
	    dm_record_event(s->record, "trees",
			    json_pack("{s:o}", "list", dm_trees_list(c, &o->ask.fit)), err) ||
	    dm_writer_data(s->writer, DM_CONFIG, text, strlen(text), err) ||
	    dm_image_send(e, c, have, s->writer, err) || dm_trees_send(s, c, false, false, err))
		goto out;
	ret = dm_stage_end(s, false, err);
out:
	json_decref(list);
	json_decref(document);
	json_decref(have);
	free(text);
	return ret;
}

static int check_frozen(const struct dm_container *c, struct dm_err *err)
{
	int n = dm_cgroup_frozen(&c->cgroup, err);

	if (n == 0)
		return dm_fail(err, DM_UNFIT,
			       "container %s is not frozen: dm-predump --final comes "
			       "before --last",
			       c->name);
	return n < 0 ? -1 : 0;
}

/* The last delta. From the decision on the target may run the container. */
static int last(const struct dm_container *c, struct dm_stage *s, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int n;

	if (check_frozen(c, err) || dm_trees_send(s, c, true, true, err) ||
	    dm_stage_wait_target(s, NULL, err) || check_frozen(c, err))
		return -1;
	n = dm_record_decide(s->record, "last", standing, err);
	if (n < 0)
		return -1;
	if (n == 0)
		return dm_fail(err, DM_FAILURE, "the move was given up meanwhile");
	return dm_stage_end(s, true, err);
}

static int run(const struct options *o, const char *name, struct dm_err *err)
{
	struct dm_container c = {0};
	struct dm_stage s = {0};
	struct dm_engine *e = dm_engine_open(err);
	int ret = -1;

	if (!e || dm_container_load(e, name, &c, err))
		goto out;
	if (o->paths) {
		ret = dm_check_paths(&c, &o->ask.fit, err);
		goto out;
	}
	if (o->check) {
		ret = dm_check(e, &c, &o->ask, err);
		goto out;
	}
	if (!c.pid) {
		dm_fail(err, DM_UNFIT, "container %s does not run", c.name);
		goto out;
	}
	if (dm_stage_begin(&s, o->ask.id, o->delta ? DM_DELTA : DM_SETUP, &c, o->save, false, err))
		goto out;
	if (o->last)
		ret = last(&c, &s, err);
	else if (!o->delta)
		ret = setup(o, e, &c, &s, err);
	else if (dm_trees_send(&s, &c, true, false, err) == 0)
		ret = dm_stage_end(&s, false, err);
	if (ret)
		dm_stage_abort(&s, err);
out:
	dm_stage_close(&s);
	dm_container_free(&c);
	dm_engine_close(e);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct dm_err err;
	int at;

	at = dm_opt_parse(&tool, argc, argv, on_option, &o, &err);
	if (at < 0)
		return dm_opt_die(&tool, &err);
	if (argc - at != 1 || !o.ask.id || (o.last && !o.delta) || (o.check && o.delta) ||
	    ((o.ask.have || o.ask.estimate || o.ask.json) && !o.check)) {
		dm_fail(&err, DM_USAGE,
			"one container and --id; --last goes with --delta; --have, --estimate and "
			"--json with --check");
		return dm_opt_die(&tool, &err);
	}
	signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of write(2) */
	if (run(&o, argv[at], &err) || dm_close_stdout(&err))
		return dm_opt_die(&tool, &err);
	return DM_OK;
}
