/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_CODEC_H
#define DM_SHIP_CODEC_H

#include <stddef.h>

#include "base/err.h"
#include "ship/frame.h"

/* How to pack. */
struct dm_codec_choice {
	enum dm_frame_codec codec;
	int level; /* 0 with DM_FRAME_NONE */
};

/* What one thread needs to pack and unpack frames. */
struct dm_codec;

/*
 * Parse "none", "zlib" or "zstd", with an optional ":LEVEL" after the latter two (1 to 9, 1 to 19;
 * 1 when it is left out). what names the text in the message ("--codec").
 * Returns 0 with *out; -1 with err (DM_USAGE).
 */
int dm_codec_parse(const char *text, const char *what, struct dm_codec_choice *out,
		   struct dm_err *err);

/*
 * Make what is needed to pack as chosen (NULL: only to unpack, each frame by its own codec).
 * Returns it, to be freed with dm_codec_free(); NULL with err.
 */
struct dm_codec *dm_codec_new(const struct dm_codec_choice *choice, struct dm_err *err);

/*
 * Pack n bytes (1 to DM_FRAME_MAX) at in into out, which has room for n bytes.
 * Returns 0 with the packed length in *packed; the length is 0 when the bytes do not shrink (or
 * the choice is "none"), and then what is at out means nothing. -1 with err.
 */
int dm_codec_pack(struct dm_codec *c, const void *in, size_t n, void *out, size_t *packed,
		  struct dm_err *err);

/*
 * Unpack n bytes at in, which codec (not DM_FRAME_NONE) packed, into exactly plain bytes at out.
 * Returns 0; -1 with err (DM_BAD_STREAM when they are anything else).
 */
int dm_codec_unpack(struct dm_codec *c, enum dm_frame_codec codec, const void *in, size_t n,
		    void *out, size_t plain, struct dm_err *err);

/*
 * Free c; NULL is fine.
 */
void dm_codec_free(struct dm_codec *c);

#endif
