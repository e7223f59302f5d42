/* SPDX-License-Identifier: Apache-2.0 */
#include "pace.h"

#include <time.h>

#include "gaps.h"

#define MOST_NS 20000000 /* of lost time that is made up for */
#define BATCH 8		 /* pages between two looks at the clock */

static void earn(struct pace *p, int64_t now)
{
	int64_t passed = now - p->last_ns;
	double most = p->rate * MOST_NS / 1e9 + 1;

	p->last_ns = now;
	if (passed < 0 || passed > MOST_NS)
		passed = MOST_NS;
	p->credit += p->rate * (double)passed / 1e9;
	if (p->credit > most)
		p->credit = most;
}

void pace_run(struct pace *p, int64_t budget_ns, pages_report *report)
{
	int64_t start = gaps_clock(CLOCK_MONOTONIC);

	if (!p->region)
		return;
	earn(p, start);
	while (p->credit >= 1 && gaps_clock(CLOCK_MONOTONIC) - start < budget_ns)
		for (int i = 0; i < BATCH && p->credit >= 1; i++)
			if (pages_dirty(p->region, pages_random(&p->random), report))
				p->credit -= 1;
}
