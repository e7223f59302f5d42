/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/progress.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

/* Seconds from one line to the next, and those over which the rate is taken. */
static const double ON_TERMINAL = 0.2, ELSEWHERE = 5, RATE_OVER = 2;

struct dm_progress {
	int fd;
	bool terminal, stop;
	_Atomic uint64_t *in, *out;
	struct dm_progress_view view;
	double begun, marked; /* times; bytes were marked_in at the latter */
	uint64_t marked_in;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

void dm_progress_format(const struct dm_progress_view *v, unsigned width, char *out, size_t size)
{
	uint64_t plain = v->decode ? v->out : v->in, packed = v->decode ? v->in : v->out;
	unsigned s = (unsigned)v->seconds;
	char part[5][48], in[24], gone[24], rate[24];
	size_t used = 0;

	dm_num_human(v->in, in, sizeof(in));
	dm_num_human(v->out, gone, sizeof(gone));
	dm_num_human((uint64_t)v->rate, rate, sizeof(rate));
	snprintf(part[0], sizeof(part[0]), "%s in", in);
	snprintf(part[1], sizeof(part[1]), "%s out", gone);
	snprintf(part[2], sizeof(part[2]), "%s/s", rate);
	snprintf(part[3], sizeof(part[3]), "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	snprintf(part[4], sizeof(part[4]), "ratio %.2f",
		 packed ? (double)plain / (double)packed : 1.0);

	*out = '\0';
	for (int i = 0; i < 5; i++) {
		size_t n = strlen(part[i]) + (used ? 2 : 0);

		if (used + n >= size || (width && used + n > width))
			return;
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 part[i]);
	}
}

/* Bring the view up to date. */
static void look(struct dm_progress *p, double now, bool last)
{
	double span;

	p->view.in = atomic_load(p->in);
	p->view.out = atomic_load(p->out);
	p->view.seconds = now - p->begun;
	span = last ? p->view.seconds : now - p->marked;
	if (span > 0)
		p->view.rate = (double)(p->view.in - (last ? 0 : p->marked_in)) / span;
	if (span > RATE_OVER) {
		p->marked = now;
		p->marked_in = p->view.in;
	}
}

static void show(struct dm_progress *p, bool last)
{
	struct winsize w;
	char line[256], text[300];
	unsigned width;
	int n;

	look(p, dm_now(), last);
	if (!p->terminal) {
		dm_progress_format(&p->view, 0, line, sizeof(line));
		n = snprintf(text, sizeof(text), "%s: %s%s\n", dm_program(), last ? "in all " : "",
			     line);
	} else {
		/* the last column stays free: a cursor behind it would begin a new line */
		width = ioctl(p->fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1u : 79;
		dm_progress_format(&p->view, width, line, sizeof(line));
		n = snprintf(text, sizeof(text), "\r%s\033[K%s", line, last ? "\n" : "\r");
	}
	if (dm_write_full(p->fd, text, (size_t)n))
		return; /* nowhere left to say it */
}

static void *show_all(void *arg)
{
	struct dm_progress *p = arg;
	double every = p->terminal ? ON_TERMINAL : ELSEWHERE, next = p->begun + every;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct timespec t = {(time_t)next, (long)((next - (double)(time_t)next) * 1e9)};

		if (pthread_cond_timedwait(&p->wake, &p->lock, &t) != ETIMEDOUT)
			continue;
		show(p, false);
		next = dm_now() + every;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct dm_progress *dm_progress_start(int fd, bool decode, _Atomic uint64_t *in,
				      _Atomic uint64_t *out, struct dm_err *err)
{
	struct dm_progress *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p) {
		dm_fail_errno(err, "show progress");
		return NULL;
	}
	p->fd = fd;
	p->terminal = isatty(fd);
	p->in = in;
	p->out = out;
	p->view.decode = decode;
	p->begun = p->marked = dm_now();
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	errno = pthread_create(&p->thread, NULL, show_all, p);
	if (errno) {
		dm_fail_errno(err, "start a thread");
		free(p);
		return NULL;
	}
	return p;
}

void dm_progress_stop(struct dm_progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	show(p, true);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
