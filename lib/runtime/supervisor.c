/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "handover/record.h"
#include "runtime/clients.h"
#include "runtime/criulog.h"
#include "runtime/outcome.h"
#include "runtime/procs.h"
#include "runtime/restore.h"
#include "runtime/talk.h"

enum { LISTENER = 0, RUNC = 1, CRIU = 2, FIRST = 3, AFTER_SECONDS = 60 };

enum state { SETUP, WAITING, GOING, DECIDING, RUNNING };

struct supervisor {
	const struct dm_job *job;
	enum state state;
	bool over, runaway;
	int listener, runc_fd, runc_rc; /* runc_fd -1: it has ended with runc_rc */
	int criu_fd;			/* -1: not yet, or no more */
	bool script;			/* CRIU has called its script */
	pid_t creator, parent;		/* create; who became our parent when it ended, or 0 */
	struct dm_procs procs;
	struct dm_times times;
	double deadline;
	char why[DM_WHY_MAX];
	struct dm_clients clients;
};

static void fail(struct supervisor *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first reason is the one that counts; "": it is in CRIU's log. */
static void fail(struct supervisor *s, const char *fmt, ...)
{
	va_list ap;

	if (s->over)
		return;
	s->over = true;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
}

static double wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CRIU is alive and calls us. It is watched from here on: runc would not notice its end. */
static void on_script(struct supervisor *s, struct dm_client *c, const char *pid)
{
	if (s->criu_fd < 0)
		s->criu_fd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	s->script = s->criu_fd >= 0 && dm_talk_say(c->fd, "yes") == 0;
}

/* runc's last hook: the root task is there, in empty namespaces, and CRIU waits. */
static void on_hook(struct supervisor *s, struct dm_client *c, const char *pid)
{
	struct dm_client *creator = dm_clients_find(&s->clients, DM_CREATE);
	struct dm_err err;

	if (s->state != SETUP || !creator)
		return dm_clients_drop(c);
	c->role = DM_HOOK;
	if (!s->script)
		return fail(s, "CRIU did not call our script in pre-restore: is it too old, or is "
			       "CRIU_CONFIG_FILE taken from its environment?");
	if (dm_proc_find(atoi(pid), &s->procs.root, &err) ||
	    dm_procs_write(&s->job->pending, &s->procs, &err))
		return fail(s, "%s", err.msg);
	s->times.setup = wall_clock();
	s->state = WAITING;
	if (dm_talk_say(creator->fd, "pid %ld", (long)s->procs.root.pid))
		fail(s, "create went away");
	dm_clients_drop(creator);
}

static void on_start(struct supervisor *s, struct dm_client *c)
{
	struct dm_client *hook = dm_clients_find(&s->clients, DM_HOOK);

	if (s->state != WAITING || !hook) {
		dm_talk_say(c->fd, "failed start was called out of turn");
		return dm_clients_drop(c);
	}
	c->role = DM_START;
	s->times.go = wall_clock();
	s->deadline = dm_now() + s->job->plan.limit;
	s->state = GOING;
	if (dm_talk_say(hook->fd, "go"))
		fail(s, "the hook went away");
	dm_clients_drop(hook);
}

static void on_decide(struct supervisor *s, struct dm_client *c, const char *pid)
{
	c->role = DM_DECIDE;
	if (s->state != GOING || s->over) {
		dm_talk_say(c->fd, "no the restore is being aborted");
	} else if (atoi(pid) != s->procs.root.pid) {
		dm_talk_say(c->fd, "no the root task is %ld", (long)s->procs.root.pid);
		fail(s, "CRIU calls process %s the root task, the hook said %ld", pid,
		     (long)s->procs.root.pid);
	} else {
		s->state = DECIDING;
		if (dm_talk_say(c->fd, "yes"))
			fail(s, "CRIU's script went away");
	}
}

/* The script has ended: only the record tells what came of it. */
static void on_decided(struct supervisor *s)
{
	char standing[DM_WORD_MAX] = "";
	struct dm_err err;

	if (s->state != DECIDING)
		return;
	if (dm_plan_decision(&s->job->plan, standing, &err) < 0)
		return fail(s, "%s", err.msg);
	if (strcmp(standing, "running") != 0)
		return fail(s, "the decision was not won: %s",
			    *standing ? standing : "the script of CRIU ended before");
	s->state = RUNNING;
	s->deadline = dm_now() + AFTER_SECONDS;
}

static void on_abort(struct supervisor *s, struct dm_client *c)
{
	c->role = DM_ABORT;
	if (s->state == RUNNING) {
		dm_talk_say(c->fd, "running");
		dm_clients_drop(c);
	} else if (s->state != DECIDING) {
		fail(s, "it was aborted");
	}
}

static void on_message(struct supervisor *s, struct dm_client *c, const char *text)
{
	if (!strcmp(text, "create"))
		c->role = DM_CREATE;
	else if (!strncmp(text, "script ", 7))
		on_script(s, c, text + 7);
	else if (!strncmp(text, "hook ", 5))
		on_hook(s, c, text + 5);
	else if (!strcmp(text, "start"))
		on_start(s, c);
	else if (!strncmp(text, "decide ", 7))
		on_decide(s, c, text + 7);
	else if (!strncmp(text, "lost ", 5) && c->role == DM_DECIDE)
		fail(s, "%s", text + 5);
	else if (!strcmp(text, "abort"))
		on_abort(s, c);
	else
		dm_clients_drop(c);
}

static void on_end(struct supervisor *s, struct dm_client *c)
{
	enum dm_role role = c->role;

	dm_clients_drop(c);
	if (role == DM_CREATE && s->state == SETUP)
		fail(s, "create went away");
	else if (role == DM_HOOK && s->state == WAITING)
		fail(s, "%s", "");
	else if (role == DM_START && s->state == GOING)
		fail(s, "start went away");
	else if (role == DM_DECIDE)
		on_decided(s);
}

static void read_client(struct supervisor *s, struct dm_client *c)
{
	char text[DM_TALK_MAX];

	if (dm_talk_hear(c->fd, 0, text) == 1)
		on_message(s, c, text);
	else
		on_end(s, c);
}

static void reap_runc(struct supervisor *s)
{
	int status;

	while (waitpid(s->procs.runc.pid, &status, 0) < 0)
		if (errno != EINTR)
			return;
	s->runc_rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	close(s->runc_fd);
	s->runc_fd = -1;
}

/* The container's processes would go on by themselves without CRIU: no time is to be lost. */
static void criu_ended(struct supervisor *s)
{
	close(s->criu_fd);
	s->criu_fd = -1;
	if (s->state < DECIDING)
		fail(s, "%s", "");
}

/* When create has ended, the engine's shim is our parent. Without it nobody would call start. */
static void check_parent(struct supervisor *s)
{
	pid_t parent = getppid();

	if (s->parent == 0 && parent != s->creator)
		s->parent = parent;
	else if (s->parent != 0 && parent != s->parent && s->state < DECIDING)
		fail(s, "the container's shim died");
}

static void check_folder(struct supervisor *s)
{
	struct stat st;

	if (s->state < DECIDING && fstat(s->job->pending.dir, &st) == 0 && st.st_nlink == 0)
		fail(s, "its folder was removed");
}

static void check(struct supervisor *s)
{
	static const char *const late[] = {
		[SETUP] = "CRIU made no process within %.0f s",
		[WAITING] = "nobody called start within %.0f s",
		[GOING] = "it took longer than %.0f s",
	};

	check_parent(s);
	check_folder(s);
	if (s->runc_fd < 0 && s->state != DECIDING) {
		if (s->state == RUNNING)
			s->over = true;
		else if (s->runc_rc == 0)
			fail(s, "CRIU let the container run without asking");
		else
			fail(s, "%s", "");
	} else if (s->state == RUNNING && dm_now() > s->deadline) {
		s->over = true;
	} else if (s->state < DECIDING && dm_now() > s->deadline) {
		fail(s, late[s->state], s->state == GOING ? s->job->plan.limit : s->job->plan.wait);
	} else if (s->state < DECIDING &&
		   dm_criulog_size(&s->job->pending) > s->job->plan.log_limit) {
		s->runaway = true;
		fail(s, "CRIU wrote more than %llu bytes into its log",
		     (unsigned long long)s->job->plan.log_limit);
	}
}

static void watch(struct supervisor *s)
{
	struct pollfd p[FIRST + DM_CLIENTS_MAX];
	int n = s->clients.n;

	p[LISTENER] = (struct pollfd){.fd = s->listener, .events = POLLIN};
	p[RUNC] = (struct pollfd){.fd = s->runc_fd, .events = POLLIN};
	p[CRIU] = (struct pollfd){.fd = s->criu_fd, .events = POLLIN};
	for (int i = 0; i < n; i++)
		p[FIRST + i] = (struct pollfd){.fd = s->clients.c[i].fd, .events = POLLIN};
	if (poll(p, (nfds_t)(FIRST + n), 50) < 0)
		return;
	for (int i = 0; i < n; i++)
		if (p[FIRST + i].revents && s->clients.c[i].fd >= 0)
			read_client(s, &s->clients.c[i]);
	if (p[LISTENER].revents)
		dm_clients_accept(&s->clients, s->listener);
	else if (p[CRIU].revents) /* after those two, so that what was said before has been heard */
		criu_ended(s);
	else if (p[RUNC].revents)
		reap_runc(s);
}

static bool succeeded(const struct supervisor *s)
{
	if (s->state != RUNNING)
		return false;
	if (s->runc_fd < 0)
		return s->runc_rc == 0;
	return dm_pending_has(&s->job->pending, "resumed") && dm_proc_can_run(&s->procs.root);
}

static void answer(struct supervisor *s, bool good)
{
	for (int i = 0; i < s->clients.n; i++) {
		struct dm_client *c = &s->clients.c[i];

		if (c->fd < 0)
			continue;
		if (c->role == DM_ABORT)
			dm_talk_say(c->fd, good ? "running" : "ended");
		else if (c->role == DM_START && good)
			dm_talk_say(c->fd, "done");
		else if (c->role == DM_START || c->role == DM_CREATE)
			dm_talk_say(c->fd, "failed %s", s->why);
		dm_clients_drop(c);
	}
}

/* Those who came meanwhile are to be answered as well. */
static void hear_late(struct supervisor *s)
{
	struct pollfd p = {.fd = s->listener, .events = POLLIN};
	char text[DM_TALK_MAX];

	for (int i = 0; i < DM_CLIENTS_MAX && poll(&p, 1, 0) == 1; i++)
		dm_clients_accept(&s->clients, s->listener);
	for (int i = 0; i < s->clients.n; i++) {
		struct dm_client *c = &s->clients.c[i];

		if (c->fd < 0 || c->role != DM_NEW || dm_talk_hear(c->fd, 0.2, text) != 1)
			continue;
		c->role = !strcmp(text, "abort")   ? DM_ABORT
			  : !strcmp(text, "start") ? DM_START
						   : DM_CREATE;
	}
}

static void settle(struct supervisor *s)
{
	bool good = succeeded(s);
	struct dm_err err;

	dm_clients_drop(dm_clients_find(&s->clients, DM_HOOK));
	if (good) {
		if (dm_outcome_done(s->job, &s->times, s->procs.root.pid, &err))
			dm_say("%s", err.msg);
	} else {
		dm_outcome_failed(s->job, &s->procs, &s->times, s->runaway, s->why);
		if (s->runc_fd >= 0)
			waitpid(s->procs.runc.pid, NULL, WNOHANG);
	}
	hear_late(s);
	answer(s, good);
}

static int begin(struct supervisor *s, struct dm_err *err)
{
	if (dm_restore_begin(s->job, &s->procs, err))
		return -1;
	s->runc_fd = (int)syscall(SYS_pidfd_open, s->procs.runc.pid, 0);
	return s->runc_fd < 0 ? dm_fail_errno(err, "watch runc") : 0;
}

void dm_supervisor_run(const struct dm_job *job, int listener)
{
	struct supervisor s = {.job = job,
			       .listener = listener,
			       .runc_fd = -1,
			       .criu_fd = -1,
			       .creator = getppid()};
	struct dm_err err;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	s.times.started = wall_clock();
	s.deadline = dm_now() + job->plan.wait;
	if (begin(&s, &err))
		fail(&s, "%s", err.msg);
	while (!s.over) {
		watch(&s);
		check(&s);
	}
	settle(&s);
}
