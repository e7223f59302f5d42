/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_SETTLE_H
#define DM_HANDOVER_SETTLE_H

/*
 * What becomes of the container on the source, from what the target answers.
 *
 *   the target says running           release
 *   it says failed or refused         thaw
 *   no word, and LAST was not sent    thaw, once "thaw" has won the decision
 *   no word, and LAST was sent        ask; as long as nobody answers it stays frozen
 */

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "container/container.h"
#include "engine/docker.h"
#include "handover/record.h"

struct dm_settle {
	struct dm_engine *engine;
	const struct dm_container *container;
	struct dm_record *record;
	const char *ask;    /* shell command that prints a result receipt, or NULL */
	double patience;    /* seconds to go on asking */
	bool echo;	    /* print every receipt of the target on standard output, too */
	json_t *figures;    /* an array, to which the target's figures are added */
	char released[256]; /* the name the released container has now */
	double resumed;	    /* when it ran on the target, in seconds since 1970; 0: not known */
};

/*
 * Read receipts from fd to its end, and act on them; then settle what is left open.
 * Returns 0 when the container runs on the target and is released here; -1 with err:
 * DM_ROLLED_BACK when it runs on here, DM_UNKNOWN when it stays frozen.
 */
int dm_settle_receipts(struct dm_settle *s, int fd, struct dm_err *err);

/*
 * Settle without receipts: by the decision, and by asking. Returns as dm_settle_receipts().
 */
int dm_settle_now(struct dm_settle *s, struct dm_err *err);

/*
 * Let it run on here on the operator's word, without asking anybody. Returns as above.
 */
int dm_settle_thaw(struct dm_settle *s, struct dm_err *err);

/*
 * Give it up on the operator's word. Returns as above.
 */
int dm_settle_release(struct dm_settle *s, struct dm_err *err);

#endif
