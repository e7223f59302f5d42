/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/decode.h"

#include <inttypes.h>
#include <xxhash.h>

#include "ship/codec.h"
#include "ship/frame.h"
#include "ship/ring.h"

struct decode {
	struct dm_source *in;
	struct dm_sink *out;
	struct dm_codec *codec[DM_RING_WORKERS];
	/* of fill */
	uint64_t offset; /* bytes read */
	uint32_t number; /* of the frame to come */
	bool inside;	 /* a stream */
	/* of drain */
	XXH3_state_t *hash;
	uint64_t total;
};

static int bad(uint64_t offset, struct dm_err *err)
{
	return dm_fail_prefix(err, "bad input at byte %" PRIu64, offset);
}

/* Read len bytes. Returns 1; 0 when the input ends before the first; -1 with err. */
static int take(struct decode *d, void *buf, size_t len, struct dm_err *err)
{
	ssize_t n = dm_source_full(d->in, buf, len, err);

	if (n < 0)
		return -1;
	d->offset += (uint64_t)n;
	if (n == 0 || (size_t)n == len)
		return n > 0;
	dm_fail(err, DM_BAD_STREAM, "the stream is truncated");
	return bad(d->offset, err);
}

/* Read len bytes that must be there. Returns 0; -1 with err. */
static int need(struct decode *d, void *buf, size_t len, struct dm_err *err)
{
	int rc = take(d, buf, len, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	dm_fail(err, DM_BAD_STREAM, "the stream is truncated");
	return bad(d->offset, err);
}

/* Read the head of the next stream. Returns 1; 0 when there is none; -1 with err. */
static int fill_head(struct decode *d, struct dm_err *err)
{
	unsigned char head[DM_FRAME_HEAD_SIZE];
	uint64_t offset = d->offset;
	int rc = take(d, head, sizeof(head), err);

	if (rc == 0 && offset == 0) {
		dm_fail(err, DM_BAD_STREAM, "the input is empty");
		return bad(offset, err);
	}
	if (rc <= 0)
		return rc;
	if (dm_frame_get_head(head, err))
		return bad(offset, err);
	d->inside = true;
	d->number = 0;
	return 1;
}

static int fill(void *ctx, struct dm_slot *s, struct dm_err *err)
{
	unsigned char header[DM_FRAME_HEADER_SIZE];
	struct decode *d = ctx;

	if (!d->inside) {
		int rc = fill_head(d, err);

		if (rc <= 0)
			return rc;
	}
	s->offset = d->offset;
	if (need(d, header, sizeof(header), err))
		return -1;
	if (dm_frame_get(header, d->number++, &s->frame, err))
		return bad(s->offset, err);
	if (need(d, s->frame.codec == DM_FRAME_NONE ? s->plain : s->packed, s->frame.packed, err))
		return -1;
	d->inside = !(s->frame.flags & DM_FRAME_END);
	return 1;
}

static int work(void *ctx, int worker, struct dm_slot *s, struct dm_err *err)
{
	struct decode *d = ctx;

	if (s->frame.codec != DM_FRAME_NONE &&
	    dm_codec_unpack(d->codec[worker], s->frame.codec, s->packed, s->frame.packed, s->plain,
			    s->frame.plain, err))
		return bad(s->offset, err);
	if (XXH3_64bits(s->plain, s->frame.plain) == s->frame.plain_hash)
		return 0;
	dm_fail(err, DM_BAD_STREAM, "the checksum of a frame is wrong");
	return bad(s->offset, err);
}

static int drain_end(struct decode *d, struct dm_slot *s, struct dm_err *err)
{
	XXH128_hash_t h = XXH3_128bits_digest(d->hash);
	struct dm_frame_end end;

	dm_frame_get_end(s->plain, &end);
	if (end.total != d->total || end.low != h.low64 || end.high != h.high64) {
		dm_fail(err, DM_BAD_STREAM, "the digest of the stream is wrong");
		return bad(s->offset, err);
	}
	XXH3_128bits_reset(d->hash);
	d->total = 0;
	return 0;
}

static int drain(void *ctx, struct dm_slot *s, struct dm_err *err)
{
	struct decode *d = ctx;

	if (s->frame.flags & DM_FRAME_END)
		return drain_end(d, s, err);
	XXH3_128bits_update(d->hash, s->plain, s->frame.plain);
	d->total += s->frame.plain;
	return dm_sink_write(d->out, s->plain, s->frame.plain, err);
}

int dm_decode_run(struct dm_source *in, struct dm_sink *out, struct dm_err *err)
{
	static const struct dm_ring_ops ops = {fill, work, drain};
	struct decode d = {.in = in, .out = out};
	int rc = -1;

	d.hash = XXH3_createState();
	if (!d.hash) {
		dm_fail(err, DM_FAILURE, "set up a digest: out of memory");
		goto out;
	}
	XXH3_128bits_reset(d.hash);
	for (int i = 0; i < DM_RING_WORKERS; i++) {
		d.codec[i] = dm_codec_new(NULL, err);
		if (!d.codec[i])
			goto out;
	}
	rc = dm_ring_run(&ops, &d, DM_FRAME_MAX, in, err);
out:
	for (int i = 0; i < DM_RING_WORKERS; i++)
		dm_codec_free(d.codec[i]);
	XXH3_freeState(d.hash);
	return rc;
}
