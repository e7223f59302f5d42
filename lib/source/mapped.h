/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_MAPPED_H
#define DM_SOURCE_MAPPED_H

/*
 * The files that processes of a container map shared and writable: a store through such a mapping
 * may leave no trace in a file's times.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "container/container.h"

struct dm_mapped;

/*
 * Find them, as they are in the layer's upper folder and in the volumes. Free with
 * dm_mapped_free(); NULL is fine. Returns NULL with err.
 */
struct dm_mapped *dm_mapped_find(const struct dm_container *c, struct dm_err *err);
void dm_mapped_free(struct dm_mapped *m);

/*
 * Whether the file with that device and inode is one of them; m is a struct dm_mapped.
 */
bool dm_mapped_has(void *m, uint64_t dev, uint64_t ino);

#endif
