/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"

enum { CONFIG_MAX = 1 << 20, RELOAD_SECONDS = 15 };

static int runtime_path(char out[PATH_MAX], struct dm_err *err)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 16);
	char *slash;

	if (n < 0)
		return dm_fail_errno(err, "find our own program");
	out[n] = '\0';
	slash = strrchr(out, '/');
	strcpy(slash ? slash + 1 : out, "dm-runtime");
	if (access(out, X_OK))
		return dm_fail_errno(err, "runtime %s", out);
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

/* The configuration as it is; an empty object when there is none. Its mode is left in *mode. */
static json_t *read_config(const char *file, mode_t *mode, struct dm_err *err)
{
	json_t *config;
	struct stat st;
	size_t len;
	char *text;

	*mode = 0644;
	if (stat(file, &st)) {
		if (errno == ENOENT)
			return json_object();
		dm_fail_errno(err, "stat %s", file);
		return NULL;
	}
	*mode = st.st_mode & 07777;
	text = dm_read_file(AT_FDCWD, file, CONFIG_MAX, &len, err);
	if (!text)
		return NULL;
	config = strspn(text, " \t\r\n") == len ? json_object()
						: dm_json_parse(text, len, file, err);
	free(text);
	return config;
}

/* Write it in one step, into its folder, which is made if it is missing. */
static int write_config(const char *file, const json_t *config, mode_t mode, struct dm_err *err)
{
	const char *name = strrchr(file, '/') + 1;
	char folder[PATH_MAX], *text;
	int fd, ret = -1;

	snprintf(folder, sizeof(folder), "%.*s", (int)(name - file), file);
	if (mkdir(folder, 0755) && errno != EEXIST)
		return dm_fail_errno(err, "make folder %s", folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err, "open folder %s", folder);
	text = json_dumps(config, JSON_INDENT(4));
	if (!text)
		dm_fail(err, DM_FAILURE, "write %s: out of memory", file);
	else if (dm_write_file(fd, name, text, strlen(text), err) == 0)
		ret = fchmodat(fd, name, mode, 0) ? dm_fail_errno(err, "chmod %s", file) : 0;
	free(text);
	close(fd);
	return ret;
}

static int add_runtime(const char *file, const char *path, struct dm_err *err)
{
	json_t *config, *runtimes;
	mode_t mode;
	int ret;

	if (file[0] != '/')
		return dm_fail(err, DM_USAGE, "%s: not an absolute path", file);
	config = read_config(file, &mode, err);
	if (!config)
		return -1;
	runtimes = json_object_get(config, "runtimes");
	if (!json_is_object(runtimes)) {
		runtimes = json_object();
		json_object_set_new(config, "runtimes", runtimes);
	}
	json_object_set_new(runtimes, "docker-migrate", json_pack("{s:s}", "path", path));
	ret = write_config(file, config, mode, err);
	json_decref(config);
	return ret;
}

/* The engine reads its configuration again on SIGHUP; its pid file is where it says by default. */
static int reload(struct dm_err *err)
{
	char *text = dm_read_file(AT_FDCWD, "/var/run/docker.pid", 64, NULL, err);
	long pid = text ? strtol(text, NULL, 10) : 0;

	free(text);
	if (pid <= 1 || kill((pid_t)pid, SIGHUP))
		return dm_fail(err, DM_FAILURE,
			       "the runtime is in the engine's configuration, but the engine could "
			       "not be told to read it (/var/run/docker.pid): reload it yourself");
	return 0;
}

int dm_install_runtime(struct dm_engine *e, struct dm_err *err)
{
	const char *file = getenv("DM_DAEMON_JSON");
	struct timespec nap = {.tv_nsec = 100000000};
	double end = dm_now() + RELOAD_SECONDS;
	char path[PATH_MAX];
	int n;

	if (runtime_path(path, err))
		return -1;
	n = listed(e, path, err);
	if (n != 0)
		return n < 0 ? -1 : 0;
	if (add_runtime(file ? file : "/etc/docker/daemon.json", path, err) || reload(err))
		return -1;
	while ((n = listed(e, path, err)) == 0) {
		if (dm_now() > end)
			return dm_fail(
				err, DM_FAILURE,
				"the engine was told to reload, but does not list the runtime");
		nanosleep(&nap, NULL);
	}
	return n < 0 ? -1 : 0;
}
