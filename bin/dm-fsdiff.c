/* SPDX-License-Identifier: Apache-2.0 */
/* dm-fsdiff: what a container is and what it has on disk, as a segment of a migration stream. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/opt.h"
#include "container/fit.h"
#include "container/have.h"
#include "handover/stage.h"
#include "source/document.h"
#include "source/estimate.h"
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
enum { HAVE_MAX = 16 << 20, TARGET_SECONDS = 60 };

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
	const char *id, *have;
	bool delta, last, check, save, estimate, json, paths;
	struct dm_fit_opts fit;
};

static int on_option(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct options *o = ctx;

	switch (key) {
	case KEY_ID:
		o->id = arg;
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
		o->have = arg;
		return 0;
	case KEY_ESTIMATE:
		o->estimate = true;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_TCP:
		return dm_fit_tcp(arg, &o->fit.tcp, err);
	case KEY_BINDS:
		return dm_binds_all(&o->fit.binds, arg, err);
	case KEY_BIND:
		return dm_binds_one(&o->fit.binds, arg, err);
	case KEY_PATHS:
		o->paths = true;
		return 0;
	case KEY_SAVE:
		o->save = true;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

/* Tell programs what was found. */
static int print_check(const struct options *o, const struct dm_container *c, json_t *obstacles,
		       json_t *estimate, struct dm_err *err)
{
	bool fit = json_array_size(obstacles) == 0;
	json_t *found = json_pack("{s:i, s:s, s:s, s:i, s:{s:s, s:s, s:s}, s:O, s:O*}", "format", 1,
				  "id", o->id, "outcome", fit ? "fit" : "unfit", "code",
				  fit ? DM_OK : DM_UNFIT, "container", "id", c->id, "name", c->name,
				  "image", dm_json_str(c->inspect, "Config.Image", ""), "obstacles",
				  obstacles, "would_send", estimate);
	char *text = dm_json_text(found, err);
	int ret = text && puts(text) >= 0 ? 0 : dm_fail_errno(err, "write what was found");

	free(text);
	json_decref(found);
	return ret;
}

/* A question to the target. */
static int print_paths(const struct options *o, const struct dm_container *c, struct dm_err *err)
{
	json_t *paths = json_pack("{s:o}", "paths", dm_fit_paths(c, &o->fit));
	char *text = dm_json_text(paths, err);
	int ret = text && puts(text) >= 0 ? 0 : dm_fail_errno(err, "write paths");

	free(text);
	json_decref(paths);
	return ret;
}

/* Find every obstacle, and remember what the target has for the stages to come. */
static int check(const struct options *o, struct dm_engine *e, const struct dm_container *c,
		 struct dm_err *err)
{
	const char *file = o->have && !strcmp(o->have, "-") ? "/dev/stdin" : o->have;
	json_t *list = json_array(), *have = NULL, *here = NULL, *estimate = NULL;
	struct dm_record *r = NULL;
	char *text = NULL;
	int ret = -1;
	size_t len;

	if (dm_fit_container(c, &o->fit, list, err))
		goto out;
	dm_have_programs(list, NULL, 0);
	if (file) {
		text = dm_read_file(AT_FDCWD, file, HAVE_MAX, &len, err);
		have = text ? dm_json_parse(text, len, "what the target has", err) : NULL;
		here = have ? dm_have(e, "/dev/shm/docker-migrate", err) : NULL;
		if (!here)
			goto out;
		dm_fit_target(c, &o->fit, here, have, list);
	}
	if (c->pid && (have || o->estimate)) {
		estimate = dm_estimate(e, c, &o->fit, have, err);
		if (!estimate)
			goto out;
		dm_estimate_room(estimate, have, list);
		if (o->estimate)
			dm_estimate_say(c, estimate);
	}
	if ((o->json && print_check(o, c, list, estimate, err)) || dm_fit_report(c, list, err))
		goto out;
	if (o->estimate) {
		ret = 0;
		goto out;
	}
	r = text ? dm_record_open(DM_SOURCE, o->id, true, err) : NULL;
	if (text && (!r || dm_write_file(dm_record_dir(r), "have.json", text, len, err)))
		goto out;
	ret = 0;
out:
	dm_record_close(r);
	json_decref(list);
	json_decref(have);
	json_decref(here);
	json_decref(estimate);
	free(text);
	return ret;
}

/* What the target has, if dm-fsdiff --check was told. Returns 0, -1 with err. */
static int load_have(struct dm_record *r, json_t **have, struct dm_err *err)
{
	char *text;
	size_t len;

	*have = NULL;
	if (faccessat(dm_record_dir(r), "have.json", F_OK, 0))
		return 0;
	text = dm_read_file(dm_record_dir(r), "have.json", HAVE_MAX, &len, err);
	*have = text ? dm_json_parse(text, len, "have.json", err) : NULL;
	free(text);
	return *have ? 0 : -1;
}

static int setup(const struct options *o, struct dm_engine *e, const struct dm_container *c,
		 struct dm_stage *s, struct dm_err *err)
{
	json_t *list = json_array(), *document = NULL, *have = NULL;
	char *text = NULL;
	int ret = -1;

	if (dm_fit_container(c, &o->fit, list, err) || dm_fit_report(c, list, err) ||
	    load_have(s->record, &have, err))
		goto out;
	json_object_set_new(s->figures, "versions", dm_have_versions(e));
	document = dm_document(e, c, &o->fit, err);
	text = document ? dm_json_text(document, err) : NULL;
	if (!text ||
	    dm_record_event(s->record, "trees",
			    json_pack("{s:o}", "list", dm_trees_list(c, &o->fit)), err) ||
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

/* Who will decide must be known before it may decide. */
static int wait_target(struct dm_stage *s, struct dm_err *err)
{
	struct timespec nap = {.tv_nsec = 2000000};
	double end = dm_now() + TARGET_SECONDS;
	int n;

	if (s->segment.flags & DM_SAVED)
		return 0;
	if (dm_writer_flush(s->writer, err))
		return -1;
	while ((n = dm_record_find(s->record, "target", NULL, err)) == 0) {
		if (dm_now() > end)
			return dm_fail(
				err, DM_FAILURE,
				"no word from the target (its receipts go into dm-rollback)");
		nanosleep(&nap, NULL);
	}
	return n < 0 ? -1 : 0;
}

/* The last delta. From the decision on the target may run the container. */
static int last(const struct dm_container *c, struct dm_stage *s, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int n;

	if (check_frozen(c, err) || dm_trees_send(s, c, true, true, err) || wait_target(s, err) ||
	    check_frozen(c, err))
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
		ret = print_paths(o, &c, err);
		goto out;
	}
	if (o->check) {
		ret = check(o, e, &c, err);
		goto out;
	}
	if (!c.pid) {
		dm_fail(err, DM_UNFIT, "container %s does not run", c.name);
		goto out;
	}
	if (dm_stage_begin(&s, o->id, o->delta ? DM_DELTA : DM_SETUP, &c, o->save, false, err))
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
	if (argc - at != 1 || !o.id || (o.last && !o.delta) || (o.check && o.delta) ||
	    ((o.have || o.estimate || o.json) && !o.check)) {
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
