/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_TREES_H
#define DM_SOURCE_TREES_H

/*
 * The trees of a container, the writable layer and each named volume, as segments carry them. What
 * has been sent of each stands in a manifest in the migration's record.
 */

#include <stdbool.h>

#include "base/err.h"
#include "container/container.h"
#include "handover/stage.h"

/*
 * Send all trees of c in stage s: whole, or, with delta, what has changed since the last pass.
 * frozen: the container is, and files that its processes map shared and writable are compared by
 * content. A line a tree is said on stderr. Returns 0; -1 with err.
 */
int dm_trees_send(struct dm_stage *s, const struct dm_container *c, bool delta, bool frozen,
		  struct dm_err *err);

#endif
