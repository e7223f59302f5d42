/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/dump.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "stream/reader.h"

struct dump {
	FILE *out;
	uint64_t data;		    /* bytes of the image or tree at hand */
	uint64_t pages, zeros;	    /* of the round at hand */
	char file[DM_NAME_MAX + 1]; /* whose pieces are coming */
	uint64_t file_bytes;
	struct dm_object object;
	uint64_t object_pages, object_runs;
};

static const char *kind_name(enum dm_segment_kind k)
{
	switch (k) {
	case DM_SETUP:
		return "setup";
	case DM_ROUNDS:
		return "rounds";
	case DM_DELTA:
		return "delta";
	case DM_FINAL:
		return "final";
	}
	return "?";
}

static void hex(FILE *out, const uint8_t digest[DM_DIGEST])
{
	for (int i = 0; i < DM_DIGEST; i++)
		fprintf(out, "%02x", digest[i]);
}

/* Names come from containers: a terminal must not be fed with them raw. */
static void plain(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc(isprint((unsigned char)*s) ? *s : '?', out);
}

/* Pieces of a file, and records of an object, are told in one line when the next thing begins. */
static void settle(struct dump *d)
{
	if (d->file[0])
		fprintf(d->out, "  file %s %" PRIu64 " bytes\n", d->file, d->file_bytes);
	d->file[0] = '\0';
	d->file_bytes = 0;
	if (d->object.kind)
		fprintf(d->out, "  object %s %" PRIu64 ": %" PRIu64 " pages in %" PRIu64 " runs\n",
			d->object.kind == DM_PROCESS ? "process" : "shmem", d->object.id,
			d->object_pages, d->object_runs);
	d->object.kind = 0;
	d->object_pages = d->object_runs = 0;
}

static int on_segment(void *ctx, const struct dm_segment *s, struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	fprintf(d->out, "segment %u %s id ", s->number, kind_name(s->kind));
	plain(d->out, s->id);
	fprintf(d->out, "%s after ", s->flags & DM_SAVED ? " saved" : "");
	hex(d->out, s->before);
	fputc('\n', d->out);
	return 0;
}

static int on_config(void *ctx, const char *json, size_t len, struct dm_err *err)
{
	struct dump *d = ctx;
	json_t *o = dm_json_parse(json, len, "container document", err);

	if (!o) {
		err->code = DM_BAD_STREAM;
		return -1;
	}
	fprintf(d->out, "  container ");
	plain(d->out, dm_json_str(o, "inspect.Name", "?"));
	fprintf(d->out, " ");
	plain(d->out, dm_json_str(o, "inspect.Id", "?"));
	fprintf(d->out, " image ");
	plain(d->out, dm_json_str(o, "inspect.Image", "?"));
	fputc('\n', d->out);
	json_decref(o);
	return 0;
}

static int on_group(struct dump *d, const char *what, int step, const char *data, size_t len)
{
	char size[32];

	if (step == 0) {
		d->data = 0;
		fprintf(d->out, "  %s ", what);
		for (size_t i = 0; i < len; i++)
			fputc(isprint((unsigned char)data[i]) ? data[i] : '?', d->out);
		fputc('\n', d->out);
	} else if (step == 1) {
		d->data += len;
	} else {
		dm_num_human(d->data, size, sizeof(size));
		fprintf(d->out, "  end of %s: %" PRIu64 " bytes (%s)\n", what, d->data, size);
	}
	return 0;
}

static int on_image(void *ctx, enum dm_record_type type, const char *data, size_t len,
		    struct dm_err *err)
{
	(void)err;
	return on_group(ctx, "image", (int)type - DM_IMAGE_BEGIN, data, len);
}

static int on_tree(void *ctx, enum dm_record_type type, const char *data, size_t len,
		   struct dm_err *err)
{
	(void)err;
	return on_group(ctx, "tree", (int)type - DM_TREE_BEGIN, data, len);
}

static int on_round_begin(void *ctx, uint32_t number, struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	settle(d);
	d->pages = d->zeros = 0;
	fprintf(d->out, "  round %u\n", number);
	return 0;
}

static int on_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count, const void *bytes,
		    struct dm_err *err)
{
	struct dump *d = ctx;

	(void)o;
	(void)addr;
	(void)err;
	if (bytes)
		d->pages += count;
	else
		d->zeros += count;
	return 0;
}

static int on_round_end(void *ctx, const struct dm_counts *c, struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	fprintf(d->out,
		"  end of round: %" PRIu64 " pages seen, %" PRIu64 " sent (%" PRIu64
		" with bytes, %" PRIu64 " of zeros)\n",
		c->records, c->bytes, d->pages, d->zeros);
	return 0;
}

static int on_file(void *ctx, const char *name, uint64_t offset, const void *bytes, size_t len,
		   struct dm_err *err)
{
	struct dump *d = ctx;

	(void)offset;
	(void)bytes;
	(void)err;
	if (strcmp(name, d->file)) {
		settle(d);
		snprintf(d->file, sizeof(d->file), "%s", name);
	}
	d->file_bytes += len;
	return 0;
}

static int on_object(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	if (o.kind != d->object.kind || o.id != d->object.id)
		settle(d);
	d->object = o;
	d->object_runs += n;
	for (size_t i = 0; i < n; i++)
		d->object_pages += runs[i].pages;
	return 0;
}

static int on_digest(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages, struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	settle(d);
	fprintf(d->out, "  final state: %" PRIu64 " pages, digest ", pages);
	hex(d->out, digest);
	fputc('\n', d->out);
	return 0;
}

static int on_end(void *ctx, const struct dm_segment *s, const struct dm_counts *c, bool last,
		  struct dm_err *err)
{
	struct dump *d = ctx;

	(void)err;
	settle(d);
	fprintf(d->out, "end %u: %" PRIu64 " records, %" PRIu64 " bytes%s\n", s->number, c->records,
		c->bytes, last ? ", last" : "");
	return 0;
}

int dm_stream_dump(int fd, FILE *out, struct dm_err *err)
{
	static const struct dm_stream_ops ops = {
		.segment = on_segment,
		.config = on_config,
		.image = on_image,
		.tree = on_tree,
		.round_begin = on_round_begin,
		.pages = on_pages,
		.round_end = on_round_end,
		.file = on_file,
		.object = on_object,
		.digest = on_digest,
		.end = on_end,
	};
	struct dump d = {.out = out};

	return dm_stream_read(fd, &ops, &d, err);
}
