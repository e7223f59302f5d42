/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_WRITER_H
#define DM_STREAM_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/format.h"

struct dm_writer;

/* What the bytes of a segment are for. */
enum dm_share {
	DM_SHARE_DOCUMENT, /* the container's document */
	DM_SHARE_IMAGE,
	DM_SHARE_FILES,
	DM_SHARE_MEMORY,
	DM_SHARE_CRIU,	/* CRIU's images */
	DM_SHARE_FRAME, /* heads and ends */
	DM_SHARES
};

/*
 * Begin a segment on fd, which stays the caller's. Small records are gathered; nothing may be
 * written yet when this returns. Free with dm_writer_close(). Returns NULL with err.
 */
struct dm_writer *dm_writer_open(int fd, const struct dm_segment *s, struct dm_err *err);

/*
 * Free w without ending the segment; NULL is fine.
 */
void dm_writer_close(struct dm_writer *w);

/*
 * Write what has been gathered. Returns 0; -1 with err.
 */
int dm_writer_flush(struct dm_writer *w, struct dm_err *err);

/*
 * The bytes of the segment so far.
 */
uint64_t dm_writer_bytes(const struct dm_writer *w);

/*
 * Those of them that are for s, and the name that a report gives to s ("memory").
 */
uint64_t dm_writer_share(const struct dm_writer *w, enum dm_share s);
const char *dm_share_name(enum dm_share s);

/*
 * Write a record whose payload is a piece of JSON, a piece of data, or nothing: CONFIG, IMAGE_*,
 * TREE_*. data may be longer than one record's limit for IMAGE_DATA and TREE_DATA: it is split.
 * Returns 0; -1 with err.
 */
int dm_writer_data(struct dm_writer *w, enum dm_record_type type, const void *data, size_t len,
		   struct dm_err *err);

/*
 * Begin round number n, and end it with what it came to.
 */
int dm_writer_round_begin(struct dm_writer *w, uint32_t n, struct dm_err *err);
int dm_writer_round_end(struct dm_writer *w, uint64_t seen, uint64_t sent, struct dm_err *err);

/*
 * Write count pages (at most DM_PAGES_MAX) of object o from address addr; bytes NULL: they hold
 * zeros, and any count goes.
 */
int dm_writer_pages(struct dm_writer *w, struct dm_object o, uint64_t addr, uint32_t count,
		    const void *bytes, struct dm_err *err);

/*
 * Write a piece of one of CRIU's image files: len bytes (at most DM_DATA_MAX) at offset.
 */
int dm_writer_file(struct dm_writer *w, const char *name, uint64_t offset, const void *bytes,
		   size_t len, struct dm_err *err);

/*
 * Write which pages object o has in the final state: n runs in ascending order, split as needed.
 */
int dm_writer_object(struct dm_writer *w, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err);

/*
 * Write the digest of the final state's pages and their number.
 */
int dm_writer_digest(struct dm_writer *w, const uint8_t digest[DM_DIGEST], uint64_t pages,
		     struct dm_err *err);

/*
 * End the segment, with LAST if it ends the stream, and write all. Its digest, for the next head,
 * is left in digest. Returns 0; -1 with err.
 */
int dm_writer_end(struct dm_writer *w, bool last, uint8_t digest[DM_DIGEST], struct dm_err *err);

/*
 * End the segment with ABORT and the reason. Errors are of no interest any more.
 */
void dm_writer_abort(struct dm_writer *w, const char *reason);

#endif
