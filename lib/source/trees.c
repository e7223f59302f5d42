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

static int begin(struct dm_stage *s, const char *volume, bool delta, struct dm_err *err)
{
	json_t *o = json_pack("{s:s, s:b}", "tree", volume ? "volume" : "layer", "delta", delta);
	char *text;
	int ret = -1;

	if (volume)
		json_object_set_new(o, "volume", json_string(volume));
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
static int send_tree(struct dm_stage *s, const char *path, const char *volume, size_t number,
		     bool delta, const struct dm_pack_opts *opts, struct dm_err *err)
{
	struct dm_manifest *old = NULL, *now = NULL;
	int dir = dm_record_dir(s->record), root, ret = -1;
	struct dm_pack_stats stats = {0};
	double start = dm_now();
	char name[32], what[300];

	snprintf(name, sizeof(name), "manifest-%zu", number);
	snprintf(what, sizeof(what), "%s%s", volume ? "volume " : "layer", volume ? volume : "");
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (root < 0)
		return dm_fail_errno(err, "open %s of %s", path, what);
	if (delta && !(old = dm_manifest_load(dir, name, err)))
		goto out;
	if (begin(s, volume, delta, err) ||
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
	struct dm_pack_opts opts = {.upper = true, .frozen = frozen};
	struct dm_mapped *mapped = NULL;
	struct dm_volume v;
	int ret;

	if (frozen) {
		mapped = dm_mapped_find(c, err);
		if (!mapped)
			return -1;
		opts.always = dm_mapped_has;
		opts.always_ctx = mapped;
	}
	ret = send_tree(s, c->upper, NULL, 0, delta, &opts, err);
	opts.upper = false;
	for (size_t i = 0; ret == 0 && dm_container_volume(c->inspect, i, &v); i++)
		ret = send_tree(s, v.source, v.name, i + 1, delta, &opts, err);
	dm_mapped_free(mapped);
	return ret;
}
