/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_LE_H
#define DM_BASE_LE_H

/* Little-endian fields at any alignment. */

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define DM_LE(bits)                                                                                \
	static inline void dm_put##bits(void *p, uint##bits##_t v)                                 \
	{                                                                                          \
		v = htole##bits(v);                                                                \
		memcpy(p, &v, sizeof(v));                                                          \
	}                                                                                          \
	static inline uint##bits##_t dm_get##bits(const void *p)                                   \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return le##bits##toh(v);                                                           \
	}

DM_LE(16)
DM_LE(32)
DM_LE(64)
#undef DM_LE

#endif
