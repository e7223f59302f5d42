/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

void *dm_buf_room(struct dm_buf *b, size_t n, struct dm_err *err)
{
	size_t size = b->size ? b->size : 256;
	char *p;

	if ((b->cap && n > b->cap - b->len) || n > (size_t)-1 / 2 - b->len) {
		dm_fail(err, DM_FAILURE, "buffer: more than %zu bytes", b->cap);
		return NULL;
	}
	while (size < b->len + n)
		size *= 2;
	if (size != b->size) {
		p = realloc(b->data, size);
		if (!p) {
			dm_fail_errno(err, "allocate %zu bytes", size);
			return NULL;
		}
		b->data = p;
		b->size = size;
	}
	return b->data + b->len;
}

int dm_buf_add(struct dm_buf *b, const void *p, size_t n, struct dm_err *err)
{
	void *room = dm_buf_room(b, n, err);

	if (!room)
		return -1;
	if (n)
		memcpy(room, p, n);
	b->len += n;
	return 0;
}

void dm_buf_free(struct dm_buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->size = 0;
}
