/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_VERBS_H
#define DM_RUNTIME_VERBS_H

/* The verbs that are not runc's while a restore is pending. */

#include "base/err.h"
#include "runtime/job.h"

enum dm_verb {
	DM_VERB_DONE, /* all is done */
	DM_VERB_RUNC, /* hand on to runc */
	DM_VERB_FAIL, /* err tells */
};

/*
 * create: begin the restore and come back when its root task waits for start. A restore that
 * failed is never begun again, nor does the container start cold: the marker refuses.
 */
enum dm_verb dm_verb_create(struct dm_job *job, struct dm_err *err);

/*
 * start: let the waiting restore go on, and wait for its end.
 */
enum dm_verb dm_verb_start(struct dm_job *job, struct dm_err *err);

/*
 * kill and delete: abort a restore that is under way, then runc's turn.
 */
enum dm_verb dm_verb_abort(struct dm_job *job, struct dm_err *err);

#endif
