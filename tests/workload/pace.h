/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_PACE_H
#define DM_WORKLOAD_PACE_H

#include "pages.h"

/* One who dirties one region at a rate. */
struct pace {
	struct pages *region;
	double rate;   /* pages a second */
	double credit; /* pages that are due */
	int64_t last_ns;
	uint64_t random;
};

/*
 * Dirty the pages that are due, for at most budget_ns nanoseconds. Time lost in a pause is not
 * made up for. Does nothing when region is NULL.
 */
void pace_run(struct pace *p, int64_t budget_ns, pages_report *report);

#endif
