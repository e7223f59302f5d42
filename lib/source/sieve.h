/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_SIEVE_H
#define DM_SOURCE_SIEVE_H

/*
 * A tar archive without some of its files, as it streams by. What is kept is kept to the byte. From
 * a place on that it does not understand, all is kept.
 */

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/docker.h"

struct dm_sieve;

/*
 * Prepare to leave out the regular files whose paths are keys of without (borrowed; NULL: none) and
 * to give the rest to sink (NULL: to nobody). Free with dm_sieve_free(). Returns NULL with err.
 */
struct dm_sieve *dm_sieve_new(const json_t *without, dm_engine_sink *sink, void *ctx,
			      struct dm_err *err);

/*
 * Take the next len bytes; s is a struct dm_sieve, so that this is a dm_engine_sink.
 * Returns 0; -1 with err when the sink failed or memory ran out.
 */
int dm_sieve_data(void *s, const void *bytes, size_t len, struct dm_err *err);

/*
 * The archive has ended: give away what is still held. Returns 0; -1 with err.
 */
int dm_sieve_end(struct dm_sieve *s, struct dm_err *err);

/*
 * The number of files that were left out so far.
 */
size_t dm_sieve_dropped(const struct dm_sieve *s);

/*
 * The file manifest.json, if it has come by and is at most 4 MiB long: its bytes, which belong to
 * s, and their number in *len. Else NULL.
 */
const char *dm_sieve_manifest(const struct dm_sieve *s, size_t *len);

/*
 * Free s; NULL is fine.
 */
void dm_sieve_free(struct dm_sieve *s);

#endif
