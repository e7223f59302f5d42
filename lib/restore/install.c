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

static int write_config(const char *file, const char *path, struct dm_err *err)
{
	json_t *config = NULL, *runtimes;
	char dir[PATH_MAX], *text = NULL, *slash;
	struct stat st;
	size_t len;
	int fd = -1, ret = -1;

	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return dm_fail(err, DM_USAGE, "%s: not an absolute path of a file", file);
	*slash = '\0'; /* the folder before it, the name behind it */
	if (stat(file, &st) == 0) {
		text = dm_read_file(AT_FDCWD, file, CONFIG_MAX, &len, err);
		if (!text)
			return -1;
		config = strspn(text, " \t\r\n") == len ? json_object()
							: dm_json_parse(text, len, file, err);
	} else if (errno == ENOENT) {
		st.st_mode = 0644;
		config = json_object();
		if (mkdir(dir, 0755) && errno != EEXIST)
			dm_fail_errno(err, "make folder %s", dir);
	} else {
		dm_fail_errno(err, "stat %s", file);
	}
	free(text);
	text = NULL;
	if (!config)
		return -1;
	runtimes = json_object_get(config, "runtimes");
	if (!runtimes) {
		runtimes = json_object();
		json_object_set_new(config, "runtimes", runtimes);
	}
	json_object_set_new(runtimes, "docker-migrate", json_pack("{s:s}", "path", path));
	text = json_dumps(config, JSON_INDENT(4));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!text || fd < 0) {
		dm_fail_errno(err, "open folder %s", dir);
		goto out;
	}
	if (dm_write_file(fd, slash + 1, text, strlen(text), err))
		goto out;
	if (fchmodat(fd, slash + 1, st.st_mode & 07777, 0)) {
		dm_fail_errno(err, "chmod %s", file);
		goto out;
	}
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	free(text);
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
	if (write_config(file ? file : "/etc/docker/daemon.json", path, err) || reload(err))
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
