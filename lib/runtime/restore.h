/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_RESTORE_H
#define DM_RUNTIME_RESTORE_H

/* How runc restore is called for a pending restore. */

#include <stddef.h>

#include "base/err.h"
#include "runtime/job.h"
#include "runtime/procs.h"

/* In the environment of runc, CRIU and its scripts: the pending folder. */
#define DM_RESTORE_DIR "DM_RESTORE_DIR"

/*
 * The path of this program, for those who are to call it. Returns 0; -1 with err.
 */
int dm_restore_self(char *path, size_t size, struct dm_err *err);

/*
 * Write CRIU's configuration and start runc restore with our stdin, stdout and stderr, which we
 * then close ourselves: the container's pipes are to end when the container does. runc reads
 * /etc/criu/runc.conf after our configuration, as ever.
 * Returns 0 with runc, a child of ours, in procs and in procs.json; -1 with err, and runc may run.
 */
int dm_restore_begin(const struct dm_job *job, struct dm_procs *procs, struct dm_err *err);

#endif
