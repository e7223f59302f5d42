/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_STAGE_H
#define DM_HANDOVER_STAGE_H

/*
 * One stage on the source: one tool's run, one segment of the stream. The journal chains them:
 *
 *   begin    {seed, container, name, saved}   the migration, once, by the first stage
 *   stage    {number, kind}                   a stage began
 *   segment  {number, kind, digest}           it ended well
 *
 * A stage whose predecessor has no segment refuses to run, and so does every stage once the
 * decision has fallen: { a; b; } in a shell goes on after a failure.
 */

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "container/container.h"
#include "handover/record.h"
#include "stream/writer.h"

struct dm_stage {
	struct dm_record *record; /* locked until dm_stage_close() */
	struct dm_writer *writer; /* onto stdout */
	struct dm_segment segment;
	bool began;
	json_t *figures; /* what the stage tells for the report; the tool adds to it */
};

/*
 * Begin a stage of that kind for container c. saved (of the first stage; the others inherit it):
 * the stream goes into a file. The record's lock is taken for children too when inherit is true.
 * Returns 0; -1 with err (DM_UNFIT when it is not this stage's turn), and nothing was written. Call
 * dm_stage_close() in any case.
 */
int dm_stage_begin(struct dm_stage *s, const char *id, enum dm_segment_kind kind,
		   const struct dm_container *c, bool saved, bool inherit, struct dm_err *err);

/*
 * Write what there is of the segment, and wait until the target is known: who will decide must be
 * known before it may decide, and nobody shall stand frozen while waiting for that. Nothing is
 * waited for when the stream is saved. *stop, if stop is not NULL, becomes nonzero when it is to end.
 * Returns 0; -1 with err.
 */
int dm_stage_wait_target(struct dm_stage *s, volatile sig_atomic_t *stop, struct dm_err *err);

/*
 * End the segment, with LAST when last is true, journal it, and put its figures on record.
 * Returns 0; -1 with err.
 */
int dm_stage_end(struct dm_stage *s, bool last, struct dm_err *err);

/*
 * Tell the reader of the stream, by ABORT, that the stage failed with why. Harmless when it never
 * began.
 */
void dm_stage_abort(struct dm_stage *s, const struct dm_err *why);

/*
 * Give the lock back and free what s holds.
 */
void dm_stage_close(struct dm_stage *s);

#endif
