/* SPDX-License-Identifier: Apache-2.0 */
/* The migration stream: any bytes into the text dump, and into a consumer that touches all. */
#include <ctype.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/le.h"
#include "pieces.h"
#include "stream/dump.h"
#include "stream/reader.h"

/* A segment begins with its head; END and ABORT end it. state: 1 within a segment. */
static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	if (!*state) {
		*state = 1;
		return DM_HEAD_SIZE;
	}
	if (n < DM_RECORD_HEAD)
		return n;
	if (dm_get16(p) == DM_END || dm_get16(p) == DM_ABORT)
		*state = 0;
	return DM_RECORD_HEAD + (size_t)dm_get32(p + 4);
}

static void fit(uint8_t *p, size_t n)
{
	if (n >= DM_RECORD_HEAD && (n < 8 || memcmp(p, DM_STREAM_MAGIC, 8)))
		dm_put32(p + 4, (uint32_t)(n - DM_RECORD_HEAD));
}

struct sums {
	const uint8_t *first; /* head */
	uint8_t before[DM_DIGEST];
	uint32_t number;
	uint64_t records, bytes;
	XXH3_state_t *digest;
};

static void repair_head(struct sums *s, uint8_t *h, unsigned luck)
{
	if (luck % 16) {
		dm_put32(h + 16, s->number++);
		memcpy(h + 88, s->before, DM_DIGEST);
		if (s->first) {
			memcpy(h + 20, s->first + 20, 4 + DM_STREAM_ID);
			memcpy(h + 104, s->first + 104, 8);
		}
	}
	s->first = s->first ? s->first : h;
	dm_put64(h + 112, XXH3_64bits(h, 112));
	XXH3_128bits_reset(s->digest);
	XXH3_128bits_update(s->digest, h, DM_HEAD_SIZE);
	s->records = 0;
	s->bytes = DM_HEAD_SIZE;
}

static void repair_record(struct sums *s, uint8_t *p, size_t n)
{
	XXH128_canonical_t d;

	if (dm_get16(p) == DM_END && n == DM_RECORD_HEAD + 16 + DM_DIGEST) {
		XXH128_canonicalFromHash(&d, XXH3_128bits_digest(s->digest));
		memcpy(s->before, d.digest, DM_DIGEST);
		dm_put64(p + DM_RECORD_HEAD, s->records);
		dm_put64(p + DM_RECORD_HEAD + 8, s->bytes);
		memcpy(p + DM_RECORD_HEAD + 16, d.digest, DM_DIGEST);
	}
	dm_put64(p + 8, XXH3_64bits_withSeed(p + DM_RECORD_HEAD, n - DM_RECORD_HEAD,
					     dm_get64(p) + s->records));
	s->records++;
	s->bytes += n;
	XXH3_128bits_update(s->digest, p, n);
}

static void repair(uint8_t *data, size_t size, unsigned luck)
{
	struct sums s = {.digest = XXH3_createState()};
	unsigned state = 0;
	size_t n;

	for (size_t at = 0; at < size; at += n) {
		bool head = state == 0;

		n = length(data + at, size - at, &state);
		if (n > size - at || n < DM_RECORD_HEAD)
			break;
		if (head)
			repair_head(&s, data + at, luck);
		else
			repair_record(&s, data + at, n);
	}
	XXH3_freeState(s.digest);
}

static const struct fuzz_format format = {length, fit, repair, NULL};
FUZZ_FORMAT(format)

/*
 * The reader's two large buffers, which the linker's --wrap=malloc,free gives it: to make them anew
 * takes more time than all else. What lies behind the bytes of a record is poisoned, so that a
 * step over them is seen.
 */
enum { BEHIND = 64 << 10 };

static uint8_t payload[DM_PAYLOAD_MAX + BEHIND];
static struct dm_run run_list[DM_RUNS_MAX];
static int lent;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void __real_free(void *p);
void __wrap_free(void *p);
ssize_t __real_dm_read_full(int fd, void *buf, size_t len);
ssize_t __wrap_dm_read_full(int fd, void *buf, size_t len);

void *__wrap_malloc(size_t n)
{
	if (n != DM_PAYLOAD_MAX && n != sizeof(run_list))
		return __real_malloc(n);
	lent++;
	return n == sizeof(run_list) ? (void *)run_list : payload;
}

void __wrap_free(void *p)
{
	if (p == payload || p == run_list)
		lent--;
	else
		__real_free(p);
}

ssize_t __wrap_dm_read_full(int fd, void *buf, size_t len)
{
	static size_t last;

	if (buf != payload)
		return __real_dm_read_full(fd, buf, len);
	HOLDS(len <= DM_PAYLOAD_MAX);
	ASAN_UNPOISON_MEMORY_REGION(payload + last, BEHIND);
	ASAN_POISON_MEMORY_REGION(payload + len, BEHIND);
	last = len;
	return __real_dm_read_full(fd, buf, len);
}

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
	HOLDS(lent == 0);
	HOLDS(!whole || ret == 0); /* the dump also wants the container's document to be JSON */
	return 0;
}
