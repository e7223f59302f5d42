/* SPDX-License-Identifier: Apache-2.0 */
#include "numbered.h"

#include <inttypes.h>
#include <stdio.h>

size_t numbered_key(const struct numbered *k, uint64_t n, char *out)
{
	return (size_t)snprintf(out, NUMBERED_KEY_MAX, "%s%" PRIu64, k->prefix, n);
}

void numbered_value(const struct numbered *k, uint64_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t x = n;

	for (size_t i = 0; i < k->size; i++) {
		if (i % 8 == 0) {
			x += 0x9e3779b97f4a7c15u;
			x = (x ^ (x >> 31)) * 0xd6e8feb86659fd93u;
			x ^= x >> 29;
		}
		out[i] = digits[x >> i % 8 * 4 & 15];
	}
}
