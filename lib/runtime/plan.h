/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_PLAN_H
#define DM_RUNTIME_PLAN_H

/* plan.json in the folder of a pending restore: what dm-restore wants done. */

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/pending.h"

enum dm_plan_tcp { DM_PLAN_TCP_REFUSE, DM_PLAN_TCP_CLOSE, DM_PLAN_TCP_KEEP };

struct dm_plan {
	json_t *doc;
	const char *migration; /* its id; all strings belong to doc */
	const char *images;    /* absolute path of the folder with CRIU's images */
	const char *runc;      /* the runc to use: a path, or a name to look up in PATH */
	double limit;	       /* the most seconds that a restore may take from "start" on */
	double wait;	       /* the most seconds that may pass from create to "start" */
	uint64_t log_limit;    /* the most bytes that CRIU may write into its log */
	enum dm_plan_tcp tcp;  /* what becomes of established connections */
	json_t *criu;	       /* more lines for CRIU's configuration, or NULL */
	json_t *runc_options;  /* more options for runc restore, or NULL */
};

/*
 * Read and check p's plan. Where the plan names the folder of records ("state"), DM_STATE is set
 * to it for this process and its children. Free it with dm_plan_free(). Returns 0; -1 with err.
 */
int dm_plan_read(const struct dm_pending *p, struct dm_plan *plan, struct dm_err *err);

/*
 * Free what the plan holds. Harmless on a plan that is all zero.
 */
void dm_plan_free(struct dm_plan *plan);

/*
 * The decision that stands for the plan's migration. Returns 1 with the word in standing, 0 when
 * nothing is decided, -1 with err (also when there is no record).
 */
int dm_plan_decision(const struct dm_plan *plan, char *standing, struct dm_err *err);

/*
 * Try to win the decision with this word. Returns 1 when it stands, 0 when another does (in
 * standing), -1 with err.
 */
int dm_plan_decide(const struct dm_plan *plan, const char *word, char *standing,
		   struct dm_err *err);

#endif
