/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

#define LINE 16 /* bytes: 15 digits and the newline */

static void line_text(uint64_t n, char *out)
{
	char text[LINE + 8];

	snprintf(text, sizeof(text), "%015" PRIu64 "\n", n % 1000000000000000u);
	memcpy(out, text, LINE);
}

static int append(struct lines *l)
{
	char line[LINE];
	int failed;

	pthread_mutex_lock(&l->lock);
	line_text(l->count + 1, line);
	if (dm_write_full(l->fd, line, LINE) < 0)
		l->failed = errno;
	else
		l->count++;
	failed = l->failed;
	pthread_mutex_unlock(&l->lock);
	return failed;
}

static void *writer(void *arg)
{
	static const struct timespec pause = {0, 10000000};

	while (!append(arg))
		nanosleep(&pause, NULL);
	return NULL;
}

int lines_start(struct lines *l, const char *path, struct dm_err *err)
{
	pthread_t thread;

	*l = (struct lines){.path = path};
	pthread_mutex_init(&l->lock, NULL);
	l->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (l->fd < 0)
		return dm_fail_errno(err, "open %s", path);
	if (pthread_create(&thread, NULL, writer, l)) {
		close(l->fd);
		return dm_fail(err, DM_FAILURE, "start the writer of %s", path);
	}
	pthread_detach(thread);
	return 0;
}

static int compare(int fd, const struct lines *l, struct dm_err *err)
{
	char have[4096], want[LINE];
	uint64_t n = 0;
	ssize_t got;

	errno = l->failed;
	if (l->failed)
		return dm_fail_errno(err, "write %s after line %" PRIu64, l->path, l->count);

	do {
		got = dm_read_full(fd, have, sizeof(have));
		if (got < 0)
			return dm_fail_errno(err, "read %s", l->path);
		for (ssize_t at = 0; at < got; at += LINE) {
			line_text(++n, want);
			if (got - at < LINE || memcmp(have + at, want, LINE))
				return dm_fail(err, DM_FAILURE, "%s: line %" PRIu64 " is wrong",
					       l->path, n);
		}
	} while (got == (ssize_t)sizeof(have));
	if (n != l->count)
		return dm_fail(err, DM_FAILURE, "%s: %" PRIu64 " lines, but %" PRIu64 " in memory",
			       l->path, n, l->count);
	return 0;
}

int lines_check(struct lines *l, uint64_t *count, struct dm_err *err)
{
	int ret, fd;

	fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err, "open %s", l->path);
	pthread_mutex_lock(&l->lock);
	ret = compare(fd, l, err);
	*count = l->count;
	pthread_mutex_unlock(&l->lock);
	close(fd);
	return ret;
}
