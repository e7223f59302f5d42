/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_START_H
#define DM_RESTORE_START_H

/*
 * Starting what has arrived: the plan is laid out for our runtime, the engine starts the
 * container, and the record tells who won.
 */

#include <stdint.h>

#include "base/err.h"
#include "engine/docker.h"
#include "restore/receive.h"

struct dm_start_opts {
	uint64_t limit;	    /* seconds that CRIU may take */
	uint64_t log_limit; /* bytes that CRIU may write into its log */
};

/*
 * Start the received container. Returns 0 when the decision is "running"; -1 with err otherwise,
 * and then it is "failed" or "refused", and nothing of the container runs.
 */
int dm_start(struct dm_engine *e, const struct dm_received *got, const struct dm_start_opts *o,
	     struct dm_err *err);

/*
 * End a restore that is still under way; afterwards the engine can remove the container. Harmless
 * when there is none.
 */
void dm_start_abort(const struct dm_received *got);

/*
 * Remove what dm_start() laid out for the runtime, after a failure. Harmless when there is nothing.
 */
void dm_start_undo(const struct dm_received *got);

#endif
