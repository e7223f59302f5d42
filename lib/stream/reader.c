/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/reader.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/io.h"
#include "base/le.h"
#include "stream/grammar.h"

struct reader {
	int fd;
	const struct dm_stream_ops *ops;
	void *ctx;
	struct dm_grammar grammar;
	struct dm_segment seg;
	uint64_t offset; /* of the stream, for messages */
	uint64_t bytes;	 /* of the segment */
	uint64_t records;
	bool any;
	uint8_t before[DM_DIGEST];
	XXH3_state_t *digest;
	uint8_t *payload;
	struct dm_run *runs;
};

static int bad(const struct reader *r, const char *what, struct dm_err *err)
{
	return dm_fail(err, DM_BAD_STREAM, "stream: %s at byte %llu", what,
		       (unsigned long long)r->offset);
}

/* Exactly len bytes; returns 1, 0 at a clean end when end_ok, -1 with err. */
static int take(struct reader *r, void *p, size_t len, bool end_ok, struct dm_err *err)
{
	ssize_t n = dm_read_full(r->fd, p, len);

	if (n < 0)
		return dm_fail_errno(err, "read stream");
	if (n == 0 && end_ok)
		return 0;
	r->offset += (uint64_t)n;
	if ((size_t)n < len)
		return bad(r, "it ends too early,", err);
	return 1;
}

static int read_head(struct reader *r, struct dm_err *err)
{
	static const char zeros[DM_STREAM_ID];
	struct dm_segment *s = &r->seg;
	uint8_t h[DM_HEAD_SIZE];
	uint32_t id_len;
	char id[DM_STREAM_ID + 1] = {0};
	int n = take(r, h, sizeof(h), true, err);

	if (n <= 0)
		return n;
	if (memcmp(h, DM_STREAM_MAGIC, 8))
		return bad(r, "no segment begins here; it is no migration stream, or damaged,",
			   err);
	if (dm_get64(h + 112) != XXH3_64bits(h, 112))
		return bad(r, "the segment head is corrupt", err);
	if (dm_get16(h + 8) != DM_STREAM_VERSION)
		return dm_fail(err, DM_BAD_STREAM, "stream: version %u is not known, only %d",
			       dm_get16(h + 8), DM_STREAM_VERSION);
	id_len = dm_get32(h + 20);
	memcpy(id, h + 24, DM_STREAM_ID);
	if (id_len == 0 || id_len > DM_STREAM_ID || strlen(id) != id_len ||
	    memcmp(id + id_len, zeros, DM_STREAM_ID - id_len))
		return bad(r, "the segment head has a bad id", err);
	if (dm_get32(h + 12) & ~(uint32_t)DM_SAVED)
		return bad(r, "the segment head has unknown flags", err);
	if (r->any && (strcmp(id, s->id) || dm_get64(h + 104) != s->seed))
		return bad(r, "the segment is of another migration", err);
	if (dm_get32(h + 16) != (r->any ? s->number + 1 : 0) ||
	    dm_get32(h + 16) >= DM_SEGMENTS_MAX || memcmp(h + 88, r->before, DM_DIGEST))
		return bad(r, "the segment does not follow the one before it", err);
	memcpy(s->id, id, sizeof(id));
	memcpy(s->before, r->before, DM_DIGEST);
	s->kind = dm_get16(h + 10);
	s->flags = dm_get32(h + 12);
	s->number = dm_get32(h + 16);
	s->seed = dm_get64(h + 104);
	r->any = true;
	r->records = 0;
	r->bytes = sizeof(h);
	XXH3_128bits_reset(r->digest);
	XXH3_128bits_update(r->digest, h, sizeof(h));
	if (dm_grammar_segment(&r->grammar, s->kind, err))
		return -1;
	return r->ops->segment && r->ops->segment(r->ctx, s, err) ? -1 : 1;
}

static int do_end(struct reader *r, uint16_t flags, const uint8_t *p, size_t len,
		  struct dm_err *err)
{
	struct dm_counts c = {r->records, r->bytes};
	XXH128_canonical_t d;
	bool last = flags & DM_LAST;

	XXH128_canonicalFromHash(&d, XXH3_128bits_digest(r->digest));
	if (len != 16 + DM_DIGEST || (flags & ~DM_LAST) || dm_get64(p) != c.records ||
	    dm_get64(p + 8) != c.bytes || memcmp(p + 16, d.digest, DM_DIGEST))
		return bad(r, "the segment's count or digest is wrong", err);
	memcpy(r->before, d.digest, DM_DIGEST);
	if (dm_grammar_end(&r->grammar, last, err))
		return -1;
	return r->ops->end ? r->ops->end(r->ctx, &r->seg, &c, last, err) : 0;
}

static int do_abort(const uint8_t *p, size_t len, struct dm_err *err)
{
	return dm_fail(err, DM_BAD_STREAM, "the sender gave up: %.*s", (int)(len < 900 ? len : 900),
		       (const char *)p);
}

static int do_pages(struct reader *r, bool zeros, const uint8_t *p, size_t len, struct dm_err *err)
{
	struct dm_object o;
	uint64_t addr, count;

	if (len < DM_PAGES_HEAD)
		return bad(r, "a record of pages is too short", err);
	o = (struct dm_object){p[0], dm_get64(p + 8)};
	count = dm_get32(p + 4);
	addr = dm_get64(p + 16);
	if ((o.kind != DM_PROCESS && o.kind != DM_SHMEM) || count == 0 || addr % DM_PAGE ||
	    addr > UINT64_MAX - count * DM_PAGE)
		return bad(r, "a record of pages has bad fields", err);
	if (zeros ? len != DM_PAGES_HEAD
		  : count > DM_PAGES_MAX || len != DM_PAGES_HEAD + count * DM_PAGE)
		return bad(r, "a record of pages has a wrong length", err);
	return r->ops->pages ? r->ops->pages(r->ctx, o, addr, (uint32_t)count,
					     zeros ? NULL : p + DM_PAGES_HEAD, err)
			     : 0;
}

/* Names are CRIU's own: pstree.img, core-1.img, pagemap-shmem-7.img. */
static bool name_ok(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[0] != '.' && name[0] != '-' && name[0] && name[strspn(name, letters)] == '\0';
}

static int do_file(struct reader *r, const uint8_t *p, size_t len, struct dm_err *err)
{
	char name[DM_NAME_MAX + 1];
	size_t n;

	if (len < DM_FILE_HEAD)
		return bad(r, "a file's record is too short", err);
	n = dm_get16(p);
	if (n == 0 || n > DM_NAME_MAX || len < DM_FILE_HEAD + n ||
	    len - DM_FILE_HEAD - n > DM_DATA_MAX || dm_get64(p + 8) > INT64_MAX - DM_DATA_MAX)
		return bad(r, "a file's record has bad fields", err);
	memcpy(name, p + DM_FILE_HEAD, n);
	name[n] = '\0';
	if (strlen(name) != n || !name_ok(name))
		return bad(r, "a file's name is not allowed", err);
	return r->ops->file ? r->ops->file(r->ctx, name, dm_get64(p + 8), p + DM_FILE_HEAD + n,
					   len - DM_FILE_HEAD - n, err)
			    : 0;
}

static int do_object(struct reader *r, const uint8_t *p, size_t len, struct dm_err *err)
{
	struct dm_object o;
	uint64_t next = 0;
	size_t n;

	if (len < 16)
		return bad(r, "an object's record is too short", err);
	o = (struct dm_object){p[0], dm_get64(p + 8)};
	n = dm_get32(p + 4);
	if ((o.kind != DM_PROCESS && o.kind != DM_SHMEM) || n > DM_RUNS_MAX ||
	    len != 16 + n * DM_RUN_SIZE)
		return bad(r, "an object's record has bad fields", err);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *q = p + 16 + i * DM_RUN_SIZE;
		struct dm_run u = {dm_get64(q), dm_get32(q + 8), dm_get32(q + 12)};

		if (u.addr % DM_PAGE || u.pages == 0 || u.addr < next ||
		    u.addr > UINT64_MAX - (uint64_t)u.pages * DM_PAGE)
			return bad(r, "an object's runs are not in order", err);
		next = u.addr + (uint64_t)u.pages * DM_PAGE;
		r->runs[i] = u;
	}
	return r->ops->object ? r->ops->object(r->ctx, o, r->runs, n, err) : 0;
}

static int do_record(struct reader *r, uint16_t type, const uint8_t *p, size_t len,
		     struct dm_err *err)
{
	const struct dm_stream_ops *ops = r->ops;
	struct dm_counts c;

	switch ((enum dm_record_type)type) {
	case DM_CONFIG:
		return ops->config ? ops->config(r->ctx, (const char *)p, len, err) : 0;
	case DM_IMAGE_BEGIN:
	case DM_IMAGE_DATA:
	case DM_IMAGE_END:
		return ops->image ? ops->image(r->ctx, type, (const char *)p, len, err) : 0;
	case DM_TREE_BEGIN:
	case DM_TREE_DATA:
	case DM_TREE_END:
		return ops->tree ? ops->tree(r->ctx, type, (const char *)p, len, err) : 0;
	case DM_ROUND_BEGIN:
		if (len != 4)
			break;
		return ops->round_begin ? ops->round_begin(r->ctx, dm_get32(p), err) : 0;
	case DM_ROUND_END:
		if (len != 16)
			break;
		c = (struct dm_counts){dm_get64(p), dm_get64(p + 8)};
		return ops->round_end ? ops->round_end(r->ctx, &c, err) : 0;
	case DM_PAGES:
	case DM_ZEROS:
		return do_pages(r, type == DM_ZEROS, p, len, err);
	case DM_FILE:
		return do_file(r, p, len, err);
	case DM_OBJECT:
		return do_object(r, p, len, err);
	case DM_DIGEST_RECORD:
		if (len != DM_DIGEST + 8)
			break;
		return ops->digest ? ops->digest(r->ctx, p, dm_get64(p + DM_DIGEST), err) : 0;
	case DM_END:
	case DM_ABORT:
		break;
	}
	return bad(r, "a record has a wrong length", err);
}

/* Returns 1 after END, 0 when more records follow, -1 with err. */
static int read_record(struct reader *r, struct dm_err *err)
{
	uint8_t h[DM_RECORD_HEAD];
	uint16_t type, flags;
	size_t len;

	if (take(r, h, sizeof(h), false, err) < 0)
		return -1;
	type = dm_get16(h);
	flags = dm_get16(h + 2);
	len = dm_get32(h + 4);
	if (len > dm_grammar_limit(type))
		return bad(r, "a record has an unknown type, or is too long,", err);
	if (take(r, r->payload, len, false, err) < 0)
		return -1;
	if (dm_get64(h + 8) != XXH3_64bits_withSeed(r->payload, len, dm_get64(h) + r->records))
		return bad(r, "a record is corrupt", err);
	if (flags && type != DM_END)
		return bad(r, "a record has unknown flags", err);
	if (type == DM_END)
		return do_end(r, flags, r->payload, len, err) ? -1 : 1;
	if (type == DM_ABORT)
		return do_abort(r->payload, len, err);
	r->records++;
	r->bytes += sizeof(h) + len;
	XXH3_128bits_update(r->digest, h, sizeof(h));
	XXH3_128bits_update(r->digest, r->payload, len);
	if (dm_grammar_record(&r->grammar, type, err) || do_record(r, type, r->payload, len, err))
		return -1;
	return 0;
}

int dm_stream_read(int fd, const struct dm_stream_ops *ops, void *ctx, struct dm_err *err)
{
	struct reader r = {.fd = fd, .ops = ops, .ctx = ctx};
	int n, ret = -1;

	r.digest = XXH3_createState();
	r.payload = malloc(DM_PAYLOAD_MAX);
	r.runs = malloc(DM_RUNS_MAX * sizeof(*r.runs));
	if (!r.digest || !r.payload || !r.runs) {
		dm_fail_errno(err, "read stream");
		goto out;
	}
	while ((n = read_head(&r, err)) == 1) {
		while ((n = read_record(&r, err)) == 0)
			;
		if (n < 0)
			break;
	}
	if (n < 0)
		goto out;
	if (!r.any)
		dm_fail(err, DM_BAD_STREAM, "stream: it is empty");
	else if (!dm_grammar_done(&r.grammar))
		bad(&r, "it ends before its last segment,", err);
	else
		ret = 0;
out:
	XXH3_freeState(r.digest);
	free(r.payload);
	free(r.runs);
	return ret;
}
