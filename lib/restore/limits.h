/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_LIMITS_H
#define DM_RESTORE_LIMITS_H

/* What the page store may take of this host. */

#include <stdint.h>

/*
 * The most pages that a stream may bring. A few bytes of it can tell of any number of pages of
 * zeros, and each takes a fingerprint here. Pages that were sent in a round and are gone since
 * count, too: a container may send more than fits into its memory, but not many times what fits
 * into the host's.
 */
uint64_t dm_limits_pages(void);

/*
 * Raise the limit of this process's open files as far as it may be: the store keeps an image open
 * for each process and level, and that is more than a shell allows unasked.
 */
void dm_limits_descriptors(void);

#endif
