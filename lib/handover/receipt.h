/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_RECEIPT_H
#define DM_HANDOVER_RECEIPT_H

/*
 * What the target answers: one JSON object a line.
 *
 *   {"receipt": "hello",  "id", "machine", "boot", "nonce", "versions"}
 *   {"receipt": "result", "id", "machine", "boot", "nonce", "state", "reason", "since", ...}
 *
 * state is running, failed or refused; from --status also starting. since is how many seconds ago
 * that was decided.
 */

#include <jansson.h>

#include "base/err.h"
#include "handover/record.h"

/*
 * On the target: make the record of migration id with its identity, and return the hello receipt
 * (a new reference). versions (taken over; NULL is fine) is what it tells of this host. An id that
 * is known already is refused (DM_UNFIT). NULL with err.
 */
json_t *dm_receipt_hello(struct dm_record *r, const char *id, json_t *versions, struct dm_err *err);

/*
 * On the target: the result receipt as the record has it now: state is the decision, or "starting"
 * when none has fallen. reason may be NULL. Returns a new reference; NULL with err.
 */
json_t *dm_receipt_result(struct dm_record *r, const char *reason, struct dm_err *err);

/*
 * Whether the target's record was begun under another boot of the host: what was not decided then
 * never will run. Returns 1 or 0; -1 with err.
 */
int dm_receipt_stale(struct dm_record *r, struct dm_err *err);

/*
 * Write a receipt as a line to standard output at once. Returns 0; -1 with err.
 */
int dm_receipt_print(const json_t *receipt, struct dm_err *err);

/*
 * On the source: whether a receipt is from the target that is journalled as "target" in r.
 * Returns 1 or 0 (with err saying why not); -1 with err.
 */
int dm_receipt_known(struct dm_record *r, const json_t *receipt, struct dm_err *err);

#endif
