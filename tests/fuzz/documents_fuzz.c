/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine says of a container and of the host, and what a target says of itself: line 1 is
 * what dm-restore --check --have printed there, all other lines are the engine's answers, one after
 * the other. A container is looked at, compared with the target, described, and made anew from the
 * description.
 */
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/json.h"
#include "container/fit.h"
#include "container/have.h"
#include "lines.h"
#include "restore/create.h"
#include "source/document.h"

FUZZ_FORMAT(fuzz_lines)

static const uint8_t *answers;
static size_t answers_size;

/* The linker's --wrap puts these in the place of the real ones. */
int __wrap_dm_engine_call(struct dm_engine *e, const char *method, const char *path,
			  const json_t *body, double seconds, json_t **answer, struct dm_err *err);
int __wrap_dm_engine_do(struct dm_engine *e, const char *method, const char *path,
			const json_t *body, double seconds, json_t **answer, struct dm_err *err);
const char *__wrap_dm_engine_version(const struct dm_engine *e);
int __wrap_dm_cgroup_of(pid_t pid, struct dm_cgroup *out, struct dm_err *err);
int __wrap_dm_tasks_list(const struct dm_cgroup *c, struct dm_tasks *out, struct dm_err *err);
int __wrap_dm_child_run(const char *const *argv, double seconds, struct dm_buf *out,
			struct dm_err *err);
char *__wrap_dm_read_file(int dirfd, const char *path, size_t cap, size_t *len, struct dm_err *err);
const char *__wrap_dm_binds_kind(const char *path);

/* A container is never made with the runtime or the restart policy that a document names. */
static void check_body(const char *path, const json_t *body)
{
	if (strncmp(path, "/containers/create", 18))
		return;
	HOLDS(!strcmp(dm_json_str(body, "HostConfig.Runtime", ""), "docker-migrate"));
	HOLDS(!strcmp(dm_json_str(body, "HostConfig.RestartPolicy.Name", ""), "no"));
	HOLDS(json_is_null(dm_json_at(body, "HostConfig.VolumesFrom")));
	HOLDS(json_is_string(json_object_get(body, "Image")));
}

/* The engine's status is the answer's "status", or 200. */
int __wrap_dm_engine_call(struct dm_engine *e, const char *method, const char *path,
			  const json_t *body, double seconds, json_t **answer, struct dm_err *err)
{
	char *line = fuzz_line(&answers, &answers_size), *text;
	long long status;
	json_t *o;

	(void)e;
	(void)seconds;
	HOLDS(path[0] == '/' && strlen(path) < 2000);
	if (body) {
		text = dm_json_text(body, err);
		if (!text) {
			free(line);
			return -1;
		}
		free(text);
		check_body(path, body);
	}
	o = line ? json_loads(line, 0, NULL) : NULL;
	free(line);
	status = o ? dm_json_int(o, "status", 200) : -1;
	if (status != 200 && status != 404 && status != 409)
		status = -1;
	if (answer)
		*answer = status == 200 ? json_incref(o) : NULL;
	json_decref(o);
	if (status != 200)
		dm_fail(err, DM_FAILURE, "engine: %s %s: %lld", method, path, status);
	return (int)status;
}

int __wrap_dm_engine_do(struct dm_engine *e, const char *method, const char *path,
			const json_t *body, double seconds, json_t **answer, struct dm_err *err)
{
	return __wrap_dm_engine_call(e, method, path, body, seconds, answer, err) == 200 ? 0 : -1;
}

const char *__wrap_dm_engine_version(const struct dm_engine *e)
{
	(void)e;
	return "26.1.5";
}

int __wrap_dm_cgroup_of(pid_t pid, struct dm_cgroup *out, struct dm_err *err)
{
	(void)err;
	HOLDS(pid > 0);
	snprintf(out->path, sizeof(out->path), "/sys/fs/cgroup/box");
	return 0;
}

int __wrap_dm_tasks_list(const struct dm_cgroup *c, struct dm_tasks *out, struct dm_err *err)
{
	(void)c;
	(void)err;
	*out = (struct dm_tasks){0};
	return 0;
}

int __wrap_dm_child_run(const char *const *argv, double seconds, struct dm_buf *out,
			struct dm_err *err)
{
	(void)argv;
	(void)seconds;
	return out ? dm_buf_add(out, "Version: 4.2.1", 15, err) : 0;
}

const char *__wrap_dm_binds_kind(const char *path)
{
	return path[0] == '/' ? "folder" : "nothing";
}

/* What /proc says of this host: the kernel makes it anew each time, and not quickly. */
char *__wrap_dm_read_file(int dirfd, const char *path, size_t cap, size_t *len, struct dm_err *err)
{
	static const char text[] = "MemAvailable: 1000000 kB\nflags : fpu avx2 pni\n";

	(void)dirfd;
	(void)path;
	(void)err;
	HOLDS(cap >= sizeof(text));
	if (len)
		*len = sizeof(text) - 1;
	return strdup(text);
}

/* The target's work with the document. */
static void make(struct dm_engine *e, const json_t *document, struct dm_err *err)
{
	const json_t *inspect = json_object_get(document, "inspect"), *v;
	struct dm_created created = {0};
	char path[PATH_MAX] = "";
	size_t i;

	json_array_foreach(json_object_get(document, "volumes"), i, v)
	{
		if (dm_create_volume(e, v, path, err) == 0)
			HOLDS(path[0] == '/');
	}
	if (dm_create_has_image(e, inspect, err) < 0)
		return;
	if (dm_create_container(e, inspect, &created, err) == 0)
		HOLDS(strlen(created.id) <= 64 && created.upper[0]);
	dm_create_restart_policy(e, created.id, inspect, err);
}

static void compare(struct dm_engine *e, const json_t *have, struct dm_err *err)
{
	struct dm_fit_opts opts = {.tcp = DM_TCP_CLOSE};
	json_t *list = json_array(), *here = NULL, *document = NULL, *paths;
	struct dm_container c;

	opts.binds.all = (enum dm_bind_mode)((uint64_t)dm_json_int(have, "clock", 0) % 3);

	if (dm_container_load(e, "box", &c, err))
		goto out;
	HOLDS(strlen(c.id) == 64 && c.name[0]);
	here = dm_have(e, fuzz_folder(), err);
	paths = dm_fit_paths(&c, &opts);
	dm_have_paths(here, paths);
	json_decref(paths);
	if (dm_fit_container(&c, &opts, list, err) == 0)
		dm_fit_target(&c, &opts, here, have, list);
	HOLDS((dm_fit_report(&c, list, err) == 0) == (json_array_size(list) == 0));
	document = dm_document(e, &c, &opts, err);
	if (document)
		make(e, document, err);
	dm_container_free(&c);
out:
	json_decref(document);
	json_decref(here);
	json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dm_err err = {0};
	char *text = fuzz_line(&data, &size);
	json_t *have = text ? dm_json_parse(text, strlen(text), "have", &err) : NULL;
	/* nobody looks into it */
	struct dm_engine *e = (struct dm_engine *)(uintptr_t)8;

	answers = data;
	answers_size = size;
	compare(e, have, &err);
	json_decref(have);
	free(text);
	return 0;
}
