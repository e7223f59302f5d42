/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_UNBORN_H
#define DM_HANDOVER_UNBORN_H

/*
 * A container that was made on the target but has not been restored yet must never be started from
 * cold, by nobody, not after a crash either: <state>/unborn/CONTAINER stands from its making until
 * the decision "running", and our runtime refuses to create such a container.
 */

#include "base/err.h"

/*
 * Put the marker up, synced, or take it down (no harm when it is gone). container is the full id,
 * migration that of the move that made it. Return 0; -1 with err.
 */
int dm_unborn_mark(const char *container, const char *migration, struct dm_err *err);
int dm_unborn_clear(const char *container, struct dm_err *err);

/*
 * Whether the marker stands, and the migration it names was not decided "running" (a crash can
 * leave the marker behind that). Returns 1 or 0.
 */
int dm_unborn_is(const char *container);

#endif
