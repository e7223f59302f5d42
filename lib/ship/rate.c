/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/rate.h"

static const double BURST = 0.05; /* seconds */

void dm_rate_start(struct dm_rate *r, uint64_t bytes_per_second, double now)
{
	r->per_second = (double)bytes_per_second;
	r->most = r->per_second * BURST;
	if (r->most < 1)
		r->most = 1;
	r->level = r->most;
	r->last = now;
}

size_t dm_rate_take(struct dm_rate *r, size_t want, double now, double *wait)
{
	double least;

	if (r->per_second <= 0)
		return want;
	if (now > r->last)
		r->level += (now - r->last) * r->per_second;
	if (r->level > r->most)
		r->level = r->most;
	r->last = now;

	least = r->most / 2 > 1 ? r->most / 2 : 1;
	if (least > (double)want)
		least = (double)want;
	if (r->level < least) {
		*wait = (least - r->level) / r->per_second;
		return 0;
	}
	if (r->level < (double)want)
		want = (size_t)r->level;
	r->level -= (double)want;
	return want;
}
