/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_FRAME_H
#define DM_SHIP_FRAME_H

/*
 * The shipped form of any bytes. All numbers are little-endian; "hash" is XXH3-64 with seed 0.
 *
 *	shipped = stream { stream }	decoded, the streams follow each other as they stand
 *	stream  = head { data } end
 *
 *	head, 24 bytes
 *	+--------+---------+-------+------+------+
 *	| magic  | version | flags | zero | hash |	hash: of the 16 bytes before it
 *	| 8      | 2       | 2     | 4    | 8    |	flags: none known, 0
 *	+--------+---------+-------+------+------+
 *
 *	data, 32 bytes and the packed bytes
 *	+-------+-------+------+--------+-------+--------+------------+------+--------+
 *	| codec | flags | zero | number | plain | packed | plain hash | hash | bytes  |
 *	| 1     | 1     | 2    | 4      | 4     | 4      | 8          | 8    | packed |
 *	+-------+-------+------+--------+-------+--------+------------+------+--------+
 *	number: 0 for the first frame of a stream, then one more each time, modulo 2^32
 *	plain:  bytes after unpacking, 1 to DM_FRAME_MAX
 *	packed: bytes that follow; equal to plain with codec "none", else less than plain
 *	hash:   of the 24 bytes before it; plain hash: of the unpacked bytes
 *	flags:  0
 *
 *	end, a frame with flags DM_FRAME_END, codec "none" and these 24 bytes
 *	+-------+-----+------+
 *	| total | low | high |		total: the plain bytes of the stream
 *	| 8     | 8   | 8    |		low, high: halves of the XXH3-128, seed 0, of all of them
 *	+-------+-----+------+
 *
 * The head has this form in every version. A packed frame is one zlib stream (RFC 1950) or one
 * zstd frame (RFC 8878) that stands alone. A stream that stops anywhere before the end of its end
 * frame is truncated. A shipped form cut exactly between two of its streams cannot be told from a
 * whole one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DM_FRAME_MAGIC "\211dmship\n"

enum {
	DM_FRAME_MAGIC_SIZE = 8,
	DM_FRAME_VERSION = 1,
	DM_FRAME_HEAD_SIZE = 24,   /* of a stream */
	DM_FRAME_HEADER_SIZE = 32, /* of a frame */
	DM_FRAME_END_SIZE = 24,
	DM_FRAME_MAX = 1 << 20, /* most plain bytes in one frame */
};

enum dm_frame_codec {
	DM_FRAME_NONE = 0,
	DM_FRAME_ZLIB = 1,
	DM_FRAME_ZSTD = 2,
};

enum { DM_FRAME_END = 1 }; /* flags */

struct dm_frame {
	uint8_t codec;
	uint8_t flags;
	uint32_t number;
	uint32_t plain;
	uint32_t packed;
	uint64_t plain_hash;
};

struct dm_frame_end {
	uint64_t total;
	uint64_t low, high;
};

/*
 * Whether the len bytes at p begin with the magic of a shipped stream.
 */
bool dm_frame_is_shipped(const void *p, size_t len);

/*
 * Write the head of a stream, DM_FRAME_HEAD_SIZE bytes, to out.
 */
void dm_frame_put_head(unsigned char *out);

/*
 * Check the head of a stream. Returns 0; -1 with err (DM_BAD_STREAM).
 */
int dm_frame_get_head(const unsigned char *in, struct dm_err *err);

/*
 * Write the header of a frame, DM_FRAME_HEADER_SIZE bytes, to out.
 */
void dm_frame_put(const struct dm_frame *f, unsigned char *out);

/*
 * Read the header of the frame that must have this number into *f; every field but the plain
 * hash has been checked afterwards, the lengths against the limits above.
 * Returns 0; -1 with err (DM_BAD_STREAM).
 */
int dm_frame_get(const unsigned char *in, uint32_t number, struct dm_frame *f, struct dm_err *err);

/*
 * Write the bytes of an end frame, DM_FRAME_END_SIZE of them, to out.
 */
void dm_frame_put_end(const struct dm_frame_end *e, unsigned char *out);

/*
 * Read the bytes of an end frame.
 */
void dm_frame_get_end(const unsigned char *in, struct dm_frame_end *e);

#endif
