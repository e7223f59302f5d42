/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_DUMP_H
#define DM_STREAM_DUMP_H

#include <stdio.h>

#include "base/err.h"

/*
 * Read a migration stream from fd and print what it holds, a line a part, to out. Contents of
 * memory and files are never printed.
 * Returns 0 for a complete stream; -1 with err, after what could be read has been printed.
 */
int dm_stream_dump(int fd, FILE *out, struct dm_err *err);

#endif
