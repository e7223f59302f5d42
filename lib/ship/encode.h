/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_ENCODE_H
#define DM_SHIP_ENCODE_H

#include "base/err.h"
#include "ship/codec.h"
#include "ship/sink.h"
#include "ship/source.h"

/*
 * Write all of in to out as one shipped stream. A frame goes out when it is full, when the input
 * pauses for a millisecond, or when its first byte is five milliseconds old.
 * Returns 0; -1 with err, and the stream has no end frame.
 */
int dm_encode_run(struct dm_source *in, struct dm_sink *out, const struct dm_codec_choice *choice,
		  struct dm_err *err);

#endif
