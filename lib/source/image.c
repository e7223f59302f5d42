/* SPDX-License-Identifier: Apache-2.0 */
#include "source/image.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "container/layers.h"
#include "source/sieve.h"

/* From this version on an engine's archives name a layer's file by the digest of its content. */
enum { NAMED_BY_DIGEST = 25 };

struct send {
	struct dm_engine *e;
	const char *id, *name; /* name NULL: it travels without one */
	char get[1100];	       /* path of the engine's archive */
	json_t *image;	       /* what the engine says of it */
	json_t *left_out;      /* digests of layers, and */
	json_t *files;	       /* their files in the archive, as keys */
	struct dm_writer *w;
	uint64_t bytes;
};

static int on_bytes(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct send *s = ctx;

	s->bytes += len;
	return dm_writer_data(s->w, DM_IMAGE_DATA, bytes, len, err);
}

json_t *dm_image_inspect(struct dm_engine *e, const struct dm_container *c, struct dm_err *err)
{
	char escaped[512], path[600];
	json_t *image;

	if (dm_engine_escape(dm_json_str(c->inspect, "Image", ""), escaped, sizeof(escaped), err))
		return NULL;
	snprintf(path, sizeof(path), "/images/%s/json", escaped);
	return dm_engine_do(e, "GET", path, NULL, 60, &image, err) ? NULL : image;
}

/* The tag that the container's image goes by on the target, or NULL: by its id alone. */
static const char *tag_of(const json_t *image, const char *name, const json_t *have)
{
	char full[300];
	const json_t *v;
	size_t i;

	snprintf(full, sizeof(full), "%s%s", name, strrchr(name, ':') ? "" : ":latest");
	json_array_foreach(json_object_get(image, "RepoTags"), i, v)
	{
		const char *tag = json_string_value(v);

		if (tag && (!strcmp(tag, name) || !strcmp(tag, full)) &&
		    !dm_json_lists(have, "tags", tag))
			return tag;
	}
	return NULL;
}

/* The files of the n layers in the engine's archive, whose table of contents comes last: all of it
 * has to be read. *files stays NULL when they are not told there. */
static int look_up(const struct send *s, size_t n, json_t **files, struct dm_err *err)
{
	struct dm_sieve *sieve = dm_sieve_new(NULL, NULL, NULL, err);
	json_t *all = NULL, *list;
	const json_t *v;
	const char *text;
	size_t len, i;
	int ret = -1;

	if (!sieve || dm_engine_download(s->e, s->get, dm_sieve_data, sieve, err))
		goto out;
	ret = 0;
	text = dm_sieve_manifest(sieve, &len);
	all = text ? json_loadb(text, len, 0, NULL) : NULL;
	list = json_object_get(json_array_get(all, 0), "Layers");
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			goto out;
	}
	if (json_array_size(all) == 1 && json_array_size(list) == n)
		*files = json_incref(list);
out:
	json_decref(all);
	dm_sieve_free(sieve);
	return ret;
}

/* Leave out the n lowest layers. One that comes again further up is needed for that place. */
static void leave_out(struct send *s, const json_t *layers, const json_t *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *layer = json_string_value(json_array_get(layers, i));
		const char *colon = layer ? strchr(layer, ':') : NULL;
		char path[200];
		size_t k = n;

		while (k < json_array_size(layers) &&
		       !json_equal(json_array_get(layers, k), json_array_get(layers, i)))
			k++;
		if (!colon || k < json_array_size(layers))
			continue;
		if (files)
			snprintf(path, sizeof(path), "%s",
				 json_string_value(json_array_get(files, i)));
		else
			snprintf(path, sizeof(path), "blobs/%.*s/%s", (int)(colon - layer), layer,
				 colon + 1);
		json_object_set_new(s->files, path, json_true());
		json_array_append(s->left_out, json_array_get(layers, i));
	}
}

/* Find out what need not be sent. */
static int choose(struct send *s, const json_t *have, struct dm_err *err)
{
	const json_t *layers = dm_json_at(s->image, "RootFS.Layers");
	size_t n = dm_layers_shared(json_object_get(have, "layers"), layers);
	bool by_digest = atoi(dm_engine_version(s->e)) >= NAMED_BY_DIGEST;
	json_t *files = NULL;

	if (n && !by_digest && look_up(s, json_array_size(layers), &files, err))
		return -1;
	if (by_digest || files)
		leave_out(s, layers, files, n);
	else if (n)
		dm_say("image %s: it is sent whole, since the engine's archive does not tell which "
		       "layer is where",
		       s->name ? s->name : s->id);
	json_decref(files);
	return 0;
}

/* The archive, and what it is. */
static int send_archive(struct send *s, size_t *dropped, struct dm_err *err)
{
	bool some = json_array_size(s->left_out) > 0;
	json_t *o = json_pack("{s:s, s:s*, s:O*}", "id", s->id, "name", s->name, "left_out",
			      some ? s->left_out : NULL);
	struct dm_sieve *sieve = dm_sieve_new(s->files, on_bytes, s, err);
	char *text = dm_json_text(o, err);
	int ret = -1;

	if (!sieve || !text || dm_writer_data(s->w, DM_IMAGE_BEGIN, text, strlen(text), err) ||
	    dm_engine_download(s->e, s->get, dm_sieve_data, sieve, err) ||
	    dm_sieve_end(sieve, err) || dm_writer_data(s->w, DM_IMAGE_END, NULL, 0, err))
		goto out;
	*dropped = dm_sieve_dropped(sieve);
	ret = 0;
out:
	dm_sieve_free(sieve);
	json_decref(o);
	free(text);
	return ret;
}

static void say_sent(const struct send *s, size_t dropped, double seconds)
{
	size_t n = json_array_size(s->left_out);
	const char *name = s->name ? s->name : s->id;
	char size[32];

	dm_num_human(s->bytes, size, sizeof(size));
	if (dropped)
		dm_say("image %s: %s in %.2f s, without %zu of its %zu layers", name, size, seconds,
		       n, json_array_size(dm_json_at(s->image, "RootFS.Layers")));
	else
		dm_say("image %s: %s in %.2f s%s", name, size, seconds,
		       n ? "; all of its layers, since the engine's archive names them otherwise"
			 : "");
}

int dm_image_send(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		  struct dm_writer *w, struct dm_err *err)
{
	const char *id = dm_json_str(c->inspect, "Image", "");
	const char *name = dm_json_str(c->inspect, "Config.Image", id);
	struct send s = {.e = e, .w = w, .id = id};
	double start = dm_now();
	char escaped[1024];
	size_t dropped;
	int ret = -1;

	if (dm_json_lists(have, "images", id)) {
		dm_say("image %s: the target has it", name);
		return 0;
	}
	s.left_out = json_array();
	s.files = json_object();
	s.image = dm_image_inspect(e, c, err);
	if (!s.image)
		goto out;
	s.name = tag_of(s.image, name, have);
	if (dm_engine_escape(s.name ? s.name : id, escaped, sizeof(escaped), err))
		goto out;
	snprintf(s.get, sizeof(s.get), "/images/%s/get", escaped);
	if (choose(&s, have, err) || send_archive(&s, &dropped, err))
		goto out;
	say_sent(&s, dropped, dm_now() - start);
	ret = 0;
out:
	json_decref(s.left_out);
	json_decref(s.files);
	json_decref(s.image);
	return ret;
}
