/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/encode.h"

#include <xxhash.h>

#include "base/io.h"
#include "ship/frame.h"
#include "ship/ring.h"

/*
 * Plain bytes in a frame. Larger ones pack hardly better, and all that waits in the ring stands
 * in the way of what comes last.
 */
enum { FRAME = 256 << 10 };

/* Seconds after which a frame is sent that is not full. */
static const double IDLE = 0.001, AGE = 0.005;

struct encode {
	struct dm_source *in;
	struct dm_sink *out;
	uint8_t packs; /* the codec of frames that shrink */
	struct dm_codec *codec[DM_RING_WORKERS];
	XXH3_state_t *hash;
	uint64_t total;
	uint32_t number;
	bool ended; /* the input, and then the stream */
	bool closed;
};

static int fill_end(struct encode *e, struct dm_slot *s)
{
	XXH128_hash_t h = XXH3_128bits_digest(e->hash);
	struct dm_frame_end end = {e->total, h.low64, h.high64};

	dm_frame_put_end(&end, s->plain);
	s->frame.flags = DM_FRAME_END;
	s->frame.plain = DM_FRAME_END_SIZE;
	e->closed = true;
	return 1;
}

static int fill(void *ctx, struct dm_slot *s, struct dm_err *err)
{
	struct encode *e = ctx;
	size_t len = 0;
	double born = 0;

	if (e->closed)
		return 0;
	s->frame = (struct dm_frame){.number = e->number++};
	while (!e->ended && len < FRAME && (len == 0 || dm_now() - born < AGE)) {
		ssize_t n =
			dm_source_some(e->in, s->plain + len, FRAME - len, len ? IDLE : -1, err);

		if (n == DM_SOURCE_IDLE)
			break;
		if (n < 0)
			return -1;
		if (n == 0)
			e->ended = true;
		if (len == 0)
			born = dm_now();
		len += (size_t)n;
	}
	if (len == 0)
		return fill_end(e, s);
	XXH3_128bits_update(e->hash, s->plain, len);
	e->total += len;
	s->frame.plain = (uint32_t)len;
	return 1;
}

static int work(void *ctx, int worker, struct dm_slot *s, struct dm_err *err)
{
	struct encode *e = ctx;
	size_t packed = 0;

	if (!(s->frame.flags & DM_FRAME_END) &&
	    dm_codec_pack(e->codec[worker], s->plain, s->frame.plain, s->packed, &packed, err))
		return -1;
	s->frame.codec = packed ? e->packs : DM_FRAME_NONE;
	s->frame.packed = packed ? (uint32_t)packed : s->frame.plain;
	s->frame.plain_hash = XXH3_64bits(s->plain, s->frame.plain);
	return 0;
}

static int drain(void *ctx, struct dm_slot *s, struct dm_err *err)
{
	struct encode *e = ctx;
	unsigned char *bytes = s->frame.codec == DM_FRAME_NONE ? s->plain : s->packed;

	bytes -= DM_FRAME_HEADER_SIZE;
	dm_frame_put(&s->frame, bytes);
	return dm_sink_write(e->out, bytes, DM_FRAME_HEADER_SIZE + s->frame.packed, err);
}

int dm_encode_run(struct dm_source *in, struct dm_sink *out, const struct dm_codec_choice *choice,
		  struct dm_err *err)
{
	static const struct dm_ring_ops ops = {fill, work, drain};
	struct encode e = {.in = in, .out = out, .packs = (uint8_t)choice->codec};
	unsigned char head[DM_FRAME_HEAD_SIZE];
	int rc = -1;

	e.hash = XXH3_createState();
	if (!e.hash) {
		dm_fail(err, DM_FAILURE, "set up a digest: out of memory");
		goto out;
	}
	XXH3_128bits_reset(e.hash);
	for (int i = 0; i < DM_RING_WORKERS; i++) {
		e.codec[i] = dm_codec_new(choice, err);
		if (!e.codec[i])
			goto out;
	}
	dm_frame_put_head(head);
	if (dm_sink_write(out, head, sizeof(head), err))
		goto out;
	rc = dm_ring_run(&ops, &e, FRAME, in, err);
out:
	for (int i = 0; i < DM_RING_WORKERS; i++)
		dm_codec_free(e.codec[i]);
	XXH3_freeState(e.hash);
	return rc;
}
