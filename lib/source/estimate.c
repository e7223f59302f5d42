/* SPDX-License-Identifier: Apache-2.0 */
#include "source/estimate.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/num.h"
#include "container/layers.h"
#include "files/walk.h"
#include "source/image.h"
#include "source/trees.h"

/*
 * The bytes of the n lowest of all layers, at least. The engine tells the sizes in the order of the
 * image's history, with 0 both for an empty layer and for a step without one.
 */
static uint64_t shared_size(const json_t *history, size_t all, size_t n)
{
	uint64_t size, sum = 0;
	size_t steps = 0, unclear;

	for (size_t i = 0; i < json_array_size(history); i++)
		steps += dm_json_int(json_array_get(history, i), "Size", 0) > 0;
	unclear = all > steps ? all - steps : 0; /* they may all be among the lowest */
	n = n > unclear ? n - unclear : 0;
	for (size_t i = json_array_size(history); i-- > 0 && n;) {
		size = (uint64_t)dm_json_int(json_array_get(history, i), "Size", 0);
		sum += size;
		n -= size > 0;
	}
	return sum;
}

/* The bytes of the image that the target lacks, at most. */
static int image_size(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		      uint64_t *size, struct dm_err *err)
{
	const char *id = dm_json_str(c->inspect, "Image", "");
	json_t *image, *history = NULL;
	uint64_t whole, shared;
	const json_t *layers;
	char path[600];
	size_t n;
	int ret = -1;

	*size = 0;
	if (dm_json_lists(have, "images", id))
		return 0;
	image = dm_image_inspect(e, c, err);
	if (!image)
		return -1;
	whole = (uint64_t)dm_json_int(image, "Size", 0);
	layers = dm_json_at(image, "RootFS.Layers");
	n = dm_layers_shared(json_object_get(have, "layers"), layers);
	snprintf(path, sizeof(path), "/images/%s/history", id);
	if (n && dm_engine_do(e, "GET", path, NULL, 60, &history, err))
		goto out;
	shared = shared_size(history, json_array_size(layers), n);
	*size = shared < whole ? whole - shared : 0;
	ret = 0;
out:
	json_decref(history);
	json_decref(image);
	return ret;
}

/* One tree, added to list; its bytes are added to *total. */
static int add_tree(json_t *list, const json_t *tree, uint64_t *total, struct dm_err *err)
{
	struct dm_pack_opts opts = {.upper = !strcmp(dm_json_str(tree, "tree", ""), "layer")};
	const char *path = dm_json_str(tree, "path", "");
	char name[300];
	struct dm_pack_stats stats = {0};
	struct dm_manifest *m = dm_manifest_new(err);
	uint64_t bytes = 0;
	int ret = -1, root;

	root = m ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (m && root < 0)
		dm_fail_errno(err, "open %s", path);
	if (root < 0 || dm_walk(&opts, root, m, &stats, err))
		goto out;
	for (uint32_t i = 0; i < m->count; i++)
		if (S_ISREG(m->file[i].mode))
			bytes += m->file[i].size;
	*total += bytes;
	json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name",
					      dm_trees_name(tree, name, sizeof(name)), "entries",
					      (json_int_t)m->count, "bytes", (json_int_t)bytes));
	ret = 0;
out:
	if (root >= 0)
		close(root);
	dm_manifest_free(m);
	return ret;
}

json_t *dm_estimate(struct dm_engine *e, const struct dm_container *c,
		    const struct dm_fit_opts *opts, const json_t *have, struct dm_err *err)
{
	json_t *files = json_array(), *trees = dm_trees_list(c, opts), *tree;
	uint64_t image, memory, total = 0;
	struct dm_tasks tasks;
	size_t i;

	if (dm_tasks_list(&c->cgroup, &tasks, err))
		goto fail;
	memory = dm_tasks_memory(&tasks);
	dm_tasks_free(&tasks);
	if (image_size(e, c, have, &image, err))
		goto fail;
	json_array_foreach(trees, i, tree)
	{
		if (add_tree(files, tree, &total, err))
			goto fail;
	}
	json_decref(trees);
	return json_pack("{s:I, s:I, s:o, s:I}", "memory", (json_int_t)memory, "image",
			 (json_int_t)image, "files", files, "total",
			 (json_int_t)(total + image + memory));

fail:
	json_decref(files);
	json_decref(trees);
	return NULL;
}

static void need(json_t *list, const json_t *have, const char *key, const char *what, uint64_t n,
		 bool bytes)
{
	const json_t *v = dm_json_at(have, key);
	char line[200], a[32], b[32];
	uint64_t left = (uint64_t)json_integer_value(v);

	if (!v || left >= n)
		return;
	dm_num_human(n, a, sizeof(a));
	dm_num_human(left, b, sizeof(b));
	if (bytes)
		snprintf(line, sizeof(line), "the target's %s: %s are needed, and %s are left",
			 what, a, b);
	else
		snprintf(line, sizeof(line),
			 "the target's %s: %" PRIu64 " are needed, and %" PRIu64 " are left", what,
			 n, left);
	json_array_append_new(list, json_string(line));
}

void dm_estimate_room(const json_t *estimate, const json_t *have, json_t *list)
{
	uint64_t memory = (uint64_t)dm_json_int(estimate, "memory", 0), entries = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(estimate, "files"), i, v)
	{
		entries += (uint64_t)dm_json_int(v, "entries", 0);
	}
	need(list, have, "disk.bytes", "disk", (uint64_t)dm_json_int(estimate, "total", 0) - memory,
	     true);
	/* some file systems count no inodes */
	if (dm_json_int(have, "disk.inodes", 0) > 0)
		need(list, have, "disk.inodes", "inodes", entries, false);
	need(list, have, "room", "staging folder", memory + memory / 8, true);
	need(list, have, "memory", "memory", memory + memory / 8, true);
}

static const char *human(const json_t *o, const char *key, char out[32])
{
	dm_num_human((uint64_t)dm_json_int(o, key, 0), out, 32);
	return out;
}

void dm_estimate_say(const struct dm_container *c, const json_t *estimate)
{
	char size[32];
	const json_t *v;
	size_t i;

	dm_say("would send: memory %s, and again what changes of it",
	       human(estimate, "memory", size));
	if (dm_json_int(estimate, "image", 0))
		dm_say("would send: image %s, %s", dm_json_str(c->inspect, "Config.Image", "?"),
		       human(estimate, "image", size));
	json_array_foreach(json_object_get(estimate, "files"), i, v)
	{
		dm_say("would send: %s, %lld entries, %s", dm_json_str(v, "name", "?"),
		       dm_json_int(v, "entries", 0), human(v, "bytes", size));
	}
	dm_say("would send: %s in all, before it is packed", human(estimate, "total", size));
}
