/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"

/* By way of the open folder: its own path may be longer than a socket's name can be. */
static void address(const struct dm_pending *p, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/sock", p->dir);
}

int dm_talk_listen(const struct dm_pending *p, struct dm_err *err)
{
	struct sockaddr_un a;
	int fd;

	address(p, &a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return dm_fail_errno(err, "make %s/sock", p->path);
	if ((unlinkat(p->dir, "sock", 0) && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16)) {
		dm_fail_errno(err, "make %s/sock", p->path);
		close(fd);
		return -1;
	}
	return fd;
}

int dm_talk_connect(const struct dm_pending *p, struct dm_err *err)
{
	struct sockaddr_un a;
	int fd;

	address(p, &a);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		dm_fail_errno(err, "ask the supervisor of %s", p->path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int dm_talk_say(int fd, const char *fmt, ...)
{
	char text[DM_TALK_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return -1;
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

int dm_talk_hear(int fd, double seconds, char text[DM_TALK_MAX])
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	double end = dm_now() + seconds;
	ssize_t n;

	for (;;) {
		double left = end - dm_now();
		int ms = seconds < 0 ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
		int ready = poll(&p, 1, ms);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			return -1;
		n = recv(fd, text, DM_TALK_MAX - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		text[n > 0 ? n : 0] = '\0';
		return n > 0;
	}
}

enum dm_talk_abort dm_talk_abort(const struct dm_pending *p, double seconds)
{
	char text[DM_TALK_MAX];
	struct dm_err err;
	int fd, heard;

	fd = dm_talk_connect(p, &err);
	if (fd < 0)
		return DM_ABORT_NOBODY;
	dm_talk_say(fd, "abort");
	heard = dm_talk_hear(fd, seconds, text);
	close(fd);
	if (heard < 1)
		return heard < 0 ? DM_ABORT_SILENT : DM_ABORT_NOBODY;
	return strcmp(text, "running") ? DM_ABORT_ENDED : DM_ABORT_RUNNING;
}
