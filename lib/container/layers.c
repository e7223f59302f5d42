/* SPDX-License-Identifier: Apache-2.0 */
#include "container/layers.h"

#include <stdio.h>

#include "base/json.h"

void dm_layers_add(json_t *tree, const json_t *layers)
{
	const json_t *v;
	json_t *above;
	size_t i;

	json_array_foreach(layers, i, v)
	{
		const char *layer = json_string_value(v);

		if (!layer)
			return;
		above = json_object_get(tree, layer);
		if (!above) {
			above = json_object();
			json_object_set_new(tree, layer, above);
		}
		tree = above;
	}
}

size_t dm_layers_shared(const json_t *tree, const json_t *layers)
{
	const json_t *v;
	size_t i;

	json_array_foreach(layers, i, v)
	{
		const char *layer = json_string_value(v);

		tree = layer ? json_object_get(tree, layer) : NULL;
		if (!tree)
			break;
	}
	return i;
}

json_t *dm_layers(struct dm_engine *e, const json_t *images, struct dm_err *err)
{
	json_t *tree = json_object(), *image;
	char escaped[512], path[600];
	const json_t *v;
	size_t i;

	json_array_foreach(images, i, v)
	{
		int status;

		if (dm_engine_escape(json_string_value(v), escaped, sizeof(escaped), err))
			goto fail;
		snprintf(path, sizeof(path), "/images/%s/json", escaped);
		status = dm_engine_call(e, "GET", path, NULL, 60, &image, err);
		if (status < 0 || (status >= 400 && status != 404))
			goto fail;
		dm_layers_add(tree, dm_json_at(image, "RootFS.Layers"));
		json_decref(image);
	}
	return tree;

fail:
	json_decref(tree);
	return NULL;
}
