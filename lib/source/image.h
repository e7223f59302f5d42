/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_IMAGE_H
#define DM_SOURCE_IMAGE_H

#include <jansson.h>

#include "base/err.h"
#include "container/container.h"
#include "engine/docker.h"
#include "stream/writer.h"

/*
 * What the engine says of the image of c. Returns a new reference; NULL with err.
 */
json_t *dm_image_inspect(struct dm_engine *e, const struct dm_container *c, struct dm_err *err);

/*
 * Send the image of c, unless the target, which described itself with have (NULL: it is not known),
 * has it; without the layers that it has, as far as the engine's archive tells which they are. Its
 * name travels with it only if the target has no other image of that name.
 * Returns 0; -1 with err.
 */
int dm_image_send(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		  struct dm_writer *w, struct dm_err *err);

#endif
