/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_HOOKS_H
#define DM_RUNTIME_HOOKS_H

/* What runc calls while it restores, and what a person may call: dm-runtime _NAME [ARGUMENT]. */

#include "base/err.h"

/*
 * _cut [PID]: cut the link of process PID's network namespace; without PID, of the container whose
 * state is on stdin (as a hook gets it).
 * _open PID: open it again.
 * _hook DIR: tell the supervisor of the pending folder DIR that the container on stdin waits, and
 * wait until it may go on.
 * Returns 0; -1 with err (DM_USAGE for an unknown name).
 */
int dm_hooks_run(const char *name, const char *arg, struct dm_err *err);

#endif
