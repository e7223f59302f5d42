/* SPDX-License-Identifier: Apache-2.0 */
#include "source/document.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

static json_t *volume(struct dm_engine *e, const char *name, struct dm_err *err)
{
	char escaped[512], path[600];
	json_t *answer, *o;

	if (dm_engine_escape(name, escaped, sizeof(escaped), err))
		return NULL;
	snprintf(path, sizeof(path), "/volumes/%s", escaped);
	if (dm_engine_do(e, "GET", path, NULL, 30, &answer, err))
		return NULL;
	o = json_pack("{s:s, s:O*, s:O*}", "name", name, "labels",
		      json_object_get(answer, "Labels"), "options",
		      json_object_get(answer, "Options"));
	json_decref(answer);
	return o;
}

json_t *dm_document(struct dm_engine *e, const struct dm_container *c,
		    const struct dm_fit_opts *opts, struct dm_err *err)
{
	json_t *o, *volumes = json_array(), *binds = json_array(), *one;
	struct dm_tasks tasks;
	struct dm_volume v;
	struct dm_bind b;
	uint64_t memory;

	for (size_t i = 0; dm_container_volume(c->inspect, i, &v); i++) {
		one = volume(e, v.name, err);
		if (!one || json_array_append_new(volumes, one))
			goto fail;
	}
	for (size_t i = 0; dm_binds_get(&opts->binds, c->inspect, i, &b); i++)
		if (b.mode == DM_BIND_COPY)
			json_array_append_new(binds, json_string(b.source));
	if (dm_tasks_list(&c->cgroup, &tasks, err))
		goto fail;
	memory = dm_tasks_memory(&tasks);
	dm_tasks_free(&tasks);
	o = json_pack("{s:i, s:O, s:o, s:o, s:I, s:s, s:s}", "format", 1, "inspect", c->inspect,
		      "volumes", volumes, "binds", binds, "memory", (json_int_t)memory, "engine",
		      dm_engine_version(e), "tcp", opts->tcp == DM_TCP_CLOSE ? "close" : "refuse");
	if (!o)
		dm_fail(err, DM_FAILURE, "container %s: its document cannot be made", c->name);
	return o;

fail:
	json_decref(volumes);
	json_decref(binds);
	return NULL;
}
