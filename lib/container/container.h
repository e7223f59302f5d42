/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_CONTAINER_H
#define DM_CONTAINER_CONTAINER_H

/* What we know of one container, from the engine's inspect document. */

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "container/tasks.h"
#include "engine/docker.h"

struct dm_container {
	json_t *inspect;  /* the engine's document */
	const char *id;	  /* full, borrowed from inspect, as all strings here */
	const char *name; /* without the leading slash */
	pid_t pid;	  /* of the root process; 0 when it does not run */
	bool running, paused;
	char upper[PATH_MAX];	 /* the writable layer's folder (overlay2) */
	struct dm_cgroup cgroup; /* when it runs */
};

/* A named volume in use by the container. */
struct dm_volume {
	const char *name;   /* borrowed from the document */
	const char *source; /* its folder on this host */
};

/*
 * Read the container's state from the engine; name is what docker(1) takes. Fill in what is known
 * of it. Free with dm_container_free(). Returns 0; -1 with err.
 */
int dm_container_load(struct dm_engine *e, const char *name, struct dm_container *out,
		      struct dm_err *err);
void dm_container_free(struct dm_container *c);

/*
 * The i-th named volume of an inspect document. Returns true with *v, false past the last.
 */
bool dm_container_volume(const json_t *inspect, size_t i, struct dm_volume *v);

/*
 * The folder that runc keeps the container's state under (its --root), into out.
 * Returns 0; -1 with err.
 */
int dm_container_runc_root(const struct dm_container *c, char *out, size_t size,
			   struct dm_err *err);

#endif
