/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_TREES_H
#define DM_SOURCE_TREES_H

/*
 * The trees of a container as segments carry them: the writable layer, each named volume, each bind
 * mount that is to be copied. What has been sent of each stands in a manifest in the migration's
 * record.
 */

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "container/fit.h"
#include "handover/stage.h"

/*
 * The trees that travel: an array of objects with "tree" (layer, volume or bind), "path" on this
 * host, and the name under "volume" or "bind". Returns a new reference.
 */
json_t *dm_trees_list(const struct dm_container *c, const struct dm_fit_opts *o);

/*
 * A tree's name for people ("volume data"), into out, which is returned.
 */
const char *dm_trees_name(const json_t *tree, char *out, size_t size);

/*
 * Send the trees of c that the record lists (event "trees") in stage s: whole, or, with delta, what has changed since the last pass.
 * frozen: the container is, and files that its processes map shared and writable are compared by
 * content. A line a tree is said on stderr. Returns 0; -1 with err.
 */
int dm_trees_send(struct dm_stage *s, const struct dm_container *c, bool delta, bool frozen,
		  struct dm_err *err);

#endif
