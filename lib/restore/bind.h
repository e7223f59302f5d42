/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_BIND_H
#define DM_RESTORE_BIND_H

/* The folder of a bind mount that is copied: it must not exist, or be empty. */

#include <limits.h>

#include "base/err.h"

struct dm_bind_place {
	char path[PATH_MAX];
	char made[PATH_MAX]; /* the topmost folder that had to be made; empty: it was there */
};

/*
 * Make the folder path, and those above it that are missing (mode 0755).
 * Returns 0; -1 with err (DM_UNFIT when there is something), and nothing was made.
 */
int dm_bind_place_make(struct dm_bind_place *p, const char *path, struct dm_err *err);

/*
 * Remove what was made, or all that is in a folder that was there. Returns 0; -1 with err.
 */
int dm_bind_place_undo(const struct dm_bind_place *p, struct dm_err *err);

#endif
