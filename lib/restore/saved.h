/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_SAVED_H
#define DM_RESTORE_SAVED_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Whether the stream of migration id, which was saved in a file, may be restored here: wanted says
 * that the user knows what that means. An earlier attempt that failed is set aside.
 * Returns 0; -1 with err (DM_UNFIT).
 */
int dm_saved_check(const char *id, bool wanted, struct dm_err *err);

#endif
