/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_RECORD_H
#define DM_HANDOVER_RECORD_H

/*
 * What a host knows of a migration, on disk: <state>/source/ID or <state>/target/ID, where <state>
 * is /var/lib/docker-migrate (or $DM_STATE, for tests). A folder holds
 *   journal    one JSON object a line, appended and synced before each step
 *   decision   one word, won once with link(2): last | thaw on the source,
 *              running | failed | refused on the target
 *   lock       held while a step changes the container (flock)
 * and <state>/claims/CONTAINER is a link that names the migration which holds that container
 * frozen: two migrations must not freeze and thaw it under each other.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum dm_side { DM_SOURCE, DM_TARGET };

enum { DM_ID_MAX = 64, DM_WORD_MAX = 16 };

struct dm_record;

/*
 * The folder <state>.
 */
const char *dm_record_state(void);

/*
 * Whether id may name a migration: 1 to DM_ID_MAX of a-z A-Z 0-9 . _ -, not beginning with . or -.
 */
bool dm_record_id_ok(const char *id);

/*
 * Open the record of migration id. With create it is made if it is missing; without, a missing
 * record is an error (DM_UNFIT). Free it with dm_record_close(). Returns NULL with err.
 */
struct dm_record *dm_record_open(enum dm_side side, const char *id, bool create,
				 struct dm_err *err);

/*
 * Free r; NULL is fine. A lock that it holds is given back.
 */
void dm_record_close(struct dm_record *r);

/*
 * Give the record, whose lock is held, another name (ID.1, or the first number that is free), so
 * that its migration may begin anew under ID. r stays open. Returns 0; -1 with err.
 */
int dm_record_set_aside(struct dm_record *r, struct dm_err *err);

/*
 * The record's folder, for files of its own. The descriptor belongs to r.
 */
int dm_record_dir(const struct dm_record *r);

/*
 * The path of the record's folder, valid until dm_record_close().
 */
const char *dm_record_path(const struct dm_record *r);

/*
 * Append an event with its fields (an object whose reference is taken over, or NULL) to the
 * journal, and sync it. "event" and "time" are added. Returns 0; -1 with err.
 */
int dm_record_event(struct dm_record *r, const char *event, json_t *fields, struct dm_err *err);

/*
 * The last event of that name. Returns 1 with a new reference in *out (if out is not NULL), 0 if
 * there is none, -1 with err. A torn last line, from a crash in mid-write, is passed over.
 */
int dm_record_find(struct dm_record *r, const char *event, json_t **out, struct dm_err *err);

/*
 * Try to win the decision with this word (fewer than DM_WORD_MAX letters). The word that stands
 * afterwards, ours or another's, is in standing. It is on disk when this returns.
 * Returns 1 when ours stands, 0 when another's does, -1 with err.
 */
int dm_record_decide(struct dm_record *r, const char *word, char standing[DM_WORD_MAX],
		     struct dm_err *err);

/*
 * Read the decision. Returns 1 with it in standing, 0 when nothing is decided, -1 with err.
 */
int dm_record_decision(struct dm_record *r, char standing[DM_WORD_MAX], struct dm_err *err);

/*
 * Take the record's lock, waiting at most seconds. It is bound to an open file that children
 * inherit when inherit is true: it stays taken until they too have ended.
 * Returns 0; -1 with err.
 */
int dm_record_lock(struct dm_record *r, double seconds, bool inherit, struct dm_err *err);

/*
 * Give the lock back.
 */
void dm_record_unlock(struct dm_record *r);

/*
 * Claim the container (its full id) for this migration. To claim it twice is fine. It stays claimed
 * until dm_record_unclaim(), also over a crash.
 * Returns 0; -1 with err (DM_UNFIT when another migration holds it).
 */
int dm_record_claim(struct dm_record *r, const char *container, struct dm_err *err);

/*
 * Give the claim back; no harm when it is not ours, or gone. Returns 0; -1 with err.
 */
int dm_record_unclaim(struct dm_record *r, const char *container, struct dm_err *err);

#endif
