/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_CHECK_H
#define DM_SOURCE_CHECK_H

/* The questions before a move: what keeps the container from it, and what it would send. */

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "container/fit.h"
#include "engine/docker.h"
#include "handover/record.h"

struct dm_check_opts {
	const char *id;	  /* the migration */
	const char *have; /* file with what the target has ("-": stdin), or NULL: not known */
	bool estimate;	  /* say what would be sent, and keep no record */
	bool json;	  /* print what was found on stdout */
	struct dm_fit_opts fit;
};

/*
 * Say every obstacle on stderr. When there is none, what the target has is kept in the migration's
 * record, unless o->estimate. Returns 0; -1 with err (DM_UNFIT when there are obstacles).
 */
int dm_check(struct dm_engine *e, const struct dm_container *c, const struct dm_check_opts *o,
	     struct dm_err *err);

/*
 * What the target has, if dm_check() has kept it in r: *have is a new reference, or NULL.
 * Returns 0; -1 with err.
 */
int dm_check_have(struct dm_record *r, json_t **have, struct dm_err *err);

/*
 * Print the paths that the target must tell about on stdout, as JSON. Returns 0; -1 with err.
 */
int dm_check_paths(const struct dm_container *c, const struct dm_fit_opts *o, struct dm_err *err);

#endif
