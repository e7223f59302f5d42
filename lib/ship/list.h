/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_LIST_H
#define DM_SHIP_LIST_H

#include <stdio.h>

#include "base/err.h"
#include "ship/source.h"

/*
 * Writes what the plain bytes that fd_in gives are, as text, to out. Returns 0; -1 with err.
 */
typedef int dm_list_fn(int fd_in, FILE *out, struct dm_err *err);

/*
 * Call show with the plain bytes of in, which may be plain or shipped: the first bytes tell. When
 * show is content, the input is read to its end all the same.
 * Returns 0; -1 with err, which is that of the shipped form when damage to it is what ended the
 * plain bytes early.
 */
int dm_list_run(struct dm_source *in, dm_list_fn *show, FILE *out, struct dm_err *err);

#endif
