/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/sink.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "ship/pipe.h"

void dm_sink_open(struct dm_sink *s, int fd, uint64_t bytes_per_second)
{
	s->fd = fd;
	dm_pipe_widen(fd);
	s->failed = 0;
	atomic_init(&s->bytes, 0);
	dm_rate_start(&s->rate, bytes_per_second, dm_now());
}

static size_t wait_for_turn(struct dm_sink *s, size_t want)
{
	double wait;
	size_t n;

	while ((n = dm_rate_take(&s->rate, want, dm_now(), &wait)) == 0) {
		struct timespec t = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};

		nanosleep(&t, NULL);
	}
	return n;
}

int dm_sink_write(struct dm_sink *s, const void *buf, size_t len, struct dm_err *err)
{
	while (len > 0) {
		size_t turn = wait_for_turn(s, len);

		len -= turn;
		while (turn > 0) {
			ssize_t n = write(s->fd, buf, turn);

			if (n < 0 && errno == EAGAIN)
				poll(&(struct pollfd){.fd = s->fd, .events = POLLOUT}, 1, -1);
			else if (n < 0 && errno != EINTR)
				goto fail;
			if (n <= 0)
				continue;
			atomic_fetch_add(&s->bytes, (uint64_t)n);
			buf = (const char *)buf + n;
			turn -= (size_t)n;
		}
	}
	return 0;

fail:
	s->failed = errno;
	return dm_fail_errno(err, "write standard output");
}
