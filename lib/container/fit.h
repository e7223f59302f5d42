/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_FIT_H
#define DM_CONTAINER_FIT_H

/*
 * Whether a container can be moved, and to that target: every obstacle is named before anything
 * is sent.
 */

#include <jansson.h>

#include "base/err.h"
#include "container/binds.h"
#include "container/container.h"

/* What to do with established TCP connections. */
enum dm_tcp { DM_TCP_REFUSE, DM_TCP_CLOSE };

/* What the user wants of the move. */
struct dm_fit_opts {
	enum dm_tcp tcp;
	struct dm_binds binds;
};

/*
 * Parse the argument of --tcp. Returns 0 with *out; -1 with err (DM_USAGE).
 */
int dm_fit_tcp(const char *text, enum dm_tcp *out, struct dm_err *err);

/*
 * Add to list (an array of strings) a line for each thing that keeps c from being moved at all.
 * Returns 0; -1 with err when that could not be found out.
 */
int dm_fit_container(const struct dm_container *c, const struct dm_fit_opts *o, json_t *list,
		     struct dm_err *err);

/*
 * Add to list a line for each thing that keeps the target, which described itself with have
 * (container/have.h), from taking c; here describes this host in the same form.
 */
void dm_fit_target(const struct dm_container *c, const struct dm_fit_opts *o, const json_t *here,
		   const json_t *have, json_t *list);

/*
 * The paths that the target must tell about (dm_have_paths()), for its bind mounts: a new reference
 * to an array of strings.
 */
json_t *dm_fit_paths(const struct dm_container *c, const struct dm_fit_opts *o);

/*
 * Say every line of list on stderr. Returns 0 when there is none; -1 with err (DM_UNFIT).
 */
int dm_fit_report(const struct dm_container *c, const json_t *list, struct dm_err *err);

#endif
