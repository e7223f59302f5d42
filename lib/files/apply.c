/* SPDX-License-Identifier: Apache-2.0 */
#include "files/apply.h"

#include <archive.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "files/unpack.h"

enum {
	RING_SIZE = 4 << 20, /* bytes given and not yet applied */
	END_SIZE = 1024,     /* zeros at the end of an archive */
};

/*
 * libarchive pulls, the caller pushes: between them is a ring, and a thread in which libarchive
 * reads. head and tail count bytes since the beginning; tail - head of them wait in the ring.
 */
struct dm_apply {
	struct dm_unpack *unpack;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t head, tail;
	size_t lent;	     /* bytes at head that libarchive is looking at */
	uint64_t zeros;	     /* how many zeros the data given so far ends with */
	bool ended, aborted; /* said by the caller */
	bool failed;	     /* said by the thread: err tells why */
	struct dm_err err;
	unsigned char ring[RING_SIZE];
};

/* What libarchive calls for more bytes. Returns their number, 0 at the end, -1 to give up. */
static la_ssize_t more(struct archive *ar, void *ctx, const void **bytes)
{
	struct dm_apply *a = ctx;
	size_t at, n;
	bool aborted;

	pthread_mutex_lock(&a->lock);
	a->head += a->lent;
	pthread_cond_broadcast(&a->changed);
	while (a->head == a->tail && !a->ended && !a->aborted)
		pthread_cond_wait(&a->changed, &a->lock);
	at = a->head % RING_SIZE;
	n = (size_t)(a->tail - a->head);
	a->lent = n < RING_SIZE - at ? n : RING_SIZE - at;
	aborted = a->aborted;
	pthread_mutex_unlock(&a->lock);
	*bytes = a->ring + at;
	if (aborted) {
		archive_set_error(ar, EINTR, "stopped");
		return -1;
	}
	return (la_ssize_t)a->lent;
}

/*
 * libarchive is content with an archive that has lost its end. So see for ourselves that the last
 * entry is the root and that nothing but an end mark and padding follows it.
 */
static int check_end(struct dm_apply *a, const struct dm_unpack_end *end, struct dm_err *err)
{
	uint64_t rest;

	if (!end->complete)
		return dm_fail(err, DM_BAD_STREAM, "archive: it is cut off");
	rest = a->tail - end->position;
	if (rest < END_SIZE)
		return dm_fail(err, DM_BAD_STREAM, "archive: its end mark is cut off");
	if (a->zeros < rest)
		return dm_fail(err, DM_BAD_STREAM, "archive: something follows its end");
	return 0;
}

static int read_all(struct dm_apply *a, struct dm_err *err)
{
	struct archive *ar = archive_read_new();
	struct dm_unpack_end end = {0};
	const void *bytes;
	int ret = -1;

	if (!ar || archive_read_support_format_tar(ar) ||
	    archive_read_open2(ar, a, NULL, more, NULL, NULL)) {
		dm_fail(err, DM_BAD_STREAM, "open archive: %s",
			ar ? archive_error_string(ar) : "no memory");
		goto out;
	}
	if (dm_unpack_all(a->unpack, ar, &end, err))
		goto out;
	while (more(ar, a, &bytes) > 0)
		; /* what libarchive had no need to see */
	ret = check_end(a, &end, err);
out:
	archive_read_free(ar);
	return ret;
}

static void *run(void *ctx)
{
	struct dm_apply *a = ctx;
	struct dm_err err = {0};
	int ret = read_all(a, &err);

	if (ret == 0)
		ret = dm_unpack_finish(a->unpack, &err);
	pthread_mutex_lock(&a->lock);
	if (ret) {
		a->failed = true;
		a->err = err;
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct dm_apply *dm_apply_new(int root_fd, enum dm_tree_kind kind, struct dm_err *err)
{
	struct dm_apply *a = calloc(1, sizeof(*a));
	sigset_t all, old;
	int e;

	if (!a) {
		dm_fail_errno(err, "allocate an archive reader");
		return NULL;
	}
	a->unpack = dm_unpack_new(root_fd, kind, err);
	if (!a->unpack)
		goto fail;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the other threads */
	e = pthread_create(&a->thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e) {
		dm_fail(err, DM_FAILURE, "start a thread: %s", strerror(e));
		goto fail;
	}
	return a;

fail:
	dm_unpack_free(a->unpack);
	free(a);
	return NULL;
}

/* The number of zeros at the end of len bytes. */
static size_t count_zeros(const unsigned char *p, size_t len)
{
	static const unsigned char none[4096];
	size_t n = len;

	while (n >= sizeof(none) && !memcmp(p + n - sizeof(none), none, sizeof(none)))
		n -= sizeof(none);
	while (n > 0 && p[n - 1] == 0)
		n--;
	return len - n;
}

int dm_apply_data(struct dm_apply *a, const void *bytes, size_t len, struct dm_err *err)
{
	const unsigned char *p = bytes;
	size_t zeros = count_zeros(p, len), at, n;
	bool failed;

	a->zeros = zeros == len ? a->zeros + zeros : zeros;
	pthread_mutex_lock(&a->lock);
	while (len > 0 && !a->failed) {
		n = RING_SIZE - (size_t)(a->tail - a->head);
		if (n == 0) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		at = a->tail % RING_SIZE;
		n = n < len ? n : len;
		n = n < RING_SIZE - at ? n : RING_SIZE - at;
		memcpy(a->ring + at, p, n);
		a->tail += n;
		p += n;
		len -= n;
		pthread_cond_broadcast(&a->changed);
	}
	failed = a->failed;
	if (failed)
		*err = a->err;
	pthread_mutex_unlock(&a->lock);
	return failed ? -1 : 0;
}

/* Wait for the thread. */
static void stop(struct dm_apply *a, bool *say)
{
	pthread_mutex_lock(&a->lock);
	*say = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
}

static void release(struct dm_apply *a)
{
	dm_unpack_free(a->unpack);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int dm_apply_end(struct dm_apply *a, struct dm_apply_stats *stats, struct dm_err *err)
{
	int ret = 0;

	stop(a, &a->ended);
	if (a->failed) {
		*err = a->err;
		ret = -1;
	} else if (stats) {
		*stats = *dm_unpack_stats(a->unpack);
	}
	release(a);
	return ret;
}

void dm_apply_abort(struct dm_apply *a)
{
	if (!a)
		return;
	stop(a, &a->aborted);
	release(a);
}
