/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/procs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"

enum { EXITING = 0x4 }; /* PF_EXITING, in the flags of /proc/PID/stat */

struct entry {
	struct dm_proc proc;
	pid_t parent;
	bool wanted;
};

struct list {
	struct entry *e;
	size_t n, size;
};

struct stat_line {
	char state;
	int parent;
	unsigned flags;
	unsigned long long start;
};

static int read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = dm_read_full(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? 0 : -1;
}

static int read_stat(const char *path, struct stat_line *s)
{
	char buf[1024], *p;

	if (read_small(path, buf, sizeof(buf)))
		return -1;
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	if (!p || sscanf(p + 1,
			 " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			 " %*d %*d %llu",
			 &s->state, &s->parent, &s->flags, &s->start) != 4)
		return -1;
	return 0;
}

static int read_stat_of(pid_t pid, struct stat_line *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	return read_stat(path, s);
}

int dm_proc_find(pid_t pid, struct dm_proc *t, struct dm_err *err)
{
	struct stat_line s;

	if (pid <= 1 || read_stat_of(pid, &s))
		return dm_fail(err, DM_FAILURE, "there is no process %ld", (long)pid);
	*t = (struct dm_proc){pid, s.start};
	return 0;
}

static bool same(const struct dm_proc *t)
{
	struct stat_line s;

	return t->pid > 1 && read_stat_of(t->pid, &s) == 0 && s.start == t->start;
}

bool dm_proc_can_run(const struct dm_proc *t)
{
	char path[64], file[384];
	struct stat_line s;
	struct dirent *e;
	bool can = false;
	DIR *d;

	if (!same(t))
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/task", (long)t->pid);
	d = opendir(path);
	while (!can && d && (e = readdir(d))) {
		snprintf(file, sizeof(file), "%s/%s/stat", path, e->d_name);
		can = e->d_name[0] != '.' && read_stat(file, &s) == 0 && s.state != 'Z' &&
		      s.state != 'X' && !(s.flags & EXITING);
	}
	if (d)
		closedir(d);
	return can;
}

void dm_proc_signal(const struct dm_proc *t, int sig)
{
	int fd;

	if (t->pid <= 1)
		return;
	fd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	if (fd < 0)
		return;
	if (same(t))
		syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
	close(fd);
}

static bool in_cgroup_of(pid_t pid, const char *id)
{
	char path[64], buf[8192];

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	return strlen(id) >= 12 && read_small(path, buf, sizeof(buf)) == 0 && strstr(buf, id);
}

/* Whether pid lives in a process namespace below ours: it has more than one number. */
static bool in_namespace_below(pid_t pid)
{
	char path[64], buf[8192], *p;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (read_small(path, buf, sizeof(buf)))
		return false;
	p = strstr(buf, "\nNSpid:");
	if (!p)
		return false;
	p += 7 + strspn(p + 7, " \t");
	p += strspn(p, "0123456789");
	p += strspn(p, " \t");
	return isdigit((unsigned char)*p);
}

static bool wanted(const struct entry *e, const struct dm_procs *t, const char *id,
		   enum dm_procs_which which)
{
	pid_t pid = e->proc.pid;

	if (t->root.pid > 1 && pid == t->root.pid && e->proc.start == t->root.start)
		return true;
	if (!in_cgroup_of(pid, id))
		return false;
	return which == DM_PROCS_ALL || in_namespace_below(pid);
}

static struct entry *by_pid(const struct list *l, pid_t pid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->e[i].proc.pid == pid)
			return &l->e[i];
	return NULL;
}

static int list_all(struct list *l, struct dm_err *err)
{
	struct stat_line s;
	struct dirent *e;
	DIR *d = opendir("/proc");

	if (!d)
		return dm_fail_errno(err, "read /proc");
	l->n = 0;
	while ((e = readdir(d))) {
		pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;

		if (pid <= 1 || pid == getpid() || read_stat_of(pid, &s))
			continue;
		if (l->n == l->size) {
			size_t size = l->size ? 2 * l->size : 256;
			struct entry *bigger = realloc(l->e, size * sizeof(*bigger));

			if (!bigger) {
				closedir(d);
				return dm_fail_errno(err, "read /proc");
			}
			l->e = bigger;
			l->size = size;
		}
		l->e[l->n++] = (struct entry){{pid, s.start}, s.parent, false};
	}
	closedir(d);
	return 0;
}

/* Mark what is wanted by itself, then the children of what is. */
static void mark(struct list *l, const struct dm_procs *t, const char *id,
		 enum dm_procs_which which)
{
	bool more = true;

	for (size_t i = 0; i < l->n; i++)
		l->e[i].wanted = wanted(&l->e[i], t, id, which);
	while (more) {
		more = false;
		for (size_t i = 0; i < l->n; i++) {
			struct entry *e = &l->e[i], *up;

			if (e->wanted || e->parent <= 1)
				continue;
			up = by_pid(l, e->parent);
			if (up &&
			    (up->wanted || (which == DM_PROCS_ALL && up->proc.pid == t->runc.pid &&
					    up->proc.start == t->runc.start)))
				more = e->wanted = true;
		}
	}
}

int dm_procs_kill(const struct dm_procs *t, const char *id, enum dm_procs_which which,
		  double seconds, struct dm_err *err)
{
	double end = dm_now() + seconds;
	struct timespec nap = {.tv_nsec = 2000000};
	struct list l = {0};
	pid_t left = 0;
	int ret = -1;

	dm_proc_signal(&t->root, SIGKILL);
	for (;;) {
		if (list_all(&l, err))
			break;
		mark(&l, t, id, which);
		left = 0;
		for (size_t i = 0; i < l.n; i++) {
			if (!l.e[i].wanted || !dm_proc_can_run(&l.e[i].proc))
				continue;
			left = l.e[i].proc.pid;
			dm_proc_signal(&l.e[i].proc, SIGKILL);
		}
		if (!left) {
			ret = 0;
			break;
		}
		if (seconds >= 0 && dm_now() > end) {
			dm_fail(err, DM_FAILURE, "process %ld is still there after %.0f s",
				(long)left, seconds);
			break;
		}
		nanosleep(&nap, NULL);
	}
	free(l.e);
	return ret;
}

int dm_procs_write(const struct dm_pending *p, const struct dm_procs *t, struct dm_err *err)
{
	json_t *o = json_pack("{s:{s:I, s:I}, s:{s:I, s:I}}", "runc", "pid",
			      (json_int_t)t->runc.pid, "start", (json_int_t)t->runc.start, "root",
			      "pid", (json_int_t)t->root.pid, "start", (json_int_t)t->root.start);
	char *text = o ? dm_json_text(o, err) : NULL;
	int ret = -1;

	if (text)
		ret = dm_write_file(p->dir, "procs.json", text, strlen(text), err);
	else if (!o)
		dm_fail(err, DM_FAILURE, "write procs.json: out of memory");
	free(text);
	json_decref(o);
	return ret;
}

int dm_procs_read(const struct dm_pending *p, struct dm_procs *t, struct dm_err *err)
{
	char *text;
	json_t *o;
	size_t len;

	*t = (struct dm_procs){0};
	if (!dm_pending_has(p, "procs.json"))
		return 0;
	text = dm_read_file(p->dir, "procs.json", 1 << 16, &len, err);
	o = text ? dm_json_parse(text, len, "procs.json", err) : NULL;
	free(text);
	if (!o)
		return -1;
	t->runc = (struct dm_proc){(pid_t)dm_json_int(o, "runc.pid", 0),
				   (uint64_t)dm_json_int(o, "runc.start", 0)};
	t->root = (struct dm_proc){(pid_t)dm_json_int(o, "root.pid", 0),
				   (uint64_t)dm_json_int(o, "root.start", 0)};
	json_decref(o);
	return 0;
}
