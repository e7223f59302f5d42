/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_FREEZE_H
#define DM_HANDOVER_FREEZE_H

/*
 * What happens to the container on the source. Each step is journalled before it is done, and
 * harmless when it is done twice. The record's lock must be held.
 *
 *   freezing {restart}   restart policy off, engine's pause, link cut
 *   frozen {since}       the time of the pause, in seconds since 1970
 *   thawing              link back, engine's unpause, restart policy back
 *   thawed
 *   releasing            SIGKILL, unpause, rename, off its networks
 *   released
 */

#include "base/err.h"
#include "container/container.h"
#include "engine/docker.h"
#include "handover/record.h"

/* What there is of a container now; it may have been stopped or removed since it was looked up. */
enum dm_presence { DM_PRESENCE_ERROR, DM_GONE, DM_STOPPED, DM_RUNS, DM_PAUSED };

/*
 * Ask the engine for it. Returns DM_PRESENCE_ERROR with err when it does not answer.
 */
enum dm_presence dm_presence(struct dm_engine *e, const struct dm_container *c, struct dm_err *err);

/*
 * Freeze c. A process that docker exec or a health check runs in it is waited for, thawed, for a
 * few seconds. Returns 0; -1 with err, and the container may be half frozen: dm_thaw() mends it.
 */
int dm_freeze(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	      struct dm_err *err);

/*
 * Let c run on as if nothing had been. Nothing is done when r tells that it was never frozen, or
 * is thawed. Returns 0; -1 with err.
 */
int dm_thaw(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	    struct dm_err *err);

/*
 * Give c up: it runs on the target. Not one instruction of it runs here any more, and no packet
 * leaves. It stays as a stopped container under another name, which is left in name.
 * Returns 0; -1 with err.
 */
int dm_release(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	       char name[256], struct dm_err *err);

#endif
