/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_OUTCOME_H
#define DM_RUNTIME_OUTCOME_H

/* How a restore ends: what is killed, what is decided, what is written. */

#include <stdbool.h>
#include <stddef.h>

#include "runtime/job.h"
#include "runtime/procs.h"

enum { DM_WHY_MAX = 1024 };

/* Seconds since 1970; 0: it did not come to that. */
struct dm_times {
	double started; /* the supervisor began */
	double setup;	/* the root task waits in its empty namespaces */
	double go;	/* start was called */
};

/*
 * It succeeded, pid is the container's root task: write result.json, move the folder away.
 * Returns 0; -1 with err: the container runs, but the marker still stands.
 */
int dm_outcome_done(const struct dm_job *job, const struct dm_times *times, pid_t pid,
		    struct dm_err *err);

/*
 * It failed: end the container's processes, then CRIU and its helpers, then see runc end (which
 * tidies up behind itself); then, when none of them is left, decide "failed"; write the marker and
 * result.json. With runaway CRIU is killed at once and its log cut before runc can read it.
 * why holds the reason, or "" to take it from CRIU's log; it is completed.
 */
void dm_outcome_failed(const struct dm_job *job, const struct dm_procs *procs,
		       const struct dm_times *times, bool runaway, char why[DM_WHY_MAX]);

/*
 * What result.json says: 0 or 1; -1 when there is none.
 */
int dm_outcome_known(const struct dm_pending *p);

/*
 * The supervisor of this restore died, or its answer was lost: bring it to an end either way.
 * Returns 1 when the container runs by the decision; 0 when the restore failed, with why.
 */
int dm_outcome_settle(const struct dm_job *job, char why[DM_WHY_MAX]);

#endif
