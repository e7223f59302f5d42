/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_PLACES_H
#define DM_RESTORE_PLACES_H

/*
 * Where the files of a container go on the target: its volumes, the folders of bind mounts that are
 * copied, and the container itself with its writable layer. All of them are made for it.
 */

#include <jansson.h>

#include "base/err.h"
#include "engine/docker.h"
#include "handover/record.h"
#include "restore/create.h"

struct dm_places;

/*
 * An empty one. Free it with dm_places_free(), which removes nothing. NULL with err.
 */
struct dm_places *dm_places_new(struct dm_engine *e, struct dm_err *err);
void dm_places_free(struct dm_places *p);

/*
 * Make all places that the source's document config names, and journal the container in r.
 * Returns 0; -1 with err, and then some may have been made.
 */
int dm_places_make(struct dm_places *p, const json_t *config, struct dm_record *r,
		   struct dm_err *err);

/*
 * The container; its id is empty before it has been made.
 */
const struct dm_created *dm_places_container(const struct dm_places *p);

/*
 * Open the folder that a tree belongs to, by the document that begins it. Returns a descriptor, -1
 * with err (DM_BAD_STREAM when there is none).
 */
int dm_places_open(const struct dm_places *p, const json_t *tree, struct dm_err *err);

/*
 * Remove all that was made. What cannot be removed is said on stderr.
 */
void dm_places_undo(struct dm_places *p);

#endif
