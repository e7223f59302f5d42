/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_ESTIMATE_H
#define DM_SOURCE_ESTIMATE_H

#include <jansson.h>

#include "base/err.h"
#include "container/fit.h"
#include "engine/docker.h"

/*
 * What a move of c, as it is now, would send, in bytes before packing:
 * {"memory", "image" (0: the target has it), "files": [{"name", "entries", "bytes"}...], "total"};
 * the first of files is the writable layer, then come volumes and bind mounts. have: what the target has, or
 * NULL. Nothing is changed. Returns a new reference; NULL with err.
 */
json_t *dm_estimate(struct dm_engine *e, const struct dm_container *c,
		    const struct dm_fit_opts *opts, const json_t *have, struct dm_err *err);

/*
 * Add to list (of texts) what of an estimate the target, which described itself with have, has no
 * room for: on its disk, in its staging folder, in its memory.
 */
void dm_estimate_room(const json_t *estimate, const json_t *have, json_t *list);

/*
 * Say an estimate on stderr.
 */
void dm_estimate_say(const struct dm_container *c, const json_t *estimate);

#endif
