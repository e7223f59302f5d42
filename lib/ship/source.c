/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/source.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "ship/pipe.h"

int dm_source_open(struct dm_source *s, int fd, struct dm_err *err)
{
	s->fd = fd;
	dm_pipe_widen(fd);
	s->kept = s->used = 0;
	atomic_init(&s->bytes, 0);
	s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop < 0)
		return dm_fail_errno(err, "make an eventfd");
	return 0;
}

ssize_t dm_source_some(struct dm_source *s, void *buf, size_t len, double wait, struct dm_err *err)
{
	double end = wait > 0 ? dm_now() + wait : 0, left = wait;

	if (s->used < s->kept) {
		if (len > s->kept - s->used)
			len = s->kept - s->used;
		memcpy(buf, s->keep + s->used, len);
		s->used += len;
		return (ssize_t)len;
	}
	for (;;) {
		struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN},
				      {.fd = s->stop, .events = POLLIN}};
		struct timespec t = {0, (long)(left * 1e9)};
		int ready;
		ssize_t n;

		if (left >= 1)
			t = (struct timespec){(time_t)left, 0};
		ready = ppoll(p, 2, wait < 0 ? NULL : &t, NULL);
		if (ready < 0 && errno != EINTR)
			return dm_fail_errno(err, "poll standard input");
		if (ready > 0 && p[1].revents)
			return dm_fail(err, DM_FAILURE, "read standard input: stopped");
		if (ready > 0) {
			n = read(s->fd, buf, len);
			if (n > 0)
				atomic_fetch_add(&s->bytes, (uint64_t)n);
			if (n >= 0)
				return n;
			if (errno != EINTR && errno != EAGAIN)
				return dm_fail_errno(err, "read standard input");
		}
		left = wait > 0 ? end - dm_now() : 0;
		if (wait >= 0 && left <= 0)
			return DM_SOURCE_IDLE;
	}
}

ssize_t dm_source_full(struct dm_source *s, void *buf, size_t len, struct dm_err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = dm_source_some(s, (char *)buf + done, len - done, -1, err);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int dm_source_peek(struct dm_source *s, const unsigned char **p, size_t *len, struct dm_err *err)
{
	ssize_t n = dm_source_full(s, s->keep, sizeof(s->keep), err);

	if (n < 0)
		return -1;
	s->kept = (size_t)n;
	*p = s->keep;
	*len = s->kept;
	return 0;
}

void dm_source_stop(struct dm_source *s)
{
	if (eventfd_write(s->stop, 1))
		return; /* it is full: told before */
}

void dm_source_close(struct dm_source *s)
{
	close(s->stop);
	s->stop = -1;
}
