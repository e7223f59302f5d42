/* SPDX-License-Identifier: Apache-2.0 */
#include "source/trees.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "files/pack.h"
#include "source/mapped.h"

static int on_bytes(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct dm_stage *s = ctx;

	return dm_writer_data(s->writer, DM_TREE_DATA, bytes, len, err);
}

json_t *dm_trees_list(const struct dm_container *c, const struct dm_fit_opts *o)
{
	json_t *list = json_array();
	struct dm_volume v;
	struct dm_bind b;

	json_array_append_new(list, json_pack("{s:s, s:s}", "tree", "layer", "path", c->upper));
	for (size_t i = 0; dm_container_volume(c->inspect, i, &v); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "tree", "volume", "volume",
						      v.name, "path", v.source));
	for (size_t i = 0; dm_binds_get(&o->binds, c->inspect, i, &b); i++)
		if (b.mode == DM_BIND_COPY)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "tree", "bind",
							      "bind", b.source, "path", b.source));
	return list;
}

const char *dm_trees_name(const json_t *tree, char *out, size_t size)
{
	const char *kind = dm_json_str(tree, "tree", "?"), *name = dm_json_str(tree, kind, NULL);

	snprintf(out, size, "%s%s%s", kind, name ? " " : "", name ? name : "");
	return out;
}

static int begin(struct dm_stage *s, const json_t *tree, bool delta, struct dm_err *err)
{
	const char *kind = dm_json_str(tree, "tree", "?");
	json_t *o = json_pack("{s:s, s:b}", "tree", kind, "delta", delta);
	char *text;
	int ret = -1;

	if (json_object_get(tree, kind))
		json_object_set(o, kind, json_object_get(tree, kind));
	text = dm_json_text(o, err);
	if (text)
		ret = dm_writer_data(s->writer, DM_TREE_BEGIN, text, strlen(text), err);
	free(text);
	json_decref(o);
	return ret;
}

static void say(const char *what, const struct dm_pack_stats *st, double seconds)
{
	char size[32];

	dm_num_human(st->bytes, size, sizeof(size));
	dm_say("%s: %" PRIu64 " entries, %" PRIu64 " sent, %" PRIu64 " deleted, %s in %.2f s", what,
	       st->entries, st->sent, st->deleted, size, seconds);
	if (st->sockets)
		dm_say("%s: %" PRIu64 " sockets left out", what, st->sockets);
}

/* One tree; number names its manifest. */
static int send_tree(struct dm_stage *s, const json_t *tree, size_t number, bool delta,
		     struct dm_pack_opts *opts, struct dm_err *err)
{
	const char *path = dm_json_str(tree, "path", "");
	struct dm_manifest *old = NULL, *now = NULL;
	int dir = dm_record_dir(s->record), root, ret = -1;
	struct dm_pack_stats stats = {0};
	double start = dm_now();
	char name[32], what[300];

	opts->upper = !strcmp(dm_json_str(tree, "tree", ""), "layer");
	snprintf(name, sizeof(name), "manifest-%zu", number);
	dm_trees_name(tree, what, sizeof(what));
	/* what the engine mounts may be named by a link, what it made itself may not */
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				  (json_object_get(tree, "bind") ? 0 : O_NOFOLLOW));
	if (root < 0)
		return dm_fail_errno(err, "open %s of %s", path, what);
	if (delta && !(old = dm_manifest_load(dir, name, err)))
		goto out;
	if (begin(s, tree, delta, err) ||
	    dm_pack_tree(opts, root, old, &now, on_bytes, s, &stats, err) ||
	    dm_writer_data(s->writer, DM_TREE_END, NULL, 0, err))
		goto out;
	/* after the frozen pass there is no other */
	if (!opts->frozen && dm_manifest_save(now, dir, name, err))
		goto out;
	say(what, &stats, dm_now() - start);
	ret = 0;
out:
	if (ret)
		dm_fail_prefix(err, "%s", what);
	dm_manifest_free(old);
	dm_manifest_free(now);
	close(root);
	return ret;
}

int dm_trees_send(struct dm_stage *s, const struct dm_container *c, bool delta, bool frozen,
		  struct dm_err *err)
{
	struct dm_pack_opts opts = {.frozen = frozen};
	struct dm_mapped *mapped = NULL;
	json_t *trees = NULL, *tree;
	size_t i;
	int ret = -1;

	if (dm_record_find(s->record, "trees", &trees, err) != 1)
		return dm_fail(err, DM_FAILURE, "migration %s: its journal lists no trees",
			       s->segment.id);
	if (frozen) {
		mapped = dm_mapped_find(c, err);
		if (!mapped)
			goto out;
		opts.always = dm_mapped_has;
		opts.always_ctx = mapped;
	}
	ret = 0;
	json_array_foreach(json_object_get(trees, "list"), i, tree)
	{
		ret = send_tree(s, tree, i, delta, &opts, err);
		if (ret)
			break;
	}
out:
	json_decref(trees);
	dm_mapped_free(mapped);
	return ret;
}
