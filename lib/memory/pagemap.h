/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_PAGEMAP_H
#define DM_MEMORY_PAGEMAP_H

/*
 * CRIU's pagemap-*.img. Two magic numbers (IMG_COMMON, PAGEMAP), then messages, each a 32-bit
 * length and a protobuf message: first the head { 1: id of pages-ID.img }, then entries
 * { 1: address, 2: pages (older readers), 3: in parent (older), 4: flags, 5: pages }. Pages with
 * DM_PE_PRESENT stand in pages-ID.img one after another, in the order of the entries.
 * Source: CRIU's images/pagemap.proto, criu/include/magic.h, criu/include/pagemap.h.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/format.h"

/* Flags of an entry. */
enum { DM_PE_PARENT = 1, DM_PE_LAZY = 2, DM_PE_PRESENT = 4 };

struct dm_pagemap {
	uint32_t pages_id;
	struct dm_run *runs; /* ascending */
	size_t n;
};

/*
 * Whether name is that of a pagemap image, and of which object. Returns 1 with *o, or 0.
 */
int dm_pagemap_name(const char *name, struct dm_object *o);

/*
 * Write the file's name for object o into out (DM_NAME_MAX + 1 bytes).
 */
void dm_pagemap_file(struct dm_object o, char *out);

/*
 * Parse an image of len bytes; what names it. The runs are allocated; free with
 * dm_pagemap_free(). Returns 0; -1 with err.
 */
int dm_pagemap_parse(const void *image, size_t len, const char *what, struct dm_pagemap *out,
		     struct dm_err *err);
void dm_pagemap_free(struct dm_pagemap *p);

/*
 * Append the head, and then entries, of a pagemap image to b. Return 0; -1 with err.
 */
int dm_pagemap_put_head(struct dm_buf *b, uint32_t pages_id, struct dm_err *err);
int dm_pagemap_put(struct dm_buf *b, const struct dm_run *run, struct dm_err *err);

#endif
