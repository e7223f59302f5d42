/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/writer.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/io.h"
#include "base/le.h"

enum { GATHER = 256 << 10 };

struct dm_writer {
	int fd;
	size_t used;
	uint64_t bytes;
	uint64_t records;
	uint64_t shares[DM_SHARES];
	XXH3_state_t *digest;
	XXH3_state_t *sum;
	uint8_t buf[GATHER];
};

int dm_writer_flush(struct dm_writer *w, struct dm_err *err)
{
	if (dm_write_full(w->fd, w->buf, w->used))
		return dm_fail_errno(err, "write stream");
	w->used = 0;
	return 0;
}

/* Bytes of the segment; they count and enter its digest. */
static int put(struct dm_writer *w, const void *p, size_t len, struct dm_err *err)
{
	XXH3_128bits_update(w->digest, p, len);
	w->bytes += len;
	if (len > sizeof(w->buf) - w->used && dm_writer_flush(w, err))
		return -1;
	if (len > sizeof(w->buf) / 2) {
		if (dm_writer_flush(w, err))
			return -1;
		if (dm_write_full(w->fd, p, len))
			return dm_fail_errno(err, "write stream");
		return 0;
	}
	memcpy(w->buf + w->used, p, len);
	w->used += len;
	return 0;
}

static enum dm_share share_of(enum dm_record_type type)
{
	switch (type) {
	case DM_CONFIG:
		return DM_SHARE_DOCUMENT;
	case DM_IMAGE_BEGIN:
	case DM_IMAGE_DATA:
	case DM_IMAGE_END:
		return DM_SHARE_IMAGE;
	case DM_TREE_BEGIN:
	case DM_TREE_DATA:
	case DM_TREE_END:
		return DM_SHARE_FILES;
	case DM_FILE:
		return DM_SHARE_CRIU;
	case DM_END:
	case DM_ABORT:
		return DM_SHARE_FRAME;
	default: /* rounds, pages, and which of them there are */
		return DM_SHARE_MEMORY;
	}
}

/* One record; its payload comes in two parts, of which either may be empty. */
static int record(struct dm_writer *w, enum dm_record_type type, uint16_t flags, const void *a,
		  size_t na, const void *b, size_t nb, struct dm_err *err)
{
	uint8_t head[DM_RECORD_HEAD];

	if (na + nb > DM_PAYLOAD_MAX)
		return dm_fail(err, DM_FAILURE, "write stream: a record of %zu bytes is too long",
			       na + nb);
	dm_put16(head, (uint16_t)type);
	dm_put16(head + 2, flags);
	dm_put32(head + 4, (uint32_t)(na + nb));
	XXH3_64bits_reset_withSeed(w->sum, dm_get64(head) + w->records);
	XXH3_64bits_update(w->sum, a, na);
	XXH3_64bits_update(w->sum, b, nb);
	dm_put64(head + 8, XXH3_64bits_digest(w->sum));
	w->records++;
	w->shares[share_of(type)] += DM_RECORD_HEAD + na + nb;
	if (put(w, head, sizeof(head), err) || (na && put(w, a, na, err)) ||
	    (nb && put(w, b, nb, err)))
		return -1;
	return 0;
}

struct dm_writer *dm_writer_open(int fd, const struct dm_segment *s, struct dm_err *err)
{
	struct dm_writer *w = calloc(1, sizeof(*w));
	uint8_t head[DM_HEAD_SIZE] = {0};

	if (!w || !(w->digest = XXH3_createState()) || !(w->sum = XXH3_createState())) {
		dm_fail_errno(err, "begin segment");
		goto fail;
	}
	w->fd = fd;
	XXH3_128bits_reset(w->digest);
	memcpy(head, DM_STREAM_MAGIC, 8);
	dm_put16(head + 8, DM_STREAM_VERSION);
	dm_put16(head + 10, (uint16_t)s->kind);
	dm_put32(head + 12, s->flags);
	dm_put32(head + 16, s->number);
	dm_put32(head + 20, (uint32_t)strnlen(s->id, DM_STREAM_ID));
	memcpy(head + 24, s->id, strnlen(s->id, DM_STREAM_ID));
	memcpy(head + 88, s->before, DM_DIGEST);
	dm_put64(head + 104, s->seed);
	dm_put64(head + 112, XXH3_64bits(head, 112));
	w->shares[DM_SHARE_FRAME] = sizeof(head);
	if (put(w, head, sizeof(head), err))
		goto fail;
	return w;

fail:
	dm_writer_close(w);
	return NULL;
}

void dm_writer_close(struct dm_writer *w)
{
	if (!w)
		return;
	XXH3_freeState(w->digest);
	XXH3_freeState(w->sum);
	free(w);
}

uint64_t dm_writer_bytes(const struct dm_writer *w)
{
	return w->bytes;
}

uint64_t dm_writer_share(const struct dm_writer *w, enum dm_share s)
{
	return w->shares[s];
}

const char *dm_share_name(enum dm_share s)
{
	static const char *const names[DM_SHARES] = {
		[DM_SHARE_DOCUMENT] = "document", [DM_SHARE_IMAGE] = "image",
		[DM_SHARE_FILES] = "files",	  [DM_SHARE_MEMORY] = "memory",
		[DM_SHARE_CRIU] = "criu",	  [DM_SHARE_FRAME] = "frame",
	};

	return names[s];
}

int dm_writer_data(struct dm_writer *w, enum dm_record_type type, const void *data, size_t len,
		   struct dm_err *err)
{
	bool split = type == DM_IMAGE_DATA || type == DM_TREE_DATA;

	if (!split)
		return record(w, type, 0, data, len, NULL, 0, err);
	while (len > 0) {
		size_t n = len < DM_DATA_MAX ? len : DM_DATA_MAX;

		if (record(w, type, 0, data, n, NULL, 0, err))
			return -1;
		data = (const char *)data + n;
		len -= n;
	}
	return 0;
}

int dm_writer_round_begin(struct dm_writer *w, uint32_t n, struct dm_err *err)
{
	uint8_t p[4];

	dm_put32(p, n);
	return record(w, DM_ROUND_BEGIN, 0, p, sizeof(p), NULL, 0, err);
}

int dm_writer_round_end(struct dm_writer *w, uint64_t seen, uint64_t sent, struct dm_err *err)
{
	uint8_t p[16];

	dm_put64(p, seen);
	dm_put64(p + 8, sent);
	return record(w, DM_ROUND_END, 0, p, sizeof(p), NULL, 0, err);
}

int dm_writer_pages(struct dm_writer *w, struct dm_object o, uint64_t addr, uint32_t count,
		    const void *bytes, struct dm_err *err)
{
	uint8_t p[DM_PAGES_HEAD] = {o.kind};

	dm_put32(p + 4, count);
	dm_put64(p + 8, o.id);
	dm_put64(p + 16, addr);
	if (!bytes)
		return record(w, DM_ZEROS, 0, p, sizeof(p), NULL, 0, err);
	return record(w, DM_PAGES, 0, p, sizeof(p), bytes, (size_t)count * DM_PAGE, err);
}

int dm_writer_file(struct dm_writer *w, const char *name, uint64_t offset, const void *bytes,
		   size_t len, struct dm_err *err)
{
	uint8_t p[DM_FILE_HEAD + DM_NAME_MAX] = {0};
	size_t n = strlen(name);

	if (n == 0 || n > DM_NAME_MAX)
		return dm_fail(err, DM_FAILURE, "write stream: file name %s: bad length", name);
	dm_put16(p, (uint16_t)n);
	dm_put64(p + 8, offset);
	memcpy(p + DM_FILE_HEAD, name, n);
	return record(w, DM_FILE, 0, p, DM_FILE_HEAD + n, bytes, len, err);
}

int dm_writer_object(struct dm_writer *w, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err)
{
	uint8_t head[16] = {o.kind}, *list;
	int ret = 0;

	list = calloc(n < DM_RUNS_MAX ? n + 1 : DM_RUNS_MAX, DM_RUN_SIZE);
	if (!list)
		return dm_fail_errno(err, "write pagemap");
	dm_put64(head + 8, o.id);
	do {
		size_t k = n < DM_RUNS_MAX ? n : DM_RUNS_MAX;

		for (size_t i = 0; i < k; i++) {
			dm_put64(list + i * DM_RUN_SIZE, runs[i].addr);
			dm_put32(list + i * DM_RUN_SIZE + 8, runs[i].pages);
			dm_put32(list + i * DM_RUN_SIZE + 12, runs[i].flags);
		}
		dm_put32(head + 4, (uint32_t)k);
		ret = record(w, DM_OBJECT, 0, head, sizeof(head), list, k * DM_RUN_SIZE, err);
		runs += k;
		n -= k;
	} while (ret == 0 && n > 0);
	free(list);
	return ret;
}

int dm_writer_digest(struct dm_writer *w, const uint8_t digest[DM_DIGEST], uint64_t pages,
		     struct dm_err *err)
{
	uint8_t p[DM_DIGEST + 8];

	memcpy(p, digest, DM_DIGEST);
	dm_put64(p + DM_DIGEST, pages);
	return record(w, DM_DIGEST_RECORD, 0, p, sizeof(p), NULL, 0, err);
}

int dm_writer_end(struct dm_writer *w, bool last, uint8_t digest[DM_DIGEST], struct dm_err *err)
{
	uint8_t p[16 + DM_DIGEST];
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(w->digest));
	memcpy(digest, c.digest, DM_DIGEST);
	dm_put64(p, w->records);
	dm_put64(p + 8, w->bytes);
	memcpy(p + 16, digest, DM_DIGEST);
	if (record(w, DM_END, last ? DM_LAST : 0, p, sizeof(p), NULL, 0, err))
		return -1;
	return dm_writer_flush(w, err);
}

void dm_writer_abort(struct dm_writer *w, const char *reason)
{
	struct dm_err ignored;

	if (record(w, DM_ABORT, 0, reason, strnlen(reason, 1000), NULL, 0, &ignored) == 0)
		dm_writer_flush(w, &ignored);
}
