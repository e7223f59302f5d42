/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_LIVE_H
#define DM_MEMORY_LIVE_H

/*
 * One round over the memory of live processes, which nobody stops. A page that is torn between two
 * stores is sent as it was read, under its own fingerprint, and again once it has settled.
 */

#include <signal.h>
#include <stdint.h>

#include "base/err.h"
#include "container/tasks.h"
#include "memory/sender.h"

/*
 * Read what is in memory of every process in tasks, and of the shared memory that they map, and
 * give it to s. Processes and mappings that go meanwhile are passed over. When *stop becomes
 * nonzero it ends with an error.
 * Returns 0; -1 with err.
 */
int dm_live_round(const struct dm_tasks *tasks, struct dm_sender *s, volatile sig_atomic_t *stop,
		  struct dm_err *err);

#endif
