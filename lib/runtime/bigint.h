/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_BIGINT_H
#define DM_RUNTIME_BIGINT_H

/*
 * A runtime's config.json holds unsigned 64-bit numbers (no limit is 18446744073709551615), which
 * the JSON library does not take; and fractions lose digits in it. They travel through it as
 * marked strings.
 */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { DM_BIGINT_MARK = 16 };

/*
 * Copy len bytes of JSON text to out, with every number that would not come back as it is, one of
 * 19 digits or more or with a point or an exponent, as a string that begins with mark; mark is
 * chosen so that the text does not hold it. Returns 0; -1 with err.
 */
int dm_bigint_hide(const char *text, size_t len, char mark[DM_BIGINT_MARK], struct dm_buf *out,
		   struct dm_err *err);

/*
 * Copy text to out, with the marked strings as numbers again. Returns 0; -1 with err.
 */
int dm_bigint_show(const char *text, const char *mark, struct dm_buf *out, struct dm_err *err);

#endif
