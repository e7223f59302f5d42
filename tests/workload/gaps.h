/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_GAPS_H
#define DM_WORKLOAD_GAPS_H

#include <stddef.h>
#include <stdint.h>

/*
 * How long did it stand still? A program beats; the time between two beats is taken by the
 * clock of the day, which two hosts share, while the monotonic clock belongs to one host.
 */

#define GAPS_OVER_NS 20000000 /* a gap longer than this is kept with its time */
#define GAPS_KEPT 64	      /* the last of them */
#define GAPS_SHOWN 16	      /* and as many go into a line */

struct gap {
	int64_t at_ns;	 /* when it ended, nanoseconds since 1970 */
	int64_t len_ns;	 /* by CLOCK_REALTIME */
	int64_t mono_ns; /* by CLOCK_MONOTONIC */
};

/* Start with {0}. */
struct gaps {
	uint64_t beats;
	uint64_t over; /* gaps longer than GAPS_OVER_NS since the start */
	struct gap longest;
	struct gap kept[GAPS_KEPT];
	int64_t last_ns;
	int64_t last_mono_ns;
};

/*
 * Nanoseconds of CLOCK_REALTIME or CLOCK_MONOTONIC.
 */
int64_t gaps_clock(int clock);

/*
 * One beat, now.
 */
void gaps_beat(struct gaps *g);

/*
 * Forget the longest gap; the kept ones stay.
 */
void gaps_reset(struct gaps *g);

/*
 * Write "longest_gap_ms":X,...,"gaps":[...] into out, size bytes, cut off if it does not fit.
 * GAPS_JSON bytes are enough.
 */
#define GAPS_JSON 2048
void gaps_json(const struct gaps *g, char *out, size_t size);

#endif
