/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/install.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "restore/daemon.h"

enum { RELOAD_SECONDS = 15 };

static const char NAME[] = "docker-migrate";

/* Where the runtime is, or was. */
static int runtime_path(char out[PATH_MAX], struct dm_err *err)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 16);
	char *slash;

	if (n < 0)
		return dm_fail_errno(err, "find our own program");
	out[n] = '\0';
	slash = strrchr(out, '/');
	strcpy(slash ? slash + 1 : out, "dm-runtime");
	return 0;
}

/* Returns 1 when the engine lists the runtime with that path. */
static int listed(struct dm_engine *e, const char *path, struct dm_err *err)
{
	json_t *info;
	int ret;

	if (dm_engine_do(e, "GET", "/info", NULL, 60, &info, err))
		return -1;
	ret = !strcmp(dm_json_str(info, "Runtimes.docker-migrate.path", ""), path);
	json_decref(info);
	return ret;
}

/* Have the engine read its configuration, and wait until it lists the runtime, or does not. */
static int reload(struct dm_engine *e, const struct dm_daemon *d, const char *path, int want,
		  struct dm_err *err)
{
	struct timespec nap = {.tv_nsec = 100000000};
	double end = dm_now() + RELOAD_SECONDS;
	int n;

	if (dm_daemon_reload(d, err))
		return -1;
	while ((n = listed(e, path, err)) == !want) {
		if (dm_now() > end)
			return dm_fail(err, DM_FAILURE,
				       "the engine was told to reload, but %s the runtime %s",
				       want ? "does not list" : "still lists", path);
		nanosleep(&nap, NULL);
	}
	return n < 0 ? -1 : 0;
}

int dm_install_runtime(struct dm_engine *e, struct dm_err *err)
{
	struct dm_daemon d = {0};
	char path[PATH_MAX];
	json_t *runtimes;
	int ret;

	if (runtime_path(path, err))
		return -1;
	if (access(path, X_OK))
		return dm_fail_errno(err, "runtime %s", path);
	ret = listed(e, path, err);
	if (ret)
		return ret < 0 ? -1 : 0;
	ret = dm_daemon_read(&d, err);
	if (ret)
		goto out;
	runtimes = json_object_get(d.config, "runtimes");
	if (!json_is_object(runtimes)) {
		runtimes = json_object();
		json_object_set_new(d.config, "runtimes", runtimes);
	}
	json_object_set_new(runtimes, NAME, json_pack("{s:s}", "path", path));
	ret = dm_daemon_write(&d, err);
	if (!ret)
		ret = reload(e, &d, path, 1, err);
out:
	dm_daemon_free(&d);
	return ret;
}

/* Whether the container has the runtime. If so its name goes to the end of names, as far as there is
 * room for it. Returns 1 or 0; -1 with err. */
static int has_runtime(struct dm_engine *e, const char *id, char *names, size_t size,
		       struct dm_err *err)
{
	const char *name, *comma = names[0] ? ", " : "";
	size_t len = strlen(names);
	json_t *inspect = NULL;
	char path[128];
	int status, ret;

	snprintf(path, sizeof(path), "/containers/%.80s/json", id);
	status = dm_engine_call(e, "GET", path, NULL, 60, &inspect, err);
	if (status == 404)
		ret = 0; /* it has gone meanwhile */
	else if (status < 0 || status >= 400)
		ret = -1;
	else
		ret = !strcmp(dm_json_str(inspect, "HostConfig.Runtime", ""), NAME);
	if (ret == 1) {
		name = dm_json_str(inspect, "Name", id);
		name += name[0] == '/';
		snprintf(names + len, size - len, "%s%s", comma, name);
	}
	json_decref(inspect);
	return ret;
}

/* Refuse while a container has the runtime, running or not. */
static int refuse_needed(struct dm_engine *e, struct dm_err *err)
{
	char names[768] = "";
	json_t *list, *v;
	int n = 0, count = 0;
	size_t i;

	if (dm_engine_do(e, "GET", "/containers/json?all=1", NULL, 60, &list, err))
		return -1;
	json_array_foreach(list, i, v)
	{
		n = has_runtime(e, dm_json_str(v, "Id", ""), names, sizeof(names), err);
		if (n < 0)
			break;
		count += n;
	}
	json_decref(list);
	if (n < 0)
		return -1;
	if (count)
		return dm_fail(err, DM_UNFIT, "%d container%s still %s the runtime %s: %s", count,
			       count == 1 ? "" : "s", count == 1 ? "has" : "have", NAME, names);
	return 0;
}

/* Refuse what an engine would not start with, or not take from the file. */
static int refuse_config(struct dm_engine *e, const struct dm_daemon *d, struct dm_err *err)
{
	json_t *info;
	int ret = 0;

	if (dm_engine_do(e, "GET", "/info", NULL, 60, &info, err))
		return -1;
	if (!strcmp(dm_json_str(info, "DefaultRuntime", ""), NAME) ||
	    !strcmp(dm_json_str(d->config, "default-runtime", ""), NAME))
		ret = dm_fail(err, DM_UNFIT, "the runtime %s is the engine's default", NAME);
	else if (!json_is_object(json_object_get(d->config, "runtimes")))
		ret = dm_fail(err, DM_UNFIT,
			      "the engine has the runtime %s, but not from %s: take it out of "
			      "dockerd's options, or restart dockerd",
			      NAME, d->file);
	json_decref(info);
	return ret;
}

/* Neither the engine nor its configuration has our runtime, but they may have another's. */
static int say_other(const struct dm_daemon *d, const char *path)
{
	const char *other = dm_json_str(d->config, "runtimes.docker-migrate.path", NULL);

	if (other)
		dm_say("the runtime %s in %s stays: it is %s, not %s", NAME, d->file, other, path);
	return 0;
}

int dm_remove_runtime(struct dm_err *err)
{
	struct dm_daemon d = {0};
	struct dm_engine *e = NULL;
	char path[PATH_MAX];
	int ret = -1, has, lists;

	if (dm_daemon_read(&d, err))
		goto out;
	e = dm_engine_open(err);
	if (!e && !dm_json_at(d.config, "runtimes.docker-migrate")) {
		ret = 0;
		goto out;
	}
	if (runtime_path(path, err))
		goto out;
	has = !strcmp(dm_json_str(d.config, "runtimes.docker-migrate.path", ""), path);
	if (!e) {
		ret = has ? dm_fail_prefix(err, "%s has the runtime %s, which containers may need",
					   d.file, NAME)
			  : say_other(&d, path);
		goto out;
	}
	lists = listed(e, path, err);
	if (lists < 0)
		goto out;
	if (!has && !lists) {
		ret = say_other(&d, path);
		goto out;
	}
	if (refuse_needed(e, err) || refuse_config(e, &d, err))
		goto out;
	if (has) /* an engine without the object "runtimes" would keep what it had */
		json_object_del(json_object_get(d.config, "runtimes"), NAME);
	if (has && dm_daemon_write(&d, err))
		goto out;
	ret = reload(e, &d, path, 0, err);
out:
	dm_engine_close(e);
	dm_daemon_free(&d);
	return ret;
}
