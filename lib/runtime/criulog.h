/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_CRIULOG_H
#define DM_RUNTIME_CRIULOG_H

/*
 * CRIU's log of a restore, work/restore.log in the pending folder. CRIU says "Error (file:line)"
 * also of things that it then does without, and there are mistakes after which it goes on and ends
 * with 0. dm_criulog_check() knows those of the second kind:
 *   in parent pagemap                a page is missing from a parent: the memory would be wrong
 *   No parent for snapshot pagemap   the same, with the whole parent missing
 *   Unable to restore rseq_cs        a thread would go on in the middle of a restartable sequence
 * All else that matters makes CRIU end with an error.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/pending.h"

/*
 * The log's size in bytes; 0 when there is none.
 */
uint64_t dm_criulog_size(const struct dm_pending *p);

/*
 * Look for the lines above. Returns 0 when there is none; -1 with err, also when there is no log:
 * then nothing is known.
 */
int dm_criulog_check(const struct dm_pending *p, struct dm_err *err);

/*
 * What the log tells of a restore that failed.
 */
struct dm_criulog {
	char why[400];	/* the first error, without the time and place in front; or "" */
	char yard[128]; /* the folder in which CRIU put mounts together; or "" */
};

/*
 * Read the log for that. The first error is the cause of most others; errors that only say that it
 * failed, or that CRIU does without, are passed over.
 */
void dm_criulog_read(const struct dm_pending *p, struct dm_criulog *out);

/*
 * Keep only the last 64 KiB. CRIU must have ended.
 */
void dm_criulog_trim(const struct dm_pending *p);

#endif
