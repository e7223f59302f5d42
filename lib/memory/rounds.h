/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_ROUNDS_H
#define DM_MEMORY_ROUNDS_H

#include <signal.h>

#include "base/err.h"
#include "container/tasks.h"
#include "memory/held.h"
#include "memory/stop.h"
#include "stream/writer.h"

/*
 * Send the memory of the processes in cgroup, round after round, until the stop rule ends it, one
 * line a round on stderr. Nobody is stopped. held is kept up to date; s is left as it was after
 * the last round, and the s->rounds rounds are in list.
 * Returns 0; -1 with err (also when *stop became nonzero).
 */
int dm_rounds_run(const struct dm_cgroup *cgroup, struct dm_writer *w, struct dm_held *held,
		  uint64_t seed, struct dm_stop *s, struct dm_round list[DM_ROUNDS_MAX],
		  volatile sig_atomic_t *stop, struct dm_err *err);

/*
 * Say a round's figures on stderr; name is "round 1", for instance, and why is added when it is
 * not NULL.
 */
void dm_rounds_say(const char *name, const struct dm_round *r, const char *why);

#endif
