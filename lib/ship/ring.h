/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_RING_H
#define DM_SHIP_RING_H

/*
 * Frames on their way: one thread fills them, a few work on them side by side, and the caller's
 * thread drains them in the order in which they were filled.
 *
 *	         drained              taken  filled
 *	  ---+------+------+------+------+------+------+---
 *	     | free | done | busy | busy | full | free |	DM_RING_SLOTS in all
 *	  ---+------+------+------+------+------+------+---
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ship/frame.h"
#include "ship/source.h"

enum {
	DM_RING_SLOTS = 6,
	DM_RING_WORKERS = 2,
};

struct dm_slot {
	struct dm_frame frame;
	uint64_t offset;       /* of the frame in the input, in bytes */
	unsigned char *plain;  /* both with the room that was asked for, and */
	unsigned char *packed; /* DM_FRAME_HEADER_SIZE bytes in front of it */
	bool done;	       /* these three are the ring's own */
	int failed;
	struct dm_err err;
};

/* Each is called by one thread at a time, but for work, which is called by all workers. */
struct dm_ring_ops {
	/* Returns 1 with a slot that is filled; 0 when nothing follows; -1 with err. */
	int (*fill)(void *ctx, struct dm_slot *s, struct dm_err *err);
	/* worker is a number from 0. Returns 0; -1 with err. */
	int (*work)(void *ctx, int worker, struct dm_slot *s, struct dm_err *err);
	/* Returns 0; -1 with err. */
	int (*drain)(void *ctx, struct dm_slot *s, struct dm_err *err);
};

/*
 * Run until fill says that nothing follows and all is drained, or until the first failure in the
 * order of the slots: what came before it is drained. room is the size of a slot's buffers in
 * bytes; in is what fill reads from, which is stopped when something else fails.
 * Returns 0; -1 with err.
 */
int dm_ring_run(const struct dm_ring_ops *ops, void *ctx, size_t room, struct dm_source *in,
		struct dm_err *err);

#endif
