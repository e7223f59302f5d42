/* SPDX-License-Identifier: Apache-2.0 */
/* The migration stream: any bytes into the text dump, and into a consumer that touches all. */
#include <ctype.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <string.h>

#include "records.h"
#include "stream/dump.h"
#include "stream/reader.h"

FUZZ_FORMAT(fuzz_records)

/* What a consumer has been told so far. */
struct heard {
	uint32_t segments;
	unsigned open; /* the group that is open */
	bool final, digest, last;
};

static void touch(struct heard *h, const void *p, size_t n)
{
	HOLDS(!h->last && !__asan_region_is_poisoned((void *)(uintptr_t)p, n));
}

static int on_segment(void *ctx, const struct dm_segment *s, struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	HOLDS(s->number == h->segments++ && s->id[0] && strlen(s->id) <= DM_STREAM_ID);
	HOLDS((s->number == 0) == (s->kind == DM_SETUP) && !h->open);
	touch(h, s, sizeof(*s));
	h->final = h->final || s->kind == DM_FINAL;
	return 0;
}

static int on_config(void *ctx, const char *json, size_t len, struct dm_err *err)
{
	(void)err;
	touch(ctx, json, len);
	return 0;
}

static int on_group(void *ctx, enum dm_record_type type, const char *data, size_t len,
		    struct dm_err *err)
{
	struct heard *h = ctx;
	bool image = type <= DM_IMAGE_END;
	unsigned begin = image ? DM_IMAGE_BEGIN : DM_TREE_BEGIN;

	(void)err;
	HOLDS(h->open == (type == begin ? 0 : begin));
	h->open = type == begin + 2 ? 0 : begin;
	touch(h, data, len);
	return 0;
}

static int on_round_begin(void *ctx, uint32_t number, struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	HOLDS(!h->open);
	h->open = DM_ROUND_BEGIN;
	touch(h, &number, sizeof(number));
	return 0;
}

static int on_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count, const void *bytes,
		    struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	HOLDS(h->open == DM_ROUND_BEGIN && (o.kind == DM_PROCESS || o.kind == DM_SHMEM));
	HOLDS(count && addr % DM_PAGE == 0 && addr + (uint64_t)count * DM_PAGE > addr);
	touch(h, bytes, bytes ? (size_t)count * DM_PAGE : 0);
	return 0;
}

static int on_round_end(void *ctx, const struct dm_counts *c, struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	HOLDS(h->open == DM_ROUND_BEGIN);
	h->open = 0;
	touch(h, c, sizeof(*c));
	return 0;
}

static int on_file(void *ctx, const char *name, uint64_t offset, const void *bytes, size_t len,
		   struct dm_err *err)
{
	(void)err;
	HOLDS(name[0] && name[0] != '.' && !strchr(name, '/') && offset + len <= INT64_MAX);
	touch(ctx, bytes, len);
	return 0;
}

static int on_object(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err)
{
	(void)err;
	HOLDS(o.kind == DM_PROCESS || o.kind == DM_SHMEM);
	for (size_t i = 0; i < n; i++) {
		HOLDS(runs[i].pages && runs[i].addr % DM_PAGE == 0);
		HOLDS(i == 0 || runs[i].addr >= runs[i - 1].addr + runs[i - 1].pages * DM_PAGE);
	}
	touch(ctx, runs, n * sizeof(*runs));
	return 0;
}

static int on_digest(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages, struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	(void)pages;
	HOLDS(h->final && !h->digest);
	h->digest = true;
	touch(h, digest, DM_DIGEST);
	return 0;
}

static int on_end(void *ctx, const struct dm_segment *s, const struct dm_counts *c, bool last,
		  struct dm_err *err)
{
	struct heard *h = ctx;

	(void)err;
	HOLDS(s->number + 1 == h->segments && !h->open && (!last || h->digest));
	touch(h, c, sizeof(*c));
	h->last = last;
	return 0;
}

static const struct dm_stream_ops ops = {
	.segment = on_segment,
	.config = on_config,
	.image = on_group,
	.tree = on_group,
	.round_begin = on_round_begin,
	.pages = on_pages,
	.round_end = on_round_end,
	.file = on_file,
	.object = on_object,
	.digest = on_digest,
	.end = on_end,
};

/* Returns whether the text dump took it for a whole stream. */
static bool dump(const uint8_t *data, size_t size)
{
	struct dm_err err = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int ret;

	HOLDS(out);
	ret = dm_stream_dump(fuzz_fd(data, size), out, &err);
	HOLDS(fclose(out) == 0);
	HOLDS(ret == 0 || (err.code == DM_BAD_STREAM && err.msg[0]));
	for (size_t i = 0; i < len; i++)
		HOLDS(text[i] == '\n' || isprint((unsigned char)text[i]));
	free(text);
	return ret == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dm_err err = {0};
	struct heard h = {0};
	bool whole = dump(data, size);
	int ret = dm_stream_read(fuzz_fd(data, size), &ops, &h, &err);

	HOLDS(ret == 0 ? h.last : err.code == DM_BAD_STREAM && err.msg[0]);
	HOLDS(fuzz_lent == 0);
	HOLDS(!whole || ret == 0); /* the dump also wants the container's document to be JSON */
	return 0;
}
