/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_FINAL_H
#define DM_MEMORY_FINAL_H

#include "base/err.h"
#include "container/tasks.h"
#include "memory/held.h"
#include "memory/sender.h"
#include "stream/writer.h"

/*
 * Send a dump: CRIU's images in the folder images as they are, but of the pages only those that
 * the target does not hold; then which pages the final state has, and its digest. tasks are the
 * frozen processes, whose mappings tell which pages are always sent. number is the round's.
 * Returns 0 with what was counted in *count; -1 with err.
 */
int dm_final_send(int images, const struct dm_tasks *tasks, struct dm_held *held, uint64_t seed,
		  uint32_t number, struct dm_writer *w, struct dm_sender_count *count,
		  struct dm_err *err);

#endif
