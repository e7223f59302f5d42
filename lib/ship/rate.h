/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_RATE_H
#define DM_SHIP_RATE_H

#include <stddef.h>
#include <stdint.h>

/* A token bucket: bytes flow in at a steady rate, and what is sent takes them out. */
struct dm_rate {
	double per_second; /* bytes; 0: no limit */
	double most;	   /* bytes the bucket holds */
	double level;	   /* bytes in it at time last, in seconds */
	double last;
};

/*
 * Start with a full bucket, which holds what flows in within 50 ms. now is in seconds, on the
 * clock that is used later too.
 */
void dm_rate_start(struct dm_rate *r, uint64_t bytes_per_second, double now);

/*
 * Take up to want bytes (at least 1) out of the bucket.
 * Returns how many may be sent now. 0 says: ask again after *wait seconds; few bytes are not
 * handed out one by one.
 */
size_t dm_rate_take(struct dm_rate *r, size_t want, double now, double *wait);

#endif
