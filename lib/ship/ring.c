/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct ring {
	const struct dm_ring_ops *ops;
	void *ctx;
	struct dm_source *in;
	unsigned char *memory;
	struct dm_slot slot[DM_RING_SLOTS];

	pthread_mutex_t lock;		 /* of all below, and of done in the slots */
	pthread_cond_t room, full, done; /* waited for by: filler, workers, drainer */
	uint64_t filled, taken, drained; /* slots so far */
	bool ended, stopped;		 /* fill gave its last; something failed */
	int fill_failed;
	struct dm_err fill_err;
	int workers; /* that have got their number */
};

static struct dm_slot *at(struct ring *r, uint64_t count)
{
	return &r->slot[count % DM_RING_SLOTS];
}

static void *fill_all(void *arg)
{
	struct ring *r = arg;
	struct dm_slot *s;
	int rc;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (r->filled - r->drained == DM_RING_SLOTS && !r->stopped)
			pthread_cond_wait(&r->room, &r->lock);
		if (r->stopped)
			break;
		s = at(r, r->filled);
		pthread_mutex_unlock(&r->lock);
		rc = r->ops->fill(r->ctx, s, &r->fill_err);
		pthread_mutex_lock(&r->lock);
		if (rc <= 0) {
			r->fill_failed = rc;
			break;
		}
		s->done = false;
		r->filled++;
		pthread_cond_signal(&r->full);
	}
	r->ended = true;
	pthread_cond_broadcast(&r->full);
	pthread_cond_signal(&r->done);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void *work_all(void *arg)
{
	struct ring *r = arg;
	struct dm_slot *s;
	int me;

	pthread_mutex_lock(&r->lock);
	me = r->workers++;
	for (;;) {
		while (r->taken == r->filled && !r->ended && !r->stopped)
			pthread_cond_wait(&r->full, &r->lock);
		if (r->taken == r->filled || r->stopped)
			break;
		s = at(r, r->taken++);
		pthread_mutex_unlock(&r->lock);
		s->failed = r->ops->work(r->ctx, me, s, &s->err);
		pthread_mutex_lock(&r->lock);
		s->done = true;
		pthread_cond_signal(&r->done);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int drain_all(struct ring *r, struct dm_err *err)
{
	struct dm_slot *s;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		s = at(r, r->drained);
		while (r->drained == r->filled ? !r->ended : !s->done)
			pthread_cond_wait(&r->done, &r->lock);
		if (r->drained == r->filled)
			break;
		pthread_mutex_unlock(&r->lock);
		if (s->failed)
			*err = s->err;
		rc = s->failed ? -1 : r->ops->drain(r->ctx, s, err);
		pthread_mutex_lock(&r->lock);
		if (rc)
			break;
		r->drained++;
		pthread_cond_signal(&r->room);
	}
	if (rc == 0 && r->fill_failed) {
		*err = r->fill_err;
		rc = -1;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static void stop_all(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_cond_broadcast(&r->room);
	pthread_cond_broadcast(&r->full);
	pthread_mutex_unlock(&r->lock);
	dm_source_stop(r->in);
}

static int make_slots(struct ring *r, size_t room, struct dm_err *err)
{
	size_t each = DM_FRAME_HEADER_SIZE + room;

	r->memory = malloc(2 * each * DM_RING_SLOTS);
	if (!r->memory)
		return dm_fail_errno(err, "make room for %d frames", DM_RING_SLOTS);
	for (size_t i = 0; i < DM_RING_SLOTS; i++) {
		r->slot[i].plain = r->memory + 2 * i * each + DM_FRAME_HEADER_SIZE;
		r->slot[i].packed = r->slot[i].plain + each;
	}
	return 0;
}

int dm_ring_run(const struct dm_ring_ops *ops, void *ctx, size_t room, struct dm_source *in,
		struct dm_err *err)
{
	struct ring r = {
		.ops = ops,
		.ctx = ctx,
		.in = in,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.full = PTHREAD_COND_INITIALIZER,
		.done = PTHREAD_COND_INITIALIZER,
	};
	pthread_t thread[1 + DM_RING_WORKERS];
	int started = 0, rc = -1;

	if (make_slots(&r, room, err))
		return -1;
	for (; started < 1 + DM_RING_WORKERS; started++) {
		errno = pthread_create(&thread[started], NULL, started ? work_all : fill_all, &r);
		if (errno) {
			dm_fail_errno(err, "start a thread");
			goto out;
		}
	}
	rc = drain_all(&r, err);
out:
	if (rc)
		stop_all(&r);
	while (started > 0)
		pthread_join(thread[--started], NULL);
	free(r.memory);
	return rc;
}
