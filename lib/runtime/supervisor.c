/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "handover/record.h"
#include "runtime/criulog.h"
#include "runtime/outcome.h"
#include "runtime/procs.h"
#include "runtime/restore.h"
#include "runtime/talk.h"

enum { MAX_CLIENTS = 16, LISTENER = 0, RUNC = 1, CRIU = 2, FIRST = 3, AFTER_SECONDS = 60 };

enum state { SETUP, WAITING, GOING, DECIDING, RUNNING };
enum role { NEW, CREATE, HOOK, START, DECIDE, ABORT };

struct client {
	int fd;
	enum role role;
};

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
	struct client client[MAX_CLIENTS];
	int clients;
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

static struct client *find(struct supervisor *s, enum role role)
{
	for (int i = 0; i < s->clients; i++)
		if (s->client[i].fd >= 0 && s->client[i].role == role)
			return &s->client[i];
	return NULL;
}

static void drop(struct client *c)
{
	if (c && c->fd >= 0)
		close(c->fd);
	if (c)
		c->fd = -1;
}

/* CRIU is alive and calls us. It is watched from here on: runc would not notice its end. */
static void on_script(struct supervisor *s, struct client *c, const char *pid)
{
	if (s->criu_fd < 0)
		s->criu_fd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	s->script = s->criu_fd >= 0 && dm_talk_say(c->fd, "yes") == 0;
}

/* runc's last hook: the root task is there, in empty namespaces, and CRIU waits. */
static void on_hook(struct supervisor *s, struct client *c, const char *pid)
{
	struct client *creator = find(s, CREATE);
	struct dm_err err;

	if (s->state != SETUP || !creator)
		return drop(c);
	c->role = HOOK;
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
	drop(creator);
}

static void on_start(struct supervisor *s, struct client *c)
{
	struct client *hook = find(s, HOOK);

	if (s->state != WAITING || !hook) {
		dm_talk_say(c->fd, "failed start was called out of turn");
		return drop(c);
	}
	c->role = START;
	s->times.go = wall_clock();
	s->deadline = dm_now() + s->job->plan.limit;
	s->state = GOING;
	if (dm_talk_say(hook->fd, "go"))
		fail(s, "the hook went away");
	drop(hook);
}

static void on_decide(struct supervisor *s, struct client *c, const char *pid)
{
	c->role = DECIDE;
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

static void on_abort(struct supervisor *s, struct client *c)
{
	c->role = ABORT;
	if (s->state == RUNNING) {
		dm_talk_say(c->fd, "running");
		drop(c);
	} else if (s->state != DECIDING) {
		fail(s, "it was aborted");
	}
}

static void on_message(struct supervisor *s, struct client *c, const char *text)
{
	if (!strcmp(text, "create"))
		c->role = CREATE;
	else if (!strncmp(text, "script ", 7))
		on_script(s, c, text + 7);
	else if (!strncmp(text, "hook ", 5))
		on_hook(s, c, text + 5);
	else if (!strcmp(text, "start"))
		on_start(s, c);
	else if (!strncmp(text, "decide ", 7))
		on_decide(s, c, text + 7);
	else if (!strncmp(text, "lost ", 5) && c->role == DECIDE)
		fail(s, "%s", text + 5);
	else if (!strcmp(text, "abort"))
		on_abort(s, c);
	else
		drop(c);
}

static void on_end(struct supervisor *s, struct client *c)
{
	enum role role = c->role;

	drop(c);
	if (role == CREATE && s->state == SETUP)
		fail(s, "create went away");
	else if (role == HOOK && s->state == WAITING)
		fail(s, "%s", "");
	else if (role == START && s->state == GOING)
		fail(s, "start went away");
	else if (role == DECIDE)
		on_decided(s);
}

static void read_client(struct supervisor *s, struct client *c)
{
	char text[DM_TALK_MAX];

	if (dm_talk_hear(c->fd, 0, text) == 1)
		on_message(s, c, text);
	else
		on_end(s, c);
}

static void accept_client(struct supervisor *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC), i;

	if (fd < 0)
		return;
	for (i = 0; i < s->clients && s->client[i].fd >= 0; i++)
		;
	if (i == MAX_CLIENTS) {
		close(fd);
		return;
	}
	s->client[i] = (struct client){fd, NEW};
	if (i == s->clients)
		s->clients++;
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

static void check(struct supervisor *s)
{
	check_parent(s);
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
		fail(s,
		     s->state == GOING ? "it took longer than %.0f s"
				       : "nobody called start within %.0f s",
		     s->state == GOING ? s->job->plan.limit : s->job->plan.wait);
	} else if (s->state < DECIDING &&
		   dm_criulog_size(&s->job->pending) > s->job->plan.log_limit) {
		s->runaway = true;
		fail(s, "CRIU wrote more than %llu bytes into its log",
		     (unsigned long long)s->job->plan.log_limit);
	}
}

static void watch(struct supervisor *s)
{
	struct pollfd p[FIRST + MAX_CLIENTS];
	int n = s->clients;

	p[LISTENER] = (struct pollfd){.fd = s->listener, .events = POLLIN};
	p[RUNC] = (struct pollfd){.fd = s->runc_fd, .events = POLLIN};
	p[CRIU] = (struct pollfd){.fd = s->criu_fd, .events = POLLIN};
	for (int i = 0; i < n; i++)
		p[FIRST + i] = (struct pollfd){.fd = s->client[i].fd, .events = POLLIN};
	if (poll(p, (nfds_t)(FIRST + n), 50) < 0)
		return;
	for (int i = 0; i < n; i++)
		if (p[FIRST + i].revents && s->client[i].fd >= 0)
			read_client(s, &s->client[i]);
	if (p[LISTENER].revents)
		accept_client(s);
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
	for (int i = 0; i < s->clients; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0)
			continue;
		if (c->role == ABORT)
			dm_talk_say(c->fd, good ? "running" : "ended");
		else if (c->role == START && good)
			dm_talk_say(c->fd, "done");
		else if (c->role == START || c->role == CREATE)
			dm_talk_say(c->fd, "failed %s", s->why);
		drop(c);
	}
}

/* Those who came meanwhile are to be answered as well. */
static void hear_late(struct supervisor *s)
{
	struct pollfd p = {.fd = s->listener, .events = POLLIN};
	char text[DM_TALK_MAX];

	for (int i = 0; i < MAX_CLIENTS && poll(&p, 1, 0) == 1; i++)
		accept_client(s);
	for (int i = 0; i < s->clients; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0 || c->role != NEW || dm_talk_hear(c->fd, 0.2, text) != 1)
			continue;
		c->role = !strcmp(text, "abort") ? ABORT : !strcmp(text, "start") ? START : CREATE;
	}
}

static void settle(struct supervisor *s)
{
	bool good = succeeded(s);
	struct dm_err err;

	drop(find(s, HOOK));
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
