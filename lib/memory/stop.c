/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/stop.h"

#include <stddef.h>

#include "stream/format.h"

const struct dm_stop_opts dm_stop_defaults = {
	.rule = DM_STOP_BUDGET,
	.budget = 0.3,
	.max_rounds = 7,
	.min_pages = 500,
	.max_growth = 10,
};

/*
 * What a blackout is made of besides the pages that are still to go: freezing, CRIU's start on
 * either side, the engine's start of a container; then for each byte of memory the dump into
 * tmpfs, the comparison, and the restore. Rough figures from an idle machine with two cores; a busy
 * one takes a multiple (tests/bench/run prints predicted beside actual). Files on the container's
 * own tmpfs are not counted.
 */
static const double fixed_seconds = 0.6;
static const double seconds_a_byte = 0.9 / (1 << 30);
static const double usual_rate = 200e6; /* bytes a second, before one is known */

enum { LARGE_ROUND = 4 << 20 }; /* bytes from which on a round tells of the rate */

double dm_stop_predict(uint64_t pages, uint64_t dirty, double rate)
{
	return fixed_seconds + (double)pages * DM_PAGE * seconds_a_byte +
	       (double)dirty * DM_PAGE / (rate > 0 ? rate : usual_rate);
}

static const char *by_seed(const struct dm_stop *s, const struct dm_round *r)
{
	if (r->sent < s->opts.min_pages)
		return "few pages are left";
	if (s->rounds > 1 && r->sent * 100 > s->before * (100 + (uint64_t)s->opts.max_growth))
		return "the rounds grow";
	return NULL;
}

static const char *by_budget(struct dm_stop *s, const struct dm_round *r)
{
	bool gained = s->rounds == 1 || (double)r->sent < (double)s->before * 0.9;

	if (r->predicted <= s->opts.budget)
		return "the budget is met";
	if (s->rounds > 1 &&
	    dm_stop_predict(0, r->sent, s->rate) - dm_stop_predict(0, 0, 0) < s->opts.budget / 10)
		return "what is left costs little";
	s->idle = gained ? 0 : s->idle + 1;
	return s->idle >= 2 ? "two rounds brought no gain" : NULL;
}

const char *dm_stop_round(struct dm_stop *s, struct dm_round *r)
{
	const char *why;

	s->rounds++;
	if (r->bytes >= LARGE_ROUND && r->seconds > 0 && (double)r->bytes / r->seconds > s->rate)
		s->rate = (double)r->bytes / r->seconds;
	r->predicted = dm_stop_predict(r->seen, r->sent, s->rate);
	why = s->opts.rule == DM_STOP_SEED ? by_seed(s, r) : by_budget(s, r);
	s->before = r->sent;
	if (!why && s->rounds >= s->opts.max_rounds)
		why = "the last round allowed";
	return why;
}
