/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_NUM_H
#define DM_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Parse a decimal number from lo to hi; what names it in the message ("--max-rounds").
 * Returns 0 with *out; -1 with err (DM_USAGE).
 */
int dm_num_u64(const char *text, const char *what, uint64_t lo, uint64_t hi, uint64_t *out,
	       struct dm_err *err);

/*
 * Parse a size in bytes: a number with an optional K, M, G or T (powers of 1024).
 * Returns 0 with *out; -1 with err (DM_USAGE).
 */
int dm_num_size(const char *text, const char *what, uint64_t *out, struct dm_err *err);

/*
 * Write n bytes as a short text for people ("1.5 GiB") into out.
 */
void dm_num_human(uint64_t n, char *out, size_t size);

#endif
