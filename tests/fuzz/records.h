/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_RECORDS_H
#define DM_FUZZ_RECORDS_H

/* Inputs that are migration streams. A target is linked with --wrap=malloc,free,dm_read_full. */

#include "pieces.h"

/*
 * The format of such an input, for FUZZ_FORMAT().
 */
extern const struct fuzz_format fuzz_records;

/*
 * How many of its two large buffers the reader has. It is given the same ones each time, since to
 * make them anew takes more time than all else; and what lies behind the bytes of a record is
 * poisoned, so that a step over them is seen.
 */
extern int fuzz_lent;

#endif
