/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"

enum { CONFIG_MAX = 1 << 20 };

int dm_daemon_read(struct dm_daemon *d, struct dm_err *err)
{
	struct stat st;
	size_t len;
	char *text;

	*d = (struct dm_daemon){.file = getenv("DM_DAEMON_JSON"), .mode = 0644};
	if (!d->file)
		d->file = "/etc/docker/daemon.json";
	if (d->file[0] != '/')
		return dm_fail(err, DM_USAGE, "%s: not an absolute path", d->file);
	if (stat(d->file, &st)) {
		if (errno != ENOENT)
			return dm_fail_errno(err, "stat %s", d->file);
		d->config = json_object();
		return 0;
	}
	d->mode = st.st_mode & 07777;
	text = dm_read_file(AT_FDCWD, d->file, CONFIG_MAX, &len, err);
	if (!text)
		return -1;
	d->config = strspn(text, " \t\r\n") == len ? json_object()
						   : dm_json_parse(text, len, d->file, err);
	free(text);
	return d->config ? 0 : -1;
}

void dm_daemon_free(struct dm_daemon *d)
{
	json_decref(d->config);
	d->config = NULL;
}

int dm_daemon_write(const struct dm_daemon *d, struct dm_err *err)
{
	const char *name = strrchr(d->file, '/') + 1;
	char folder[PATH_MAX], *text;
	int fd, ret = -1;

	snprintf(folder, sizeof(folder), "%.*s", (int)(name - d->file), d->file);
	if (mkdir(folder, 0755) && errno != EEXIST)
		return dm_fail_errno(err, "make folder %s", folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err, "open folder %s", folder);
	text = json_dumps(d->config, JSON_INDENT(4));
	if (!text)
		dm_fail(err, DM_FAILURE, "write %s: out of memory", d->file);
	else if (dm_write_file(fd, name, text, strlen(text), err) == 0)
		ret = fchmodat(fd, name, d->mode, 0) ? dm_fail_errno(err, "chmod %s", d->file) : 0;
	free(text);
	close(fd);
	return ret;
}

int dm_daemon_reload(const struct dm_daemon *d, struct dm_err *err)
{
	const char *file = dm_json_str(d->config, "pidfile", "/var/run/docker.pid");
	char *text = dm_read_file(AT_FDCWD, file, 64, NULL, err);
	long pid = text ? strtol(text, NULL, 10) : 0;

	free(text);
	if (pid <= 1 || kill((pid_t)pid, SIGHUP))
		return dm_fail(err, DM_FAILURE,
			       "%s is changed, but the engine could not be told to read it (%s): "
			       "reload it yourself",
			       d->file, file);
	return 0;
}
