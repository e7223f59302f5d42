/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_SINK_H
#define DM_SHIP_SINK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ship/rate.h"

/* A descriptor that is written, perhaps with a limit of bytes per second. */
struct dm_sink {
	int fd;
	int failed; /* the errno of the write that failed, or 0 */
	struct dm_rate rate;
	_Atomic uint64_t bytes; /* written so far */
};

/*
 * Write to fd, which stays the caller's, at most bytes_per_second (0: no limit).
 */
void dm_sink_open(struct dm_sink *s, int fd, uint64_t bytes_per_second);

/*
 * Write all len bytes of buf. Returns 0; -1 with err.
 */
int dm_sink_write(struct dm_sink *s, const void *buf, size_t len, struct dm_err *err);

#endif
