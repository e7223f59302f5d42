/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "engine/docker.h"

struct dm_image_load {
	pthread_t thread;
	int from, to; /* the pipe between the stream and the engine */
	int ret;
	bool aborted;
	size_t left_out; /* layers that the archive lacks */
	struct dm_err err;
};

static long source(void *ctx, void *buf, size_t size, struct dm_err *err)
{
	struct dm_image_load *l = ctx;
	ssize_t n;

	do
		n = read(l->from, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return dm_fail_errno(err, "read image");
	/* an archive that was given up must not look as if it ended well */
	if (n == 0 && __atomic_load_n(&l->aborted, __ATOMIC_SEQ_CST))
		return dm_fail(err, DM_FAILURE, "image: given up");
	return n;
}

static void *load(void *ctx)
{
	struct dm_image_load *l = ctx;
	struct dm_engine *e = dm_engine_open(&l->err);

	l->ret = e ? dm_engine_upload(e, "/images/load?quiet=1", source, l, &l->err) : -1;
	dm_engine_close(e);
	close(l->from); /* who still writes sees it */
	return NULL;
}

static size_t count_left_out(const char *about, size_t len)
{
	struct dm_err ignored;
	json_t *o = dm_json_parse(about, len, "", &ignored);
	size_t n = json_array_size(json_object_get(o, "left_out"));

	json_decref(o);
	return n;
}

struct dm_image_load *dm_image_load_begin(const char *about, size_t len, struct dm_err *err)
{
	struct dm_image_load *l = calloc(1, sizeof(*l));
	int fds[2];

	if (!l || pipe2(fds, O_CLOEXEC)) {
		dm_fail_errno(err, "load image");
		free(l);
		return NULL;
	}
	l->left_out = count_left_out(about, len);
	l->from = fds[0];
	l->to = fds[1];
	errno = pthread_create(&l->thread, NULL, load, l);
	if (errno) {
		dm_fail_errno(err, "load image");
		close(fds[0]);
		close(fds[1]);
		free(l);
		return NULL;
	}
	return l;
}

int dm_image_load_data(struct dm_image_load *l, const void *bytes, size_t len, struct dm_err *err)
{
	if (dm_write_full(l->to, bytes, len) == 0)
		return 0;
	return dm_fail_errno(err, "load image: the engine takes no more of it");
}

static void finish(struct dm_image_load *l)
{
	close(l->to);
	pthread_join(l->thread, NULL);
}

int dm_image_load_end(struct dm_image_load *l, struct dm_err *err)
{
	size_t left_out = l->left_out;
	int ret;

	finish(l);
	ret = l->ret;
	if (ret)
		*err = l->err;
	free(l);
	if (ret == 0)
		return 0;
	if (left_out)
		return dm_fail_prefix(err,
				      "load image, without %zu layers that were here when the "
				      "move began",
				      left_out);
	return dm_fail_prefix(err, "load image");
}

void dm_image_load_abort(struct dm_image_load *l)
{
	if (!l)
		return;
	__atomic_store_n(&l->aborted, true, __ATOMIC_SEQ_CST);
	finish(l);
	free(l);
}
