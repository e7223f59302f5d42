/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/restore.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/io.h"

enum { MAX_WORDS = 128 };

int dm_restore_self(char *path, size_t size, struct dm_err *err)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n < 0)
		return dm_fail_errno(err, "read /proc/self/exe");
	path[n] = '\0';
	if (strpbrk(path, " \t\"#"))
		return dm_fail(err, DM_UNFIT, "CRIU cannot call %s: a blank or # in its path",
			       path);
	return 0;
}

static int add_line(struct dm_buf *b, const char *word, const char *value, struct dm_err *err)
{
	return dm_buf_add(b, word, strlen(word), err) || dm_buf_add(b, value, strlen(value), err) ||
	       dm_buf_add(b, "\n", 1, err);
}

static int write_config(const struct dm_job *job, struct dm_err *err)
{
	struct dm_buf b = {0};
	char self[PATH_MAX];
	json_t *line;
	size_t i;
	int ret = -1;

	if (dm_restore_self(self, sizeof(self), err) || add_line(&b, "action-script ", self, err) ||
	    (job->plan.tcp == DM_PLAN_TCP_CLOSE && add_line(&b, "tcp-close", "", err)))
		goto out;
	json_array_foreach(job->plan.criu, i,
			   line) if (add_line(&b, json_string_value(line), "", err)) goto out;
	ret = dm_write_file(job->pending.dir, "criu.conf", b.data, b.len, err);
out:
	dm_buf_free(&b);
	return ret;
}

static int add(const char *argv[MAX_WORDS], int n, const char *word)
{
	if (n < MAX_WORDS - 1)
		argv[n++] = word;
	return n;
}

static pid_t start(const struct dm_job *job, struct dm_err *err)
{
	char work[PATH_MAX + 8], config[PATH_MAX + 64], dir[PATH_MAX + 64];
	const char *argv[MAX_WORDS] = {job->plan.runc};
	const char *env[] = {config, dir, "NOTIFY_SOCKET", NULL};
	struct dm_child c = {.argv = argv, .env = env, .in = 0, .out = 1, .err = 2};
	json_t *word;
	size_t i;
	int n = 1;

	snprintf(work, sizeof(work), "%s/work", job->pending.path);
	snprintf(config, sizeof(config), "CRIU_CONFIG_FILE=%s/criu.conf", job->pending.path);
	snprintf(dir, sizeof(dir), DM_RESTORE_DIR "=%s", job->pending.path);
	for (int g = 0; g < job->args->n_globals; g++)
		n = add(argv, n, job->args->globals[g]);
	n = add(argv, n, "restore");
	n = add(argv, n, "--detach");
	n = add(argv, n, "--no-subreaper"); /* the restored process goes to the shim, not to us */
	n = add(argv, n, "--bundle");
	n = add(argv, n, job->args->bundle);
	n = add(argv, n, "--image-path");
	n = add(argv, n, job->plan.images);
	n = add(argv, n, "--work-path");
	n = add(argv, n, work);
	n = add(argv, n, "--file-locks"); /* the dump was told so, or there are none */
	if (job->plan.tcp == DM_PLAN_TCP_KEEP)
		n = add(argv, n, "--tcp-established");
	if (job->args->no_pivot)
		n = add(argv, n, "--no-pivot");
	json_array_foreach(job->plan.runc_options, i, word) n =
		add(argv, n, json_string_value(word));
	n = add(argv, n, job->pending.id);
	if (n == MAX_WORDS - 1)
		return dm_fail(err, DM_UNFIT, "start %s: too many options", job->plan.runc);
	return dm_child_start(&c, err);
}

/* Nothing of the container's may stay open in us. */
static int leave_stdio(struct dm_err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		return dm_fail_errno(err, "open /dev/null");
	close(null);
	return 0;
}

int dm_restore_begin(const struct dm_job *job, struct dm_procs *procs, struct dm_err *err)
{
	pid_t pid;

	if (write_config(job, err))
		return -1;
	pid = start(job, err);
	if (pid < 0 || dm_proc_find(pid, &procs->runc, err) || leave_stdio(err))
		return -1;
	return dm_procs_write(&job->pending, procs, err);
}
