/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/receive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/json.h"
#include "base/num.h"
#include "container/have.h"
#include "files/apply.h"
#include "handover/receipt.h"
#include "restore/image.h"
#include "restore/places.h"
#include "restore/saved.h"
#include "restore/store.h"
#include "stream/reader.h"

struct dm_receive {
	struct dm_engine *engine;
	const struct dm_receive_opts *opts;
	struct dm_received got;
	char stage[PATH_MAX], name[32 + DM_STREAM_ID], images[PATH_MAX + 160];
	int stage_fd, dir; /* the folder for all migrations, and this one's */
	json_t *config;
	struct dm_image_load *image;
	struct dm_apply *apply;
	int tree; /* the folder that apply works in */
	struct dm_store *store;
	enum dm_segment_kind kind; /* of the segment at hand */
	struct dm_places *places;
};

struct dm_receive *dm_receive_new(struct dm_engine *e, const struct dm_receive_opts *o,
				  struct dm_err *err)
{
	struct dm_receive *r = calloc(1, sizeof(*r));

	if (!r) {
		dm_fail_errno(err, "allocate receiver");
		return NULL;
	}
	r->engine = e;
	r->opts = o;
	r->stage_fd = r->dir = r->tree = -1;
	r->places = dm_places_new(e, err);
	if (r->places)
		r->got.container = dm_places_container(r->places);
	if (snprintf(r->stage, sizeof(r->stage), "%s", o->stage) >= (int)sizeof(r->stage))
		dm_fail(err, DM_USAGE, "--stage: path too long");
	else if (r->places)
		r->stage_fd = dm_dir_make(o->stage, err);
	if (r->stage_fd < 0) {
		dm_receive_free(r);
		return NULL;
	}
	return r;
}

/* The first head tells whose stream this is. */
static int on_segment(void *ctx, const struct dm_segment *s, struct dm_err *err)
{
	struct dm_receive *r = ctx;
	char path[PATH_MAX + 128];
	json_t *hello;
	int ret;

	r->kind = s->kind;
	if (s->number > 0)
		return 0;
	if (!dm_record_id_ok(s->id))
		return dm_fail(err, DM_BAD_STREAM, "stream: its migration id is not allowed");
	if (s->flags & DM_SAVED && dm_saved_check(s->id, r->opts->saved, err))
		return -1;
	r->got.record = dm_record_open(DM_TARGET, s->id, true, err);
	if (!r->got.record || dm_record_lock(r->got.record, 1, false, err))
		goto fail;
	hello = dm_receipt_hello(r->got.record, s->id, dm_have_versions(r->engine), err);
	if (!hello)
		goto fail;
	ret = dm_receipt_print(hello, err);
	json_decref(hello);
	if (ret)
		return -1;
	snprintf(r->name, sizeof(r->name), "stage-%s", s->id);
	snprintf(path, sizeof(path), "%s/%s", r->stage, r->name);
	snprintf(r->images, sizeof(r->images), "%s/images", path);
	if (dm_dir_remove(r->stage_fd, r->name, err))
		return -1;
	r->dir = dm_dir_make(path, err);
	if (r->dir < 0)
		return -1;
	r->store = dm_store_new(r->dir, s->seed, err);
	return r->store ? 0 : -1;

fail: /* the record is another run's: it must not be touched */
	dm_record_close(r->got.record);
	r->got.record = NULL;
	return -1;
}

static int check_room(struct dm_receive *r, struct dm_err *err)
{
	uint64_t need = (uint64_t)dm_json_int(r->config, "memory", 0), room = dm_dir_room(r->dir);
	char a[32], b[32];

	need += need / 8 + (64 << 20);
	dm_num_human(need, a, sizeof(a));
	dm_num_human(room, b, sizeof(b));
	if (room < need)
		return dm_fail(err, DM_UNFIT,
			       "%s: %s are needed for the memory, and %s are left "
			       "(--stage names another folder)",
			       r->stage, a, b);
	/* the processes need it once more, when what is staged lies in memory, too */
	if (dm_dir_in_memory(r->dir))
		need *= 2;
	room = dm_have_memory();
	dm_num_human(need, a, sizeof(a));
	dm_num_human(room, b, sizeof(b));
	if (room < need)
		return dm_fail(err, DM_UNFIT, "memory: the container needs %s, and %s are left", a,
			       b);
	return 0;
}

static int on_config(void *ctx, const char *text, size_t len, struct dm_err *err)
{
	struct dm_receive *r = ctx;

	r->config = dm_json_parse(text, len, "the container's document", err);
	if (!r->config || !json_is_object(json_object_get(r->config, "inspect"))) {
		if (r->config)
			dm_fail(err, DM_BAD_STREAM, "the container's document is incomplete");
		err->code = DM_BAD_STREAM;
		return -1;
	}
	if (dm_json_int(r->config, "format", 0) != 1)
		return dm_fail(err, DM_BAD_STREAM,
			       "the container's document has format %lld, not 1",
			       dm_json_int(r->config, "format", 0));
	r->got.config = r->config;
	return check_room(r, err);
}

static int on_image(void *ctx, enum dm_record_type type, const char *data, size_t len,
		    struct dm_err *err)
{
	struct dm_receive *r = ctx;
	struct dm_image_load *l = r->image;

	if (type == DM_IMAGE_BEGIN) {
		r->image = dm_image_load_begin(data, len, err);
		return r->image ? 0 : -1;
	}
	if (type == DM_IMAGE_DATA)
		return dm_image_load_data(l, data, len, err);
	r->image = NULL;
	return dm_image_load_end(l, err);
}

static int begin_tree(struct dm_receive *r, const char *data, size_t len, struct dm_err *err)
{
	json_t *tree = dm_json_parse(data, len, "a tree's document", err);

	if (!tree) {
		err->code = DM_BAD_STREAM;
		return -1;
	}
	if (!r->got.container->id[0] && dm_places_make(r->places, r->config, r->got.record, err))
		goto fail;
	r->tree = dm_places_open(r->places, tree, err);
	if (r->tree < 0)
		goto fail;
	r->apply = dm_apply_new(r->tree,
				dm_json_str(tree, "volume", NULL) || dm_json_str(tree, "bind", NULL)
					? DM_TREE_PLAIN
					: DM_TREE_UPPER,
				err);
fail:
	json_decref(tree);
	return r->apply ? 0 : -1;
}

static int on_tree(void *ctx, enum dm_record_type type, const char *data, size_t len,
		   struct dm_err *err)
{
	struct dm_receive *r = ctx;
	struct dm_apply *a = r->apply;
	int ret;

	if (type == DM_TREE_BEGIN)
		return begin_tree(r, data, len, err);
	if (type == DM_TREE_DATA)
		return dm_apply_data(a, data, len, err);
	r->apply = NULL;
	ret = dm_apply_end(a, NULL, err);
	close(r->tree);
	r->tree = -1;
	return ret;
}

static int on_round_begin(void *ctx, uint32_t number, struct dm_err *err)
{
	struct dm_receive *r = ctx;

	(void)number;
	return dm_store_round(r->store, r->kind == DM_FINAL, err);
}

static int on_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count, const void *bytes,
		    struct dm_err *err)
{
	struct dm_receive *r = ctx;

	return dm_store_pages(r->store, o, addr, count, bytes, err);
}

static int on_file(void *ctx, const char *name, uint64_t offset, const void *bytes, size_t len,
		   struct dm_err *err)
{
	struct dm_receive *r = ctx;

	return dm_store_file(r->store, name, offset, bytes, len, err);
}

static int on_object(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err)
{
	struct dm_receive *r = ctx;

	return dm_store_object(r->store, o, runs, n, err);
}

static int on_digest(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages, struct dm_err *err)
{
	struct dm_receive *r = ctx;

	return dm_store_finish(r->store, digest, pages, err);
}

int dm_receive_run(struct dm_receive *r, int fd, struct dm_err *err)
{
	static const struct dm_stream_ops ops = {
		.segment = on_segment,
		.config = on_config,
		.image = on_image,
		.tree = on_tree,
		.round_begin = on_round_begin,
		.pages = on_pages,
		.file = on_file,
		.object = on_object,
		.digest = on_digest,
	};

	if (dm_stream_read(fd, &ops, r, err))
		return -1;
	/* a container whose layer never came has not been made */
	if (!r->got.container->id[0])
		return dm_fail(err, DM_BAD_STREAM, "the stream has no writable layer");
	r->got.images = r->images;
	return 0;
}

const struct dm_received *dm_receive_get(const struct dm_receive *r)
{
	return &r->got;
}

void dm_receive_undo(struct dm_receive *r)
{
	/* nothing may be put any more into what is being removed */
	dm_apply_abort(r->apply);
	r->apply = NULL;
	dm_image_load_abort(r->image);
	r->image = NULL;
	dm_places_undo(r->places);
}

void dm_receive_free(struct dm_receive *r)
{
	struct dm_err err;

	if (!r)
		return;
	dm_image_load_abort(r->image);
	dm_apply_abort(r->apply);
	if (r->tree >= 0)
		close(r->tree);
	dm_store_free(r->store);
	if (r->dir >= 0) {
		close(r->dir);
		if (r->opts->keep)
			dm_say("CRIU's images are kept in %s/%s", r->stage, r->name);
		else if (dm_dir_remove(r->stage_fd, r->name, &err))
			dm_say("%s/%s is left behind: %s", r->stage, r->name, err.msg);
	}
	if (r->stage_fd >= 0)
		close(r->stage_fd);
	dm_record_close(r->got.record);
	json_decref(r->config);
	dm_places_free(r->places);
	free(r);
}
