/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_REDIS_CHECK_H
#define DM_WORKLOAD_REDIS_CHECK_H

#include "base/err.h"
#include "numbered.h"
#include "resp.h"

/*
 * Read the keys 1 to upto back and print {"checked":N,"missing":N,"wrong":N,...}.
 * Returns 0 if all are there and right, 1 if not; -1 with err if the server did not answer
 * everything, timeout_ms long.
 */
int redis_check(struct resp *r, const struct numbered *keys, uint64_t upto, int timeout_ms,
		struct dm_err *err);

#endif
