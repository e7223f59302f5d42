/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_BUNDLE_H
#define DM_RUNTIME_BUNDLE_H

/* The OCI bundle that the engine made for a container: its config.json. */

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "runtime/bigint.h"

struct dm_bundle {
	int dir;
	json_t *doc;
	char mark[DM_BIGINT_MARK];
};

/*
 * Read the bundle in the folder path. Free it with dm_bundle_close(). Returns 0; -1 with err.
 */
int dm_bundle_open(const char *path, struct dm_bundle *b, struct dm_err *err);

/*
 * Free b.
 */
void dm_bundle_close(struct dm_bundle *b);

/*
 * Whether the container's process has a terminal.
 */
bool dm_bundle_terminal(const struct dm_bundle *b);

/*
 * Whether the container gets a network namespace of its own, new and empty.
 */
bool dm_bundle_new_network(const struct dm_bundle *b);

/*
 * Take out the annotation by which a container's creator can hand CRIU a configuration.
 */
void dm_bundle_drop_criu_config(struct dm_bundle *b);

/*
 * Add a hook to the list "prestart" or "createRuntime": the program self with the arguments
 * (NULL-terminated, argv[0] included); as the first one, or as the last. Returns 0; -1 with err.
 */
int dm_bundle_hook(struct dm_bundle *b, const char *list, bool first, const char *self,
		   const char *const *argv, struct dm_err *err);

/*
 * Write config.json, in one step. Returns 0; -1 with err, and the old one stands.
 */
int dm_bundle_save(struct dm_bundle *b, struct dm_err *err);

#endif
