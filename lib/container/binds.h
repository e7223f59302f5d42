/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_BINDS_H
#define DM_CONTAINER_BINDS_H

/*
 * The bind mounts of a container, and what shall become of them:
 *   require  the target must have something of the same kind at the same path; nothing travels
 *   copy     a folder travels to the same path, where there is nothing yet, or an empty folder
 *   refuse   the container does not move
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum dm_bind_mode { DM_BIND_REQUIRE, DM_BIND_COPY, DM_BIND_REFUSE };

enum { DM_BINDS_MAX = 128 };

/* What the command line says; all zero is the default, require. */
struct dm_binds {
	enum dm_bind_mode all;
	struct {
		const char *path; /* in the container, or on the host; borrowed */
		size_t len;
		enum dm_bind_mode mode;
	} one[DM_BINDS_MAX];
	size_t n;
};

/* A bind mount; the texts are borrowed from the document. */
struct dm_bind {
	const char *source;	 /* its path on this host */
	const char *destination; /* in the container */
	enum dm_bind_mode mode;
};

/*
 * Take in the argument of --binds (MODE), or of --bind (PATH=MODE); arg must stay valid.
 * Returns 0; -1 with err (DM_USAGE).
 */
int dm_binds_all(struct dm_binds *b, const char *arg, struct dm_err *err);
int dm_binds_one(struct dm_binds *b, const char *arg, struct dm_err *err);

/*
 * The i-th bind mount of an inspect document. Returns true with *out, false past the last.
 */
bool dm_binds_get(const struct dm_binds *b, const json_t *inspect, size_t i, struct dm_bind *out);

/*
 * A path of --bind that is no bind mount of the container, or NULL. At most size bytes with a NUL
 * are left in out, which is returned.
 */
const char *dm_binds_stray(const struct dm_binds *b, const json_t *inspect, char *out, size_t size);

/*
 * What lies at path on this host: "nothing", "folder", "empty" (a folder), "file", "socket" or
 * "other". A symbolic link is followed, as the engine does.
 */
const char *dm_binds_kind(const char *path);

#endif
