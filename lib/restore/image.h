/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_IMAGE_H
#define DM_RESTORE_IMAGE_H

#include <stddef.h>

#include "base/err.h"

/* An image archive on its way into the engine, as it arrives. */
struct dm_image_load;

/*
 * Begin to load an archive; the engine reads it in a thread of ours. about are len bytes of JSON
 * that tell which layers it lacks, because the engine has them. End with dm_image_load_end().
 * Returns NULL with err.
 */
struct dm_image_load *dm_image_load_begin(const char *about, size_t len, struct dm_err *err);

/*
 * Give the next len bytes. Returns 0; -1 with err.
 */
int dm_image_load_data(struct dm_image_load *l, const void *bytes, size_t len, struct dm_err *err);

/*
 * The archive is complete: wait until the engine has taken it, and free l.
 * Returns 0; -1 with err.
 */
int dm_image_load_end(struct dm_image_load *l, struct dm_err *err);

/*
 * Give up and free l; NULL is fine.
 */
void dm_image_load_abort(struct dm_image_load *l);

#endif
