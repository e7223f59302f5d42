/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_STOP_H
#define DM_MEMORY_STOP_H

/*
 * When to stop the rounds and freeze. Two rule sets:
 *
 *   budget  the predicted blackout fits the budget; or it can never fit, because its fixed part
 *           alone does not; or two rounds in a row brought no real gain; or the maximum is reached
 *   seed    docker_migrator's: fewer than min_pages were sent; or their number grew by more than
 *           max_growth percent over the round before; or the maximum is reached
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The most rounds there can be. */
enum { DM_ROUNDS_MAX = 60 };

enum dm_stop_rule { DM_STOP_BUDGET, DM_STOP_SEED };

struct dm_stop_opts {
	enum dm_stop_rule rule;
	double budget;	     /* seconds of blackout */
	uint32_t max_rounds; /* 1 to DM_ROUNDS_MAX */
	uint64_t min_pages;
	uint32_t max_growth; /* percent */
};

/* The defaults of the command line. */
extern const struct dm_stop_opts dm_stop_defaults;

/* What a round came to. */
struct dm_round {
	uint64_t seen, sent; /* pages, shared memory among them */
	uint64_t bytes;	     /* written to the stream */
	double seconds;
	double predicted; /* the blackout, in seconds, if the freeze came now */
};

struct dm_stop {
	struct dm_stop_opts opts;
	uint32_t rounds;
	uint32_t idle;	 /* rounds in a row without real gain */
	uint64_t before; /* pages sent by the round before */
	double rate;	 /* bytes a second into the stream, from the fastest large round */
};

/*
 * Predict the blackout, in seconds, when pages of memory are there, dirty of them are still to be
 * sent, and the stream takes rate bytes a second (0: not known yet).
 */
double dm_stop_predict(uint64_t pages, uint64_t dirty, double rate);

/*
 * Take in a round, whose predicted field is filled in. Returns why the rounds shall stop, or NULL
 * to go on.
 */
const char *dm_stop_round(struct dm_stop *s, struct dm_round *r);

#endif
