/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_NUMBERED_H
#define DM_WORKLOAD_NUMBERED_H

#include <stddef.h>
#include <stdint.h>

#define NUMBERED_KEY_MAX 128

/* The keys PREFIX1, PREFIX2, ... and what belongs in them. */
struct numbered {
	const char *prefix; /* at most 100 bytes */
	size_t size;	    /* of each value, in bytes */
};

/*
 * Write the key of number n to out (NUMBERED_KEY_MAX bytes). Returns its length.
 */
size_t numbered_key(const struct numbered *k, uint64_t n, char *out);

/*
 * Write the value of number n, k->size printable bytes and no NUL, to out.
 */
void numbered_value(const struct numbered *k, uint64_t n, char *out);

#endif
