/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_BUF_H
#define DM_BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

/* A growable run of bytes. Start with {0} (no cap) or {.cap = N}; free with dm_buf_free(). */
struct dm_buf {
	char *data;
	size_t len;
	size_t size;
	size_t cap; /* the most it may hold, in bytes; 0: no limit */
};

/*
 * Make room for n more bytes after len. Returns the address of that room; NULL with err.
 */
void *dm_buf_room(struct dm_buf *b, size_t n, struct dm_err *err);

/*
 * Append n bytes. Returns 0; -1 with err.
 */
int dm_buf_add(struct dm_buf *b, const void *p, size_t n, struct dm_err *err);

/*
 * Free the bytes; b is empty afterwards and may be used again.
 */
void dm_buf_free(struct dm_buf *b);

#endif
