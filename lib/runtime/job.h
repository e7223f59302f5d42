/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_JOB_H
#define DM_RUNTIME_JOB_H

/* One restore: its folder, its plan, and the command line that asked for it. */

#include "runtime/args.h"
#include "runtime/pending.h"
#include "runtime/plan.h"

struct dm_job {
	struct dm_pending pending;
	struct dm_plan plan; /* all zero when it could not be read */
	const struct dm_args *args;
};

#endif
