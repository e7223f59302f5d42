/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_RESTORE_H
#define DM_RUNTIME_RESTORE_H

/* How runc restore is called for a pending restore. */

#include <sys/types.h>

#include "base/err.h"
#include "runtime/job.h"

/* In the environment of runc, CRIU and its scripts: the pending folder. */
#define DM_RESTORE_DIR "DM_RESTORE_DIR"

/*
 * The path of this program, for those who are to call it. Returns 0; -1 with err.
 */
int dm_restore_self(char *path, size_t size, struct dm_err *err);

/*
 * Write CRIU's configuration and start runc restore with our stdin, stdout and stderr. runc reads
 * /etc/criu/runc.conf after it, as ever. Returns runc's pid, a child of ours; -1 with err.
 */
pid_t dm_restore_start(const struct dm_job *job, struct dm_err *err);

#endif
