/* SPDX-License-Identifier: Apache-2.0 */
#include "source/estimate.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/num.h"
#include "files/walk.h"

/* The image's size, or 0 when the target has it. */
static int image_size(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		      uint64_t *size, struct dm_err *err)
{
	const char *id = dm_json_str(c->inspect, "Image", "");
	char escaped[512], path[600];
	json_t *image;

	*size = 0;
	if (dm_json_lists(have, "images", id))
		return 0;
	if (dm_engine_escape(id, escaped, sizeof(escaped), err))
		return -1;
	snprintf(path, sizeof(path), "/images/%s/json", escaped);
	if (dm_engine_do(e, "GET", path, NULL, 60, &image, err))
		return -1;
	*size = (uint64_t)dm_json_int(image, "Size", 0);
	json_decref(image);
	return 0;
}

/* One tree, added to list; its bytes are added to *total. */
static int add_tree(json_t *list, const char *name, const char *path, bool upper, uint64_t *total,
		    struct dm_err *err)
{
	struct dm_pack_opts opts = {.upper = upper};
	struct dm_pack_stats stats = {0};
	struct dm_manifest *m = dm_manifest_new(err);
	uint64_t bytes = 0;
	int ret = -1, root;

	root = m ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (m && root < 0)
		dm_fail_errno(err, "open %s", path);
	if (root < 0 || dm_walk(&opts, root, m, &stats, err))
		goto out;
	for (uint32_t i = 0; i < m->count; i++)
		if (S_ISREG(m->file[i].mode))
			bytes += m->file[i].size;
	*total += bytes;
	json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", name, "entries",
					      (json_int_t)m->count, "bytes", (json_int_t)bytes));
	ret = 0;
out:
	if (root >= 0)
		close(root);
	dm_manifest_free(m);
	return ret;
}

json_t *dm_estimate(struct dm_engine *e, const struct dm_container *c, const json_t *have,
		    struct dm_err *err)
{
	json_t *files = json_array();
	uint64_t image, memory, total = 0;
	struct dm_tasks tasks;
	struct dm_volume v;
	char what[300];

	if (dm_tasks_list(&c->cgroup, &tasks, err))
		goto fail;
	memory = dm_tasks_memory(&tasks);
	dm_tasks_free(&tasks);
	if (image_size(e, c, have, &image, err) ||
	    add_tree(files, "layer", c->upper, true, &total, err))
		goto fail;
	for (size_t i = 0; dm_container_volume(c->inspect, i, &v); i++) {
		snprintf(what, sizeof(what), "volume %s", v.name);
		if (add_tree(files, what, v.source, false, &total, err))
			goto fail;
	}
	return json_pack("{s:I, s:I, s:o, s:I}", "memory", (json_int_t)memory, "image",
			 (json_int_t)image, "files", files, "total",
			 (json_int_t)(total + image + memory));

fail:
	json_decref(files);
	return NULL;
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
