/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/frame.h"

#include <string.h>
#include <xxhash.h>

#include "base/le.h"

bool dm_frame_is_shipped(const void *p, size_t len)
{
	return len >= DM_FRAME_MAGIC_SIZE && !memcmp(p, DM_FRAME_MAGIC, DM_FRAME_MAGIC_SIZE);
}

void dm_frame_put_head(unsigned char *out)
{
	memset(out, 0, DM_FRAME_HEAD_SIZE);
	memcpy(out, DM_FRAME_MAGIC, DM_FRAME_MAGIC_SIZE);
	dm_put16(out + 8, DM_FRAME_VERSION);
	dm_put64(out + 16, XXH3_64bits(out, 16));
}

int dm_frame_get_head(const unsigned char *in, struct dm_err *err)
{
	if (!dm_frame_is_shipped(in, DM_FRAME_HEAD_SIZE))
		return dm_fail(err, DM_BAD_STREAM, "not a stream written by dm-ship");
	if (dm_get64(in + 16) != XXH3_64bits(in, 16))
		return dm_fail(err, DM_BAD_STREAM, "the head of the stream is damaged");
	if (dm_get16(in + 8) != DM_FRAME_VERSION)
		return dm_fail(err, DM_BAD_STREAM, "stream version %u is not known, only %d",
			       dm_get16(in + 8), DM_FRAME_VERSION);
	if (dm_get16(in + 10) != 0 || dm_get32(in + 12) != 0)
		return dm_fail(err, DM_BAD_STREAM, "unknown flags in the head of the stream");
	return 0;
}

void dm_frame_put(const struct dm_frame *f, unsigned char *out)
{
	out[0] = f->codec;
	out[1] = f->flags;
	dm_put16(out + 2, 0);
	dm_put32(out + 4, f->number);
	dm_put32(out + 8, f->plain);
	dm_put32(out + 12, f->packed);
	dm_put64(out + 16, f->plain_hash);
	dm_put64(out + 24, XXH3_64bits(out, 24));
}

int dm_frame_get(const unsigned char *in, uint32_t number, struct dm_frame *f, struct dm_err *err)
{
	if (dm_get64(in + 24) != XXH3_64bits(in, 24))
		return dm_fail(err, DM_BAD_STREAM, "the header of a frame is damaged");
	*f = (struct dm_frame){
		.codec = in[0],
		.flags = in[1],
		.number = dm_get32(in + 4),
		.plain = dm_get32(in + 8),
		.packed = dm_get32(in + 12),
		.plain_hash = dm_get64(in + 16),
	};
	if (f->codec > DM_FRAME_ZSTD || f->flags > DM_FRAME_END || dm_get16(in + 2) != 0)
		return dm_fail(err, DM_BAD_STREAM, "unknown codec %u or flags %u", f->codec,
			       f->flags);
	if (f->number != number)
		return dm_fail(err, DM_BAD_STREAM, "frame %u in the place of frame %u", f->number,
			       number);
	if (f->plain == 0 || f->plain > DM_FRAME_MAX || f->packed == 0 ||
	    (f->codec == DM_FRAME_NONE ? f->packed != f->plain : f->packed >= f->plain))
		return dm_fail(err, DM_BAD_STREAM, "bad lengths of a frame: %u packed, %u plain",
			       f->packed, f->plain);
	if (f->flags == DM_FRAME_END &&
	    (f->codec != DM_FRAME_NONE || f->plain != DM_FRAME_END_SIZE))
		return dm_fail(err, DM_BAD_STREAM, "bad end frame");
	return 0;
}

void dm_frame_put_end(const struct dm_frame_end *e, unsigned char *out)
{
	dm_put64(out, e->total);
	dm_put64(out + 8, e->low);
	dm_put64(out + 16, e->high);
}

void dm_frame_get_end(const unsigned char *in, struct dm_frame_end *e)
{
	e->total = dm_get64(in);
	e->low = dm_get64(in + 8);
	e->high = dm_get64(in + 16);
}
