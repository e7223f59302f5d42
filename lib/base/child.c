/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

static void child_main(const struct dm_child *c, int report)
{
	int want[3] = {c->in, c->out, c->err}, fd[3], e;
	sigset_t none;

	for (int i = 0; i < 3; i++) { /* out of the way of 0 to 2 first */
		int from = want[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : want[i];

		fd[i] = fcntl(from, F_DUPFD_CLOEXEC, 3);
		if (fd[i] < 0)
			goto fail;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0)
			goto fail;
	if (c->session)
		setsid();
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (const char *const *v = c->env; v && *v; v++)
		putenv((char *)(uintptr_t)*v);
	execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);

fail:
	e = errno;
	if (write(report, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

pid_t dm_child_start(const struct dm_child *c, struct dm_err *err)
{
	int report[2], e;
	pid_t pid;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC))
		return dm_fail_errno(err, "start %s", c->argv[0]);
	pid = fork();
	if (pid < 0) {
		dm_fail_errno(err, "start %s", c->argv[0]);
		close(report[0]);
		close(report[1]);
		return -1;
	}
	if (pid == 0)
		child_main(c, report[1]);
	close(report[1]);
	n = dm_read_full(report[0], &e, sizeof(e));
	close(report[0]);
	if (n == (ssize_t)sizeof(e)) {
		waitpid(pid, NULL, 0);
		errno = e;
		dm_fail_errno(err, "start %s", c->argv[0]);
		if (e == ENOENT)
			err->code = DM_UNFIT;
		return -1;
	}
	return pid;
}

/* Of the seconds, those up to end are left. */
static int wait_until(pid_t pid, const char *what, double seconds, double end, struct dm_err *err)
{
	int fd = -1, status, ms = -1;
	struct pollfd p;

	if (seconds >= 0)
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (fd >= 0) {
		p = (struct pollfd){.fd = fd, .events = POLLIN};
		ms = (int)((end - dm_now()) * 1000);
		if (poll(&p, 1, ms > 0 ? ms : 0) != -1 || errno != EINTR)
			break;
	}
	if (fd >= 0 && !(p.revents & POLLIN)) {
		close(fd);
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return dm_fail(err, DM_FAILURE, "%s: no end after %.0f s", what, seconds);
	}
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return dm_fail_errno(err, "wait for %s", what);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int dm_child_wait(pid_t pid, const char *what, double seconds, struct dm_err *err)
{
	return wait_until(pid, what, seconds, dm_now() + seconds, err);
}

/* Read fd until it ends, or the child has ended and nothing is there (others may hold its output
 * on), or the time is over; keep at most the cap of out. */
static int gather(int fd, pid_t pid, double end, struct dm_buf *out, struct dm_err *err)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
			      {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN}};
	char chunk[4096];
	int ret = 0;

	while (ret == 0) {
		int ms = (int)((end - dm_now()) * 1000);
		ssize_t n;

		n = poll(p, 2, ms > 0 ? ms : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !p[0].revents)
			break; /* wait_until() tells of the time-out */
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0)
			ret = dm_fail_errno(err, "read from child");
		if (n <= 0)
			break;
		if (out->len + (size_t)n < out->cap)
			ret = dm_buf_add(out, chunk, (size_t)n, err);
	}
	if (p[1].fd >= 0)
		close(p[1].fd);
	return ret;
}

int dm_child_run(const char *const *argv, double seconds, struct dm_buf *out, struct dm_err *err)
{
	struct dm_buf all = {.cap = 8 << 20};
	struct dm_child c = {.argv = argv, .in = -1, .session = true};
	double end = dm_now() + seconds;
	int fds[2], rc, ret = -1;
	struct dm_err ignored;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return dm_fail_errno(err, "start %s", argv[0]);
	c.out = c.err = fds[1];
	pid = dm_child_start(&c, err);
	close(fds[1]);
	if (pid < 0)
		goto out;
	if (gather(fds[0], pid, end, &all, err)) {
		wait_until(pid, argv[0], 0, 0, &ignored);
		goto out;
	}
	rc = wait_until(pid, argv[0], seconds, end, err);
	if (rc < 0 || dm_buf_add(&all, "", 1, err))
		goto out;
	all.len--;
	while (all.len && all.data[all.len - 1] == '\n')
		all.data[--all.len] = '\0';
	if (rc != 0) {
		size_t from = all.len > 600 ? all.len - 600 : 0;

		dm_fail(err, DM_FAILURE, "%s exited with %d: %s", argv[0], rc, all.data + from);
		goto out;
	}
	if (out) {
		*out = all;
		all = (struct dm_buf){0};
	}
	ret = 0;
out:
	close(fds[0]);
	dm_buf_free(&all);
	return ret;
}
