/* SPDX-License-Identifier: Apache-2.0 */
#include "container/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

enum { PROC_MAX = 16 << 20 };

int dm_cgroup_of(pid_t pid, struct dm_cgroup *out, struct dm_err *err)
{
	char name[64], *all, *line, *next, *path;

	snprintf(name, sizeof(name), "/proc/%ld/cgroup", (long)pid);
	all = dm_read_file(AT_FDCWD, name, PROC_MAX, NULL, err);
	if (!all)
		return -1;
	out->path[0] = '\0';
	for (line = all; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		path = strstr(line, ":freezer:");
		if (path) {
			snprintf(out->path, sizeof(out->path), "/sys/fs/cgroup/freezer%s",
				 path + 9);
			out->v2 = false;
			break;
		}
		if (!strncmp(line, "0::", 3)) {
			snprintf(out->path, sizeof(out->path), "/sys/fs/cgroup%s", line + 3);
			out->v2 = true;
		}
	}
	free(all);
	snprintf(name, sizeof(name), "%s", out->v2 ? "/cgroup.procs" : "/freezer.state");
	if (!out->path[0] || strlen(out->path) + strlen(name) >= sizeof(out->path) ||
	    strlen(out->path) <= strlen(out->v2 ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/freezer/"))
		return dm_fail(err, DM_UNFIT, "process %ld is in no cgroup of its own", (long)pid);
	if (access(out->path, F_OK))
		return dm_fail_errno(err, "cgroup %s", out->path);
	return 0;
}

int dm_cgroup_frozen(const struct dm_cgroup *c, struct dm_err *err)
{
	char name[PATH_MAX + 32], *text;
	int frozen;

	snprintf(name, sizeof(name), "%s/%s", c->path, c->v2 ? "cgroup.events" : "freezer.state");
	text = dm_read_file(AT_FDCWD, name, 4096, NULL, err);
	if (!text)
		return -1;
	frozen = c->v2 ? strstr(text, "frozen 1") != NULL : !strncmp(text, "FROZEN", 6);
	free(text);
	return frozen;
}

/* The numbers of a "Name:\t1\t2\t3" line of /proc/PID/status: the last one, and their count. */
static int status_numbers(const char *status, const char *name, long *last)
{
	const char *p = strstr(status, name);
	char *end;
	int n = 0;

	if (!p)
		return 0;
	p += strlen(name);
	for (;;) {
		while (*p == '\t' || *p == ' ')
			p++;
		if (*p == '\n' || !*p)
			return n;
		*last = strtol(p, &end, 10);
		if (end == p)
			return n;
		p = end;
		n++;
	}
}

/* Returns 1 with *t; 0 when the process has gone. */
static int read_task(long pid, struct dm_task *t)
{
	struct dm_err ignored;
	char name[64], *status;
	long vpid = 0, parent = 0;

	snprintf(name, sizeof(name), "/proc/%ld/status", pid);
	status = dm_read_file(AT_FDCWD, name, PROC_MAX, NULL, &ignored);
	if (!status)
		return 0;
	t->pid = (pid_t)pid;
	t->depth = status_numbers(status, "\nNSpid:", &vpid);
	status_numbers(status, "\nPPid:", &parent);
	t->vpid = (pid_t)vpid;
	t->parent = (pid_t)parent;
	free(status);
	return t->depth > 0;
}

static int list_procs(const char *path, struct dm_tasks *out, struct dm_err *err)
{
	char name[PATH_MAX + 32], *all, *p, *end;
	struct dm_task *bigger;

	snprintf(name, sizeof(name), "%s/cgroup.procs", path);
	all = dm_read_file(AT_FDCWD, name, PROC_MAX, NULL, err);
	if (!all)
		return -1;
	for (p = all; *p; p = end + (*end == '\n')) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		bigger = realloc(out->t, (out->n + 1) * sizeof(*bigger));
		if (!bigger) {
			free(all);
			return dm_fail_errno(err, "list processes of %s", path);
		}
		out->t = bigger;
		out->n += (size_t)read_task(pid, &out->t[out->n]);
	}
	free(all);
	return 0;
}

static int list_tree(const char *path, int depth, struct dm_tasks *out, struct dm_err *err)
{
	char sub[PATH_MAX];
	struct dirent *e;
	int ret;
	DIR *d;

	if (depth > 32)
		return dm_fail(err, DM_UNFIT, "cgroup %s: nested too deeply", path);
	ret = list_procs(path, out, err);
	d = ret ? NULL : opendir(path);
	while (ret == 0 && d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
		    snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) < (int)sizeof(sub))
			ret = list_tree(sub, depth + 1, out, err);
	if (d)
		closedir(d);
	return ret;
}

static int by_vpid(const void *a, const void *b)
{
	const struct dm_task *x = a, *y = b;

	return x->vpid < y->vpid ? -1 : x->vpid > y->vpid;
}

int dm_tasks_list(const struct dm_cgroup *c, struct dm_tasks *out, struct dm_err *err)
{
	*out = (struct dm_tasks){0};
	if (list_tree(c->path, 0, out, err)) {
		dm_tasks_free(out);
		return -1;
	}
	if (out->n)
		qsort(out->t, out->n, sizeof(*out->t), by_vpid);
	return 0;
}

void dm_tasks_free(struct dm_tasks *t)
{
	free(t->t);
	*t = (struct dm_tasks){0};
}

const struct dm_task *dm_tasks_foreign(const struct dm_tasks *t, pid_t root)
{
	for (size_t i = 0; i < t->n; i++) {
		bool inside = t->t[i].pid == root;

		for (size_t k = 0; k < t->n && !inside; k++)
			inside = t->t[k].pid == t->t[i].parent;
		if (!inside)
			return &t->t[i];
	}
	return NULL;
}

int dm_cgroup_kill(const struct dm_cgroup *c, int sig, struct dm_err *err)
{
	struct dm_tasks now;
	size_t before = 0;

	for (int i = 0; i < 100; i++) {
		if (dm_tasks_list(c, &now, err))
			return -1;
		for (size_t k = 0; k < now.n; k++)
			kill(now.t[k].pid, sig);
		if (now.n <= before) { /* frozen: nobody forks, and a second look is enough */
			dm_tasks_free(&now);
			return 0;
		}
		before = now.n;
		dm_tasks_free(&now);
	}
	return dm_fail(err, DM_FAILURE, "cgroup %s: processes keep appearing", c->path);
}

uint64_t dm_tasks_memory(const struct dm_tasks *tasks)
{
	static const char *const keys[] = {"\nRssAnon:", "\nRssShmem:", "\nVmSwap:"};
	unsigned long long kib, sum = 0;
	struct dm_err ignored;
	char path[64], *all, *p;

	for (size_t i = 0; i < tasks->n; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/status", (long)tasks->t[i].pid);
		all = dm_read_file(AT_FDCWD, path, 1 << 20, NULL, &ignored);
		for (size_t k = 0; all && k < sizeof(keys) / sizeof(*keys); k++) {
			p = strstr(all, keys[k]);
			if (p && sscanf(p + strlen(keys[k]), "%llu", &kib) == 1)
				sum += kib;
		}
		free(all);
	}
	return (uint64_t)sum << 10;
}
