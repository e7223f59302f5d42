/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_GRAMMAR_H
#define DM_STREAM_GRAMMAR_H

/* Which segment and record may come when; the grammar itself stands in stream/format.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/format.h"

/* Start with {0}. */
struct dm_grammar {
	enum dm_segment_kind kind; /* of the segment at hand; 0 before the first */
	enum dm_record_type open;  /* the BEGIN whose END is still to come; 0: none */
	bool config, image, round; /* met in this segment */
	bool objects, digest;
	bool final, last; /* met in the stream */
};

/*
 * The most bytes that a record of this type may carry; 0 for an unknown type, which
 * dm_grammar_record() refuses.
 */
size_t dm_grammar_limit(uint16_t type);

/*
 * A segment of that kind begins; a record of that type comes; END comes.
 * Each returns 0; -1 with err (DM_BAD_STREAM) when it must not.
 */
int dm_grammar_segment(struct dm_grammar *g, enum dm_segment_kind kind, struct dm_err *err);
int dm_grammar_record(struct dm_grammar *g, uint16_t type, struct dm_err *err);
int dm_grammar_end(struct dm_grammar *g, bool last, struct dm_err *err);

/*
 * Whether the stream is complete.
 */
bool dm_grammar_done(const struct dm_grammar *g);

#endif
