/* SPDX-License-Identifier: Apache-2.0 */
#include "gaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

int64_t gaps_clock(int clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void gaps_beat(struct gaps *g)
{
	int64_t now = gaps_clock(CLOCK_REALTIME);
	int64_t mono = gaps_clock(CLOCK_MONOTONIC);
	struct gap gap = {now, now - g->last_ns, mono - g->last_mono_ns};

	if (g->beats++) {
		if (gap.len_ns > g->longest.len_ns)
			g->longest = gap;
		if (gap.len_ns > GAPS_OVER_NS)
			g->kept[g->over++ % GAPS_KEPT] = gap;
	}
	g->last_ns = now;
	g->last_mono_ns = mono;
}

void gaps_reset(struct gaps *g)
{
	g->longest = (struct gap){0};
}

static double ms(int64_t ns)
{
	return (double)ns / 1e6;
}

void gaps_json(const struct gaps *g, char *out, size_t size)
{
	uint64_t from = g->over > GAPS_SHOWN ? g->over - GAPS_SHOWN : 0;
	size_t n;

	n = (size_t)snprintf(out, size,
			     "\"longest_gap_ms\":%.1f,\"longest_gap_at\":%.3f,"
			     "\"longest_gap_mono_ms\":%.1f,\"gaps_over_20_ms\":%" PRIu64
			     ",\"gaps\":[",
			     ms(g->longest.len_ns), (double)g->longest.at_ns / 1e9,
			     ms(g->longest.mono_ns), g->over);
	for (uint64_t i = from; i < g->over && n < size; i++) {
		const struct gap *k = &g->kept[i % GAPS_KEPT];

		n += (size_t)snprintf(out + n, size - n, "%s{\"at\":%.3f,\"ms\":%.1f}",
				      i == from ? "" : ",", (double)k->at_ns / 1e9, ms(k->len_ns));
	}
	if (n < size)
		snprintf(out + n, size - n, "]");
}
