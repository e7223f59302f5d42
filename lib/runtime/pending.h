/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_PENDING_H
#define DM_RUNTIME_PENDING_H

/*
 * A pending restore: the folder <run>/restore/<container id>, where <run> is /run/docker-migrate
 * (or $DM_RUN, for tests). It is made by dm-restore with plan.json in it; all other files are ours:
 *
 *   failed        stands from before the restore begins until it has fully succeeded;
 *                 it holds the reason
 *   sock          where the supervisor listens
 *   procs.json    runc and the container's root task
 *   criu.conf     CRIU's configuration for this one call
 *   work/         CRIU's working folder, with restore.log
 *   closed        stands while the link could not be opened after the decision
 *   resumed       the time at which CRIU let the container run
 *   result.json   how it ended
 *
 * After success the folder is moved to <run>/done/<container id>.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dm_pending {
	int dir;	     /* the folder */
	char path[PATH_MAX]; /* its absolute path */
	const char *id;	     /* the container's, as given to dm_pending_open() */
};

/*
 * The path of the folder of container id, whether it is there or not. Returns 0; -1 with err.
 */
int dm_pending_path(const char *id, char path[PATH_MAX], struct dm_err *err);

/*
 * Open the folder of container id, if there is one. id must stay valid.
 * Returns 1; 0 when no restore is pending; -1 with err (also when the folder is not ours alone).
 */
int dm_pending_open(const char *id, struct dm_pending *p, struct dm_err *err);

/*
 * The same, by the folder's path.
 */
int dm_pending_open_path(const char *path, struct dm_pending *p, struct dm_err *err);

/*
 * Whether the folder holds a file of that name.
 */
bool dm_pending_has(const struct dm_pending *p, const char *name);

/*
 * Put up the marker "failed", before anything else is done.
 * Returns 1; 0 when it stood already, with its text in why; -1 with err.
 */
int dm_pending_begin(const struct dm_pending *p, char *why, size_t size, struct dm_err *err);

/*
 * Write the reason into the marker, whatever stood there. It is a best effort: the marker stands.
 */
void dm_pending_reason(const struct dm_pending *p, const char *why);

/*
 * The restore succeeded: move the folder away and take the marker down, in this order, so that
 * at no time a create finds the folder without the marker. Returns 0; -1 with err.
 */
int dm_pending_finish(const struct dm_pending *p, struct dm_err *err);

/*
 * Write the time of now (seconds since 1970) as the file name. Returns 0; -1 with err.
 */
int dm_pending_stamp(const struct dm_pending *p, const char *name, struct dm_err *err);

/*
 * The time in the file name, in seconds since 1970; 0 when there is none.
 */
double dm_pending_time(const struct dm_pending *p, const char *name);

#endif
