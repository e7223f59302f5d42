/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_DECODE_H
#define DM_SHIP_DECODE_H

#include "base/err.h"
#include "ship/sink.h"
#include "ship/source.h"

/*
 * Write the plain bytes of all shipped streams that in holds, one after another, to out. Nothing
 * of a frame is written before its checksum has been found right.
 * Returns 0 when the input ended behind an end frame and every digest is right; -1 with err
 * (DM_BAD_STREAM with the offset, in bytes, of what is wrong).
 */
int dm_decode_run(struct dm_source *in, struct dm_sink *out, struct dm_err *err);

#endif
