/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_LAYERS_H
#define DM_CONTAINER_LAYERS_H

/*
 * The layers of images. An engine knows a layer by its content and by all that lies under it, so
 * the layers of a host are a tree: an object with a key for each lowest layer (the digest of its
 * content, "sha256:..."), and under it an object of the same kind with what lies on it. An image is
 * a way up from the root.
 */

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/docker.h"

/*
 * Ask the engine for the layers of images, an array of ids; one that has gone meanwhile is left
 * out. Returns the tree as a new reference; NULL with err.
 */
json_t *dm_layers(struct dm_engine *e, const json_t *images, struct dm_err *err);

/*
 * Put an image with these layers (an array, the lowest first) into a tree. Entries that are no
 * strings end it.
 */
void dm_layers_add(json_t *tree, const json_t *layers);

/*
 * The number of layers, counted from the lowest, that lie in the tree (NULL: none) as they lie in
 * the image.
 */
size_t dm_layers_shared(const json_t *tree, const json_t *layers);

#endif
