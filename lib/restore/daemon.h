/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_DAEMON_H
#define DM_RESTORE_DAEMON_H

/* The engine's configuration file, /etc/docker/daemon.json or $DM_DAEMON_JSON. */

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"

struct dm_daemon {
	const char *file; /* its path, absolute */
	mode_t mode;	  /* of the file, 0644 for a new one */
	json_t *config;	  /* what is in it, to be changed in place; {} when there is no file */
};

/*
 * Read the file into d. Free with dm_daemon_free(), which is fine with {0}, too.
 * Returns 0; -1 with err, and d is to be freed all the same.
 */
int dm_daemon_read(struct dm_daemon *d, struct dm_err *err);

/*
 * Free what d holds.
 */
void dm_daemon_free(struct dm_daemon *d);

/*
 * Write d->config in the file's place in one step; its folder is made if it is missing.
 * Returns 0; -1 with err, and the file is as it was, but perhaps for its mode.
 */
int dm_daemon_write(const struct dm_daemon *d, struct dm_err *err);

/*
 * Have the engine read the file again; its process is named by the file's own "pidfile", by
 * default /var/run/docker.pid. Returns 0 when the engine was told to; -1 with err.
 */
int dm_daemon_reload(const struct dm_daemon *d, struct dm_err *err);

#endif
