/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_ESTIMATE_H
#define DM_SOURCE_ESTIMATE_H

#include <jansson.h>

#include "base/err.h"
#include "container/container.h"
#include "engine/docker.h"

/*
 * What a move of c, as it is now, would send, in bytes before packing:
 * {"memory", "image" (0: the target has it), "files": [{"name", "entries", "bytes"}...], "total"};
 * the first of files is the writable layer, the others are volumes. have: what the target has, or
 * NULL. Nothing is changed. Returns a new reference; NULL with err.
 */
json_t *dm_estimate(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		    struct dm_err *err);

/*
 * Say an estimate on stderr.
 */
void dm_estimate_say(const struct dm_container *c, const json_t *estimate);

#endif
