/* SPDX-License-Identifier: Apache-2.0 */
#include "container/container.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

int dm_container_load(struct dm_engine *e, const char *name, struct dm_container *out,
		      struct dm_err *err)
{
	char escaped[512], path[600];
	int status;

	*out = (struct dm_container){0};
	if (dm_engine_escape(name, escaped, sizeof(escaped), err))
		return -1;
	snprintf(path, sizeof(path), "/containers/%s/json", escaped);
	status = dm_engine_call(e, "GET", path, NULL, 30, &out->inspect, err);
	if (status == 404)
		return dm_fail(err, DM_UNFIT, "container %s: there is none of that name", name);
	if (status != 200)
		return -1;
	out->id = dm_json_str(out->inspect, "Id", "");
	out->name = dm_json_str(out->inspect, "Name", "/");
	out->name += out->name[0] == '/';
	out->running = dm_json_true(out->inspect, "State.Running");
	out->paused = dm_json_true(out->inspect, "State.Paused");
	out->pid = out->running ? (pid_t)dm_json_int(out->inspect, "State.Pid", 0) : 0;
	snprintf(out->upper, sizeof(out->upper), "%s",
		 dm_json_str(out->inspect, "GraphDriver.Data.UpperDir", ""));
	if (strlen(out->id) != 64 || strspn(out->id, "0123456789abcdef") != 64 || !out->name[0]) {
		dm_fail(err, DM_FAILURE, "container %s: the engine's answer has no id or name",
			name);
		goto fail;
	}
	if (out->pid > 0 && dm_cgroup_of(out->pid, &out->cgroup, err))
		goto fail;
	return 0;

fail:
	dm_container_free(out);
	return -1;
}

void dm_container_free(struct dm_container *c)
{
	json_decref(c->inspect);
	*c = (struct dm_container){0};
}

bool dm_container_volume(const json_t *inspect, size_t i, struct dm_volume *v)
{
	const json_t *m;
	size_t k;

	json_array_foreach(dm_json_at(inspect, "Mounts"), k, m)
	{
		if (strcmp(dm_json_str(m, "Type", ""), "volume") || i-- > 0)
			continue;
		v->name = dm_json_str(m, "Name", "");
		v->source = dm_json_str(m, "Source", "");
		return true;
	}
	return false;
}

int dm_container_runc_root(const struct dm_container *c, char *out, size_t size, struct dm_err *err)
{
	static const char *const places[] = {"/run/docker/runtime-*/moby/%s/state.json",
					     "/run/containerd/runc/moby/%s/state.json"};
	char pattern[256];
	int ret = -1;
	glob_t g;

	for (size_t i = 0; ret && i < sizeof(places) / sizeof(*places); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(pattern, sizeof(pattern), places[i], c->id);
#pragma GCC diagnostic pop
		if (glob(pattern, GLOB_NOSORT, NULL, &g))
			continue;
		ret = snprintf(out, size, "%.*s",
			       (int)(strlen(g.gl_pathv[0]) - strlen("/state.json") - 65),
			       g.gl_pathv[0]) < (int)size
			      ? 0
			      : -1;
		globfree(&g);
	}
	if (ret)
		return dm_fail(err, DM_UNFIT, "container %s: runc's state of it was not found",
			       c->name);
	return 0;
}
