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

enum { MARGIN_SECONDS = 60 };

/* The runtime's folder of pending restores; $DM_RUN is for tests. */
static void pending_folder(char out[PATH_MAX])
{
	const char *run = getenv("DM_RUN");

	snprintf(out, PATH_MAX, "%s/restore", run ? run : "/run/docker-migrate");
}

static int lay_out(const struct dm_received *got, const struct dm_start_opts *o, struct dm_err *err)
{
	char base[PATH_MAX], path[PATH_MAX + 80], state[PATH_MAX], *text = NULL, *cut;
	json_t *plan;
	int dir, ret = -1;

	/* the record is <state>/target/<id> */
	snprintf(state, sizeof(state), "%s", dm_record_path(got->record));
	for (int i = 0; i < 2 && (cut = strrchr(state, '/')); i++)
		*cut = '\0';
	pending_folder(base);
	snprintf(path, sizeof(path), "%s/%s", base, got->container.id);
	dir = dm_dir_make(path, err);
	if (dir < 0)
		return -1;
	plan = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "migration",
			 strrchr(dm_record_path(got->record), '/') + 1, "state", state, "images",
			 got->images, "limit_seconds", (json_int_t)o->limit, "log_limit_bytes",
			 (json_int_t)o->log_limit, "tcp",
			 dm_json_str(got->config, "tcp", "refuse"));
	text = dm_json_text(plan, err);
	if (text)
		ret = dm_write_file(dir, "plan.json", text, strlen(text), err);
	free(text);
	json_decref(plan);
	close(dir);
	return ret;
}

void dm_start_undo(const struct dm_received *got)
{
	struct dm_err err;
	char base[PATH_MAX];
	int dir;

	if (!got->container.id[0])
		return;
	pending_folder(base);
	dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return;
	if (dm_dir_remove(dir, got->container.id, &err))
		dm_say("%s/%s is left behind: %s", base, got->container.id, err.msg);
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
	snprintf(path, sizeof(path), "/containers/%s/start", got->container.id);
	started = dm_engine_do(e, "POST", path, NULL, (double)(o->limit + MARGIN_SECONDS), NULL,
			       &start_err);
	/* whatever the engine answered: the record alone tells */
	if (dm_record_decision(got->record, standing, err) < 0)
		return -1;
	if (!strcmp(standing, "running")) {
		if (started)
			dm_say("the container runs, though: %s", start_err.msg);
		if (dm_create_restart_policy(e, got->container.id,
					     json_object_get(got->config, "inspect"), &ignored))
			dm_say("the container runs, but without its restart policy: %s",
			       ignored.msg);
		return 0;
	}
	if (!started)
		return dm_fail(err, DM_FAILURE,
			       "the engine started container %.12s without our runtime",
			       got->container.id);
	*err = start_err;
	return -1;
}
