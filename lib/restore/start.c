/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/start.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/json.h"
#include "handover/unborn.h"
#include "runtime/talk.h"

enum { MARGIN_SECONDS = 60, ABORT_SECONDS = 60 };

static int lay_out(const struct dm_received *got, const struct dm_start_opts *o, struct dm_err *err)
{
	char path[PATH_MAX], state[PATH_MAX], *text = NULL, *cut;
	json_t *plan;
	int dir, ret = -1;

	/* the record is <state>/target/<id> */
	snprintf(state, sizeof(state), "%s", dm_record_path(got->record));
	for (int i = 0; i < 2 && (cut = strrchr(state, '/')); i++)
		*cut = '\0';
	if (dm_pending_path(got->container->id, path, err))
		return -1;
	dir = dm_dir_make(path, err);
	if (dir < 0)
		return -1;
	plan = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "migration",
			 strrchr(dm_record_path(got->record), '/') + 1, "state", state, "images",
			 got->images, "limit_seconds", (json_int_t)o->limit, "wait_seconds",
			 (json_int_t)o->limit, "log_limit_bytes", (json_int_t)o->log_limit, "tcp",
			 dm_json_str(got->config, "tcp", "refuse"));
	text = dm_json_text(plan, err);
	if (text)
		ret = dm_write_file(dir, "plan.json", text, strlen(text), err);
	free(text);
	json_decref(plan);
	close(dir);
	return ret;
}

void dm_start_abort(const struct dm_received *got)
{
	struct dm_pending p;
	struct dm_err err;

	if (!got->container->id[0] || dm_pending_open(got->container->id, &p, &err) != 1)
		return;
	dm_talk_abort(&p, ABORT_SECONDS);
	close(p.dir);
}

void dm_start_undo(const struct dm_received *got)
{
	char path[PATH_MAX], *slash;
	struct dm_err err;
	int dir;

	if (!got->container->id[0] || dm_pending_path(got->container->id, path, &err))
		return;
	slash = strrchr(path, '/');
	*slash = '\0';
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return; /* nothing was ever laid out */
	if (dm_dir_remove(dir, slash + 1, &err))
		dm_say("the plan for %s is left behind: %s", slash + 1, err.msg);
	close(dir);
}

int dm_start(struct dm_engine *e, const struct dm_received *got, const struct dm_start_opts *o,
	     struct dm_err *err)
{
	char path[200], standing[DM_WORD_MAX] = "";
	struct dm_err start_err = {0}, ignored;
	int started;

	if (lay_out(got, o, err) || dm_record_event(got->record, "starting", NULL, err))
		return -1;
	snprintf(path, sizeof(path), "/containers/%s/start", got->container->id);
	started = dm_engine_do(e, "POST", path, NULL, (double)(2 * o->limit + MARGIN_SECONDS), NULL,
			       &start_err);
	/* whatever the engine answered: the record alone tells */
	if (dm_record_decision(got->record, standing, err) < 0)
		return -1;
	if (!strcmp(standing, "running")) {
		if (dm_unborn_clear(got->container->id, &ignored))
			dm_say("%s", ignored.msg);
		if (started)
			dm_say("the container runs, though: %s", start_err.msg);
		if (dm_create_restart_policy(e, got->container->id,
					     json_object_get(got->config, "inspect"), &ignored))
			dm_say("the container runs, but without its restart policy: %s",
			       ignored.msg);
		return 0;
	}
	if (!started)
		return dm_fail(err, DM_FAILURE,
			       "the engine started container %.12s without our runtime",
			       got->container->id);
	*err = start_err;
	return -1;
}
