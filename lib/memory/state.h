/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_STATE_H
#define DM_MEMORY_STATE_H

/*
 * The digest of the final state: XXH3-128 over (kind, id, address, fingerprint) of every page, in
 * the order of objects and addresses. The source makes it from what it saw, the target from what
 * it holds; both must agree before anything is started.
 */

#include <stdint.h>

#include "base/err.h"
#include "memory/held.h"

struct dm_state;

/*
 * Begin, add every page in order, and finish: the digest is left in out, the number of pages is
 * returned, and the state is freed. dm_state_free() gives up before that; NULL is fine.
 * dm_state_new() returns NULL with err.
 */
struct dm_state *dm_state_new(struct dm_err *err);
void dm_state_add(struct dm_state *s, struct dm_object o, uint64_t addr, struct dm_fingerprint f);
uint64_t dm_state_finish(struct dm_state *s, uint8_t out[DM_DIGEST]);
void dm_state_free(struct dm_state *s);

#endif
