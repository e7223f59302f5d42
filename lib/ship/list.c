/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/io.h"
#include "ship/decode.h"
#include "ship/frame.h"
#include "ship/sink.h"

enum { RUNNING = 1 };

/* A thread that feeds plain bytes into a pipe, which it closes at the end. */
struct feed {
	struct dm_source *in;
	struct dm_sink out;
	bool shipped;
	atomic_int failed; /* RUNNING until it is known */
	struct dm_err err;
};

static int copy(struct dm_source *in, struct dm_sink *out, struct dm_err *err)
{
	char chunk[16384];
	ssize_t n;

	while ((n = dm_source_some(in, chunk, sizeof(chunk), -1, err)) > 0)
		if (dm_sink_write(out, chunk, (size_t)n, err))
			return -1;
	return n < 0 ? -1 : 0;
}

static void *feed_all(void *arg)
{
	struct feed *f = arg;

	f->failed =
		f->shipped ? dm_decode_run(f->in, &f->out, &f->err) : copy(f->in, &f->out, &f->err);
	close(f->out.fd);
	return NULL;
}

/* Read fd to its end, so that the feed comes to a verdict about all of its input. */
static void swallow(int fd)
{
	char chunk[16384];

	while (dm_read_full(fd, chunk, sizeof(chunk)) == (ssize_t)sizeof(chunk))
		;
}

int dm_list_run(struct dm_source *in, dm_list_fn *show, FILE *out, struct dm_err *err)
{
	struct feed f = {.in = in, .failed = RUNNING};
	const unsigned char *first;
	pthread_t thread;
	int fds[2], failed, rc;
	size_t n;

	if (dm_source_peek(in, &first, &n, err))
		return -1;
	f.shipped = dm_frame_is_shipped(first, n);
	if (pipe2(fds, O_CLOEXEC))
		return dm_fail_errno(err, "make a pipe");
	dm_sink_open(&f.out, fds[1], 0);
	errno = pthread_create(&thread, NULL, feed_all, &f);
	if (errno) {
		dm_fail_errno(err, "start a thread");
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	rc = show(fds[0], out, err);
	if (rc == 0)
		swallow(fds[0]);
	failed = f.failed; /* when it still runs: what fails from here on is our doing */
	dm_source_stop(in);
	close(fds[0]);
	pthread_join(thread, NULL);
	if (failed == -1) {
		*err = f.err;
		rc = -1;
	}
	return rc;
}
