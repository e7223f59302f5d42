/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_READER_H
#define DM_STREAM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/format.h"

/* What END and ROUND_END count. */
struct dm_counts {
	uint64_t records; /* END: records of the segment; ROUND_END: pages seen */
	uint64_t bytes;	  /* END: bytes of the segment; ROUND_END: pages sent */
};

/*
 * What a consumer does with each part of a stream. Any function may be NULL; each returns 0, or
 * -1 with err, which ends the reading. Pointers are valid during the call only. Checksums, limits
 * and the grammar have been checked before.
 */
struct dm_stream_ops {
	int (*segment)(void *ctx, const struct dm_segment *s, struct dm_err *err);
	int (*config)(void *ctx, const char *json, size_t len, struct dm_err *err);
	/* type is DM_IMAGE_BEGIN, DATA or END; DM_TREE_BEGIN, DATA or END */
	int (*image)(void *ctx, enum dm_record_type type, const char *data, size_t len,
		     struct dm_err *err);
	int (*tree)(void *ctx, enum dm_record_type type, const char *data, size_t len,
		    struct dm_err *err);
	int (*round_begin)(void *ctx, uint32_t number, struct dm_err *err);
	/* bytes is NULL for pages of zeros */
	int (*pages)(void *ctx, struct dm_object o, uint64_t addr, uint32_t count,
		     const void *bytes, struct dm_err *err);
	int (*round_end)(void *ctx, const struct dm_counts *c, struct dm_err *err);
	int (*file)(void *ctx, const char *name, uint64_t offset, const void *bytes, size_t len,
		    struct dm_err *err);
	int (*object)(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
		      struct dm_err *err);
	int (*digest)(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages,
		      struct dm_err *err);
	int (*end)(void *ctx, const struct dm_segment *s, const struct dm_counts *c, bool last,
		   struct dm_err *err);
};

/*
 * Read a whole stream from fd to its LAST and to the end of the file, and hand its parts to ops
 * with ctx.
 * Returns 0 only for a complete stream; -1 with err: DM_BAD_STREAM when it is truncated, corrupt,
 * out of order or aborted by the sender, or what a consumer said.
 */
int dm_stream_read(int fd, const struct dm_stream_ops *ops, void *ctx, struct dm_err *err);

#endif
