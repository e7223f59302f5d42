/* SPDX-License-Identifier: Apache-2.0 */
#include "source/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"

struct send {
	struct dm_writer *w;
	uint64_t bytes;
};

static int on_bytes(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct send *s = ctx;

	s->bytes += len;
	return dm_writer_data(s->w, DM_IMAGE_DATA, bytes, len, err);
}

/* The tag that the container's image goes by on the target, or NULL: by its id alone. */
static const char *tag_of(struct dm_engine *e, const char *id, const char *name, const json_t *have,
			  json_t **image, struct dm_err *err)
{
	char escaped[512], path[600], full[300];
	const json_t *v;
	size_t i;

	if (dm_engine_escape(id, escaped, sizeof(escaped), err))
		return NULL;
	snprintf(path, sizeof(path), "/images/%s/json", escaped);
	if (dm_engine_do(e, "GET", path, NULL, 60, image, err))
		return NULL;
	snprintf(full, sizeof(full), "%s%s", name, strrchr(name, ':') ? "" : ":latest");
	json_array_foreach(json_object_get(*image, "RepoTags"), i, v)
	{
		const char *tag = json_string_value(v);

		if (tag && (!strcmp(tag, name) || !strcmp(tag, full)) &&
		    !dm_json_lists(have, "tags", tag))
			return tag;
	}
	return NULL;
}

int dm_image_send(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		  struct dm_writer *w, struct dm_err *err)
{
	const char *id = dm_json_str(c->inspect, "Image", ""), *name;
	char escaped[1024], path[1100], size[32], *text = NULL;
	struct send s = {.w = w};
	double start = dm_now();
	json_t *image = NULL, *o = NULL;
	int ret = -1;

	name = dm_json_str(c->inspect, "Config.Image", id);
	if (dm_json_lists(have, "images", id)) {
		dm_say("image %s: the target has it", name);
		return 0;
	}
	name = tag_of(e, id, name, have, &image, err);
	if (!image || dm_engine_escape(name ? name : id, escaped, sizeof(escaped), err))
		goto out;
	o = json_pack("{s:s, s:s*}", "id", id, "name", name);
	text = dm_json_text(o, err);
	snprintf(path, sizeof(path), "/images/%s/get", escaped);
	if (!text || dm_writer_data(w, DM_IMAGE_BEGIN, text, strlen(text), err) ||
	    dm_engine_download(e, path, on_bytes, &s, err) ||
	    dm_writer_data(w, DM_IMAGE_END, NULL, 0, err))
		goto out;
	dm_num_human(s.bytes, size, sizeof(size));
	dm_say("image %s: %s in %.2f s", name ? name : id, size, dm_now() - start);
	ret = 0;
out:
	free(text);
	json_decref(o);
	json_decref(image);
	return ret;
}
