/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_CREATE_H
#define DM_RESTORE_CREATE_H

/* The container and its volumes on the target, made through the engine's API. */

#include <jansson.h>
#include <limits.h>

#include "base/err.h"
#include "engine/docker.h"

/* The container that has been made. */
struct dm_created {
	char id[65];
	char upper[PATH_MAX]; /* the folder of its writable layer */
};

/*
 * Make a volume as the source's document describes it ({"name", "labels", "options"}); one of that
 * name must not exist. Its folder is left in path. Returns 0; -1 with err.
 */
int dm_create_volume(struct dm_engine *e, const json_t *volume, char path[PATH_MAX],
		     struct dm_err *err);

/*
 * Remove a volume that was made; one that is gone is no error.
 */
int dm_create_volume_undo(struct dm_engine *e, const char *name, struct dm_err *err);

/*
 * Whether the image of the inspect document is here, by its id. Returns 1 or 0; -1 with err.
 */
int dm_create_has_image(struct dm_engine *e, const json_t *inspect, struct dm_err *err);

/*
 * Make the container of the inspect document, under its name, with our runtime and no restart
 * policy yet. Its image and volumes are here. Returns 0; -1 with err.
 */
int dm_create_container(struct dm_engine *e, const json_t *inspect, struct dm_created *out,
			struct dm_err *err);

/*
 * Remove a container that was made but never ran; one that is gone is no error.
 * Returns 0; -1 with err.
 */
int dm_create_container_undo(struct dm_engine *e, const char *id, struct dm_err *err);

/*
 * Give the container the restart policy of the inspect document. Returns 0; -1 with err.
 */
int dm_create_restart_policy(struct dm_engine *e, const char *id, const json_t *inspect,
			     struct dm_err *err);

#endif
