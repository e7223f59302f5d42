/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_TOOL_H
#define DM_STREAM_TOOL_H

/* Streams made by hand, byte by byte as stream/format.h draws them and without the library's
 * writer, so that wrong ones can be made, too; and a consumer that writes down what it is given. */

#include <inttypes.h>
#include <stdarg.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/le.h"
#include "stream/reader.h"
#include "tool.h"

struct raw {
	struct dm_buf b;
	size_t segment; /* where the one at hand begins */
	uint64_t records;
	uint32_t number;
	uint64_t seed;
	char id[DM_STREAM_ID + 1];
	uint8_t before[DM_DIGEST];
};

static inline void raw_put(struct raw *r, const void *p, size_t n)
{
	struct dm_err err;

	MUST(dm_buf_add(&r->b, p, n, &err) == 0);
}

static inline struct raw raw_new(const char *id, uint64_t seed)
{
	struct raw r = {.seed = seed};

	snprintf(r.id, sizeof(r.id), "%s", id);
	return r;
}

/* Put a head together; the caller may spoil it before raw_seal_head() gives it a checksum. */
static inline void raw_make_head(const struct raw *r, unsigned kind, uint8_t h[DM_HEAD_SIZE])
{
	memset(h, 0, DM_HEAD_SIZE);
	memcpy(h, "dmstream", 8);
	dm_put16(h + 8, 1);
	dm_put16(h + 10, (uint16_t)kind);
	dm_put32(h + 16, r->number);
	dm_put32(h + 20, (uint32_t)strlen(r->id));
	memcpy(h + 24, r->id, strlen(r->id));
	memcpy(h + 88, r->before, DM_DIGEST);
	dm_put64(h + 104, r->seed);
}

static inline void raw_seal_head(struct raw *r, uint8_t h[DM_HEAD_SIZE])
{
	dm_put64(h + 112, XXH3_64bits(h, 112));
	r->segment = r->b.len;
	r->records = 0;
	raw_put(r, h, DM_HEAD_SIZE);
}

static inline void raw_head(struct raw *r, unsigned kind)
{
	uint8_t h[DM_HEAD_SIZE];

	raw_make_head(r, kind, h);
	raw_seal_head(r, h);
}

/* A record whose head tells of len bytes, of which given follow. */
static inline void raw_cut_record(struct raw *r, unsigned type, unsigned flags, const void *p,
				  size_t len, size_t given)
{
	uint8_t h[DM_RECORD_HEAD];

	dm_put16(h, (uint16_t)type);
	dm_put16(h + 2, (uint16_t)flags);
	dm_put32(h + 4, (uint32_t)len);
	dm_put64(h + 8, XXH3_64bits_withSeed(p, given, dm_get64(h) + r->records));
	r->records++;
	raw_put(r, h, sizeof(h));
	raw_put(r, p, given);
}

static inline void raw_record(struct raw *r, unsigned type, const void *p, size_t len)
{
	raw_cut_record(r, type, 0, p, len, len);
}

/* END with these flags; the counts may be off by so much. */
static inline void raw_end_off(struct raw *r, unsigned flags, int records, int bytes)
{
	uint8_t p[16 + DM_DIGEST];
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits(r->b.data + r->segment, r->b.len - r->segment));
	dm_put64(p, r->records + (uint64_t)(int64_t)records);
	dm_put64(p + 8, r->b.len - r->segment + (uint64_t)(int64_t)bytes);
	memcpy(p + 16, c.digest, DM_DIGEST);
	raw_cut_record(r, DM_END, flags, p, sizeof(p), sizeof(p));
	memcpy(r->before, c.digest, DM_DIGEST);
	r->number++;
}

static inline void raw_end(struct raw *r, bool last)
{
	raw_end_off(r, last ? DM_LAST : 0, 0, 0);
}

/* A valid record of that type, of no particular content. */
static inline void raw_any_record(struct raw *r, unsigned type)
{
	static uint8_t pages[DM_PAGES_HEAD + DM_PAGE];
	uint8_t file[DM_FILE_HEAD + 2] = {1}, object[16] = {DM_PROCESS}, sixteen[16] = {0};
	uint8_t digest[DM_DIGEST + 8] = {0};

	pages[0] = DM_PROCESS;
	pages[4] = 1;
	file[DM_FILE_HEAD] = 'f';
	switch (type) {
	case DM_CONFIG:
	case DM_IMAGE_BEGIN:
	case DM_TREE_BEGIN:
		raw_record(r, type, "{}", 2);
		break;
	case DM_IMAGE_DATA:
	case DM_TREE_DATA:
		raw_record(r, type, "data", 4);
		break;
	case DM_ROUND_BEGIN:
		raw_record(r, type, sixteen, 4);
		break;
	case DM_PAGES:
		raw_record(r, type, pages, sizeof(pages));
		break;
	case DM_ZEROS:
		raw_record(r, type, pages, DM_PAGES_HEAD);
		break;
	case DM_ROUND_END:
		raw_record(r, type, sixteen, 16);
		break;
	case DM_FILE:
		raw_record(r, type, file, sizeof(file));
		break;
	case DM_OBJECT:
		raw_record(r, type, object, sizeof(object));
		break;
	case DM_DIGEST_RECORD:
		raw_record(r, type, digest, sizeof(digest));
		break;
	default:
		raw_record(r, type, "", 0);
	}
}

/*
 * Append a stream told in letters: S R D F heads of setup, rounds, delta and final; c config;
 * i j k image's begin, data and end; t u v tree's; r round's begin, p pages, z zeros, q its end;
 * f file; o object; g digest; E end, L end with LAST.
 */
static const char raw_kinds[] = "SRDF", raw_types[] = "cijktuvrpzqfog";

static inline void raw_letters(struct raw *r, const char *letters)
{
	for (; *letters; letters++) {
		const char *kind = strchr(raw_kinds, *letters), *type = strchr(raw_types, *letters);

		if (kind)
			raw_head(r, (unsigned)(kind - raw_kinds) + DM_SETUP);
		else if (type)
			raw_any_record(r, (unsigned)(type - raw_types) + DM_CONFIG);
		else
			raw_end(r, *letters == 'L');
	}
}

/* Read these bytes as a stream. */
static inline int read_bytes(const void *p, size_t n, const struct dm_stream_ops *ops, void *ctx,
			     struct dm_err *err)
{
	int fd = memory_file(p, n), ret;

	*err = (struct dm_err){0};
	ret = dm_stream_read(fd, ops, ctx, err);
	close(fd);
	return ret;
}

/* What a consumer was given, as text; long bytes as their hash. */
struct heard {
	char text[16384];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static inline void hear(struct heard *h, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(h->text + h->n, sizeof(h->text) - h->n, fmt, ap);
	va_end(ap);
	MUST(n >= 0 && (size_t)n < sizeof(h->text) - h->n);
	h->n += (size_t)n;
}

static inline int hear_segment(void *ctx, const struct dm_segment *s, struct dm_err *err)
{
	(void)err;
	hear(ctx, "segment %u kind %d flags %u id %s seed %" PRIx64 " after ", s->number, s->kind,
	     s->flags, s->id, s->seed);
	for (int i = 0; i < DM_DIGEST; i++)
		hear(ctx, "%02x", s->before[i]);
	hear(ctx, "\n");
	return 0;
}

static inline void hear_bytes(void *ctx, const void *p, size_t n)
{
	if (n <= 64)
		hear(ctx, "\"%.*s\"\n", (int)n, (const char *)p);
	else
		hear(ctx, "%zu bytes %" PRIx64 "\n", n, XXH3_64bits(p, n));
}

static inline int hear_config(void *ctx, const char *json, size_t len, struct dm_err *err)
{
	(void)err;
	hear(ctx, "config ");
	hear_bytes(ctx, json, len);
	return 0;
}

static inline int hear_group(void *ctx, enum dm_record_type type, const char *data, size_t len,
			     struct dm_err *err)
{
	static const char *const names[] = {"image begin", "image data", "image end",
					    "tree begin",  "tree data",	 "tree end"};

	(void)err;
	hear(ctx, "%s ", names[type - DM_IMAGE_BEGIN]);
	hear_bytes(ctx, data, len);
	return 0;
}

static inline int hear_round_begin(void *ctx, uint32_t number, struct dm_err *err)
{
	(void)err;
	hear(ctx, "round %u\n", number);
	return 0;
}

static inline int hear_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count,
			     const void *bytes, struct dm_err *err)
{
	(void)err;
	hear(ctx, "pages of %d:%" PRIu64 " at %" PRIx64 " %u ", o.kind, o.id, addr, count);
	hear_bytes(ctx, bytes ? bytes : "zeros", bytes ? (size_t)count * DM_PAGE : 5);
	return 0;
}

static inline int hear_round_end(void *ctx, const struct dm_counts *c, struct dm_err *err)
{
	(void)err;
	hear(ctx, "round end %" PRIu64 " %" PRIu64 "\n", c->records, c->bytes);
	return 0;
}

static inline int hear_file(void *ctx, const char *name, uint64_t offset, const void *bytes,
			    size_t len, struct dm_err *err)
{
	(void)err;
	hear(ctx, "file %s at %" PRIu64 " ", name, offset);
	hear_bytes(ctx, bytes, len);
	return 0;
}

static inline int hear_object(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
			      struct dm_err *err)
{
	(void)err;
	hear(ctx, "object %d:%" PRIu64 " %zu:", o.kind, o.id, n);
	for (size_t i = 0; i < n && i < 4; i++)
		hear(ctx, " %" PRIx64 "+%u(%u)", runs[i].addr, runs[i].pages, runs[i].flags);
	hear(ctx, "\n");
	return 0;
}

static inline int hear_digest(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages,
			      struct dm_err *err)
{
	(void)err;
	hear(ctx, "digest %02x..%02x %" PRIu64 "\n", digest[0], digest[DM_DIGEST - 1], pages);
	return 0;
}

static inline int hear_end(void *ctx, const struct dm_segment *s, const struct dm_counts *c,
			   bool last, struct dm_err *err)
{
	(void)err;
	hear(ctx, "end %u %" PRIu64 " %" PRIu64 "%s\n", s->number, c->records, c->bytes,
	     last ? " last" : "");
	return 0;
}

static const struct dm_stream_ops hearing = {
	.segment = hear_segment,
	.config = hear_config,
	.image = hear_group,
	.tree = hear_group,
	.round_begin = hear_round_begin,
	.pages = hear_pages,
	.round_end = hear_round_end,
	.file = hear_file,
	.object = hear_object,
	.digest = hear_digest,
	.end = hear_end,
};

static const struct dm_stream_ops nothing_heard = {0};

#endif
