/* SPDX-License-Identifier: Apache-2.0 */
#include "container/fit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"

enum { PROC_MAX = 64 << 20 };

int dm_fit_tcp(const char *text, enum dm_tcp *out, struct dm_err *err)
{
	if (!strcmp(text, "refuse"))
		*out = DM_TCP_REFUSE;
	else if (!strcmp(text, "close"))
		*out = DM_TCP_CLOSE;
	else
		return dm_fail(err, DM_USAGE, "--tcp: \"%s\" is neither refuse nor close", text);
	return 0;
}

__attribute__((format(printf, 2, 3))) static void obstacle(json_t *list, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* a line that was cut in the middle of a letter must not get lost */
	json_array_append_new(list, json_string_nocheck(line));
}

static void check_state(const struct dm_container *c, json_t *list)
{
	if (!c->running)
		obstacle(list, "it does not run");
	else if (c->paused)
		obstacle(list, "it is paused already");
	if (dm_json_true(c->inspect, "State.Restarting"))
		obstacle(list, "it is restarting");
}

static void check_storage(const struct dm_container *c, json_t *list)
{
	const char *driver = dm_json_str(c->inspect, "GraphDriver.Name", "");
	const json_t *m;
	size_t i;

	if (strcmp(driver, "overlay2") || !c->upper[0])
		obstacle(list, "storage driver %s: only overlay2 is supported",
			 driver[0] ? driver : "(unknown, perhaps containerd's snapshotter)");
	json_array_foreach(dm_json_at(c->inspect, "Mounts"), i, m)
	{
		const char *type = dm_json_str(m, "Type", "");

		if (!strcmp(type, "tmpfs") || !strcmp(type, "bind"))
			continue;
		if (strcmp(type, "volume"))
			obstacle(list, "mount of type %s at %s", type,
				 dm_json_str(m, "Destination", "?"));
		else if (strcmp(dm_json_str(m, "Driver", ""), "local"))
			obstacle(list, "volume %s: its driver %s is not supported",
				 dm_json_str(m, "Name", "?"), dm_json_str(m, "Driver", "?"));
	}
}

static void check_binds(const struct dm_container *c, const struct dm_binds *binds, json_t *list)
{
	struct dm_bind b;
	char path[256];

	if (dm_binds_stray(binds, c->inspect, path, sizeof(path)))
		obstacle(list, "it has no bind mount %s (--bind)", path);
	for (size_t i = 0; dm_binds_get(binds, c->inspect, i, &b); i++) {
		const char *kind = dm_binds_kind(b.source);

		if (b.mode == DM_BIND_REFUSE)
			obstacle(list, "bind mount of %s at %s", b.source, b.destination);
		else if (b.mode == DM_BIND_COPY && strcmp(kind, "folder") && strcmp(kind, "empty"))
			obstacle(list, "bind mount of %s at %s: only a folder can be copied",
				 b.source, b.destination);
	}
}

static void check_mode(const struct dm_container *c, const char *key, const char *what,
		       json_t *list)
{
	const char *mode = dm_json_str(c->inspect, key, "");

	if (!strcmp(mode, "host") || !strncmp(mode, "container:", 10))
		obstacle(list, "%s is shared (%s)", what, mode);
}

static void check_config(const struct dm_container *c, json_t *list)
{
	const char *runtime = dm_json_str(c->inspect, "HostConfig.Runtime", "");
	const json_t *notes = dm_json_at(c->inspect, "HostConfig.Annotations");

	if (dm_json_true(c->inspect, "Config.Tty"))
		obstacle(list, "it has a terminal (docker run -t)");
	if (dm_json_true(c->inspect, "HostConfig.AutoRemove"))
		obstacle(list, "it is removed when it stops (docker run --rm)");
	check_mode(c, "HostConfig.NetworkMode", "the network", list);
	check_mode(c, "HostConfig.PidMode", "the pid namespace", list);
	check_mode(c, "HostConfig.IpcMode", "the IPC namespace", list);
	if (!strcmp(dm_json_str(c->inspect, "HostConfig.IpcMode", ""), "shareable"))
		obstacle(
			list,
			"its /dev/shm is shareable (docker run --ipc=shareable) and would be lost");
	check_mode(c, "HostConfig.UTSMode", "the UTS namespace", list);
	check_mode(c, "HostConfig.UsernsMode", "the user namespace", list);
	if (strcmp(runtime, "") && strcmp(runtime, "runc") && strcmp(runtime, "docker-migrate"))
		obstacle(list, "its runtime is %s, not runc", runtime);
	if (json_object_get(notes, "org.criu.config"))
		obstacle(list, "its annotation org.criu.config would steer CRIU");
	if (json_array_size(dm_json_at(c->inspect, "HostConfig.DeviceRequests")))
		obstacle(list, "it uses devices of a driver (docker run --gpus)");
	if (json_array_size(dm_json_at(c->inspect, "HostConfig.Links")))
		obstacle(list, "it is linked to other containers (docker run --link)");
}

static int check_exec(const struct dm_container *c, json_t *list, struct dm_err *err)
{
	const struct dm_task *t;
	struct dm_tasks tasks;

	if (dm_tasks_list(&c->cgroup, &tasks, err))
		return -1;
	t = dm_tasks_foreign(&tasks, c->pid);
	if (t && !json_object_get(dm_json_at(c->inspect, "Config"), "Healthcheck"))
		obstacle(list, "process %d was started by docker exec and would be lost",
			 (int)t->pid);
	for (size_t i = 0; i < tasks.n; i++)
		if (tasks.t[i].depth != tasks.t[0].depth) {
			obstacle(list, "process %d has a pid namespace of its own",
				 (int)tasks.t[i].pid);
			break;
		}
	dm_tasks_free(&tasks);
	return 0;
}

/* Lines of /proc/PID/net/tcp: "  0: local remote state ..."; state 01 is ESTABLISHED, 0A LISTEN,
 * 06 TIME_WAIT. Everything but the latter two holds a connection. */
static int check_tcp(const struct dm_container *c, json_t *list, struct dm_err *err)
{
	static const char *const files[] = {"tcp", "tcp6"};
	unsigned n = 0, state;

	for (int i = 0; i < 2; i++) {
		char name[64], *all, *line, *save = NULL;

		snprintf(name, sizeof(name), "/proc/%d/net/%s", (int)c->pid, files[i]);
		all = dm_read_file(AT_FDCWD, name, PROC_MAX, NULL, err);
		if (!all) {
			if (i == 1)
				break; /* no IPv6 */
			return -1;
		}
		for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			if (sscanf(line, " %*u: %*s %*s %x", &state) == 1 && state != 0x0a &&
			    state != 0x06 && state != 0x07)
				n++;
		free(all);
	}
	if (n)
		obstacle(list, "%u TCP connections are open (--tcp=close closes them)", n);
	return 0;
}

int dm_fit_container(const struct dm_container *c, const struct dm_fit_opts *o, json_t *list,
		     struct dm_err *err)
{
	check_state(c, list);
	check_storage(c, list);
	check_binds(c, &o->binds, list);
	check_config(c, list);
	if (!c->pid)
		return 0;
	if (check_exec(c, list, err) || (o->tcp == DM_TCP_REFUSE && check_tcp(c, list, err)))
		return -1;
	return 0;
}

static void check_cpu(const json_t *here, const json_t *have, json_t *list)
{
	char missing[200] = "";
	const json_t *v;
	size_t i, n;

	json_array_foreach(json_object_get(here, "cpu"), i, v)
	{
		const char *flag = json_string_value(v);

		n = strlen(missing);
		if (flag && !dm_json_lists(have, "cpu", flag))
			snprintf(missing + n, sizeof(missing) - n, " %s", flag);
	}
	if (missing[0])
		obstacle(list, "the target's CPU lacks:%s", missing);
}

json_t *dm_fit_paths(const struct dm_container *c, const struct dm_fit_opts *o)
{
	json_t *list = json_array();
	struct dm_bind b;

	for (size_t i = 0; dm_binds_get(&o->binds, c->inspect, i, &b); i++)
		json_array_append_new(list, json_string(b.source));
	return list;
}

/* An empty folder is a folder. */
static const char *plain_kind(const char *kind)
{
	return strcmp(kind, "empty") ? kind : "folder";
}

/* What the target says of the paths of the bind mounts. */
static void check_paths(const struct dm_container *c, const struct dm_binds *binds,
			const json_t *have, json_t *list)
{
	const json_t *paths = json_object_get(have, "paths");
	struct dm_bind b;

	for (size_t i = 0; dm_binds_get(binds, c->inspect, i, &b); i++) {
		const char *there = json_string_value(json_object_get(paths, b.source));
		const char *here = dm_binds_kind(b.source);

		if (b.mode == DM_BIND_REFUSE)
			continue;
		if (!there)
			obstacle(list, "the target was not asked about %s (dm-restore --paths)",
				 b.source);
		else if (b.mode == DM_BIND_COPY && strcmp(there, "nothing") &&
			 strcmp(there, "empty"))
			obstacle(list, "the target has %s already, and it is not an empty folder",
				 b.source);
		else if (b.mode == DM_BIND_REQUIRE && !strcmp(there, "nothing"))
			obstacle(list,
				 "the target lacks %s, which is mounted at %s (--bind %s=copy "
				 "sends it)",
				 b.source, b.destination, b.source);
		else if (b.mode == DM_BIND_REQUIRE && strcmp(plain_kind(there), plain_kind(here)))
			obstacle(list, "%s is a %s here and a %s on the target", b.source,
				 plain_kind(here), plain_kind(there));
	}
}

void dm_fit_target(const struct dm_container *c, const struct dm_fit_opts *o, const json_t *here,
		   const json_t *have, json_t *list)
{
	const json_t *missing, *v;
	struct dm_volume vol;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(have, "obstacles"), i, v)
	{
		obstacle(list, "on the target: %s", json_is_string(v) ? json_string_value(v) : "?");
	}
	if (strcmp(dm_json_str(here, "arch", "?"), dm_json_str(have, "arch", "!")))
		obstacle(list, "the target is of another architecture (%s)",
			 dm_json_str(have, "arch", "unknown"));
	if (dm_json_int(here, "cgroup", 0) != dm_json_int(have, "cgroup", 0))
		obstacle(list, "the target uses cgroup v%lld, this host v%lld",
			 dm_json_int(have, "cgroup", 0), dm_json_int(here, "cgroup", 0));
	check_cpu(here, have, list);
	if (dm_json_lists(have, "containers", c->name))
		obstacle(list, "the target has a container named %s already", c->name);
	for (i = 0; dm_container_volume(c->inspect, i, &vol); i++)
		if (dm_json_lists(have, "volumes", vol.name))
			obstacle(list, "the target has a volume named %s already", vol.name);
	missing = dm_json_at(c->inspect, "NetworkSettings.Networks");
	json_object_foreach((json_t *)(uintptr_t)missing, name, v)
	{
		if (!dm_json_lists(have, "networks", name))
			obstacle(list, "the target has no network named %s", name);
	}
	check_paths(c, &o->binds, have, list);
	if (!strcmp(dm_json_str(here, "engine_id", "?"), dm_json_str(have, "engine_id", "!")))
		obstacle(list, "the target is this host");
}

int dm_fit_report(const struct dm_container *c, const json_t *list, struct dm_err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		dm_say("%s: %s", c->name, json_string_value(v));
	}
	if (i == 0)
		return 0;
	return dm_fail(err, DM_UNFIT, "container %s cannot be moved: %zu obstacle%s", c->name, i,
		       i == 1 ? "" : "s");
}
