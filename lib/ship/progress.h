/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_PROGRESS_H
#define DM_SHIP_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What is shown. */
struct dm_progress_view {
	uint64_t in, out; /* bytes */
	bool decode;	  /* in is the packed side */
	double seconds;	  /* since the start */
	double rate;	  /* bytes of input per second */
};

/* A thread that shows how two counters move. */
struct dm_progress;

/*
 * Write the view as one line without a newline into out. With a width, as many parts of it as fit
 * into that many columns; 0: all.
 */
void dm_progress_format(const struct dm_progress_view *v, unsigned width, char *out, size_t size);

/*
 * Start to show, on fd, the bytes that the two counters hold, which must live until the stop. On
 * a terminal: one line, drawn again five times a second. Elsewhere: a line every five seconds.
 * Returns it; NULL with err.
 */
struct dm_progress *dm_progress_start(int fd, bool decode, _Atomic uint64_t *in,
				      _Atomic uint64_t *out, struct dm_err *err);

/*
 * Show the final line, with the average rate, and free p; NULL is fine.
 */
void dm_progress_stop(struct dm_progress *p);

#endif
