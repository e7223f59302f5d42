/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_SENDER_H
#define DM_MEMORY_SENDER_H

/*
 * Sends of each object what the target does not hold yet. Pages come in ascending order; those
 * that differ are gathered into records of neighbours, and pages of zeros travel without bytes.
 */

#include <stdint.h>

#include "base/err.h"
#include "memory/held.h"
#include "stream/writer.h"

struct dm_sender;

struct dm_sender_count {
	uint64_t seen, sent, zeros; /* pages; zeros are part of sent */
};

/*
 * A sender into w that keeps held up to date. Both stay the caller's.
 * Free with dm_sender_free(). Returns NULL with err.
 */
struct dm_sender *dm_sender_new(struct dm_writer *w, struct dm_held *held, uint64_t seed,
				struct dm_err *err);
void dm_sender_free(struct dm_sender *s);

/*
 * Begin with object o; give n pages that lie side by side from addr on; finish the object.
 * With force they are sent even if the target holds them.
 * Each returns 0; -1 with err.
 */
int dm_sender_begin(struct dm_sender *s, struct dm_object o, struct dm_err *err);
int dm_sender_pages(struct dm_sender *s, uint64_t addr, const void *bytes, size_t n, bool force,
		    struct dm_err *err);
int dm_sender_finish(struct dm_sender *s, struct dm_err *err);

/*
 * What has been counted since the last call; the count begins anew.
 */
struct dm_sender_count dm_sender_count(struct dm_sender *s);

/*
 * Have each page's fingerprint given to fn as it passes (the final digest is made from them).
 */
typedef void dm_sender_watch(void *ctx, struct dm_object o, uint64_t addr, struct dm_fingerprint f);
void dm_sender_set_watch(struct dm_sender *s, dm_sender_watch *fn, void *ctx);

#endif
