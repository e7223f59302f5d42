/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_LINES_H
#define DM_WORKLOAD_LINES_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A file of numbered lines, one more each 10 ms, written by a thread of its own (a slow disk must
 * not look like a pause). The number of lines is kept in memory, so that disk and memory can be
 * compared.
 */
struct lines {
	const char *path;
	int fd;
	uint64_t count; /* under lock, as the next */
	int failed;	/* errno of the write that ended it, or 0 */
	pthread_mutex_t lock;
};

/*
 * Make or empty the file path (kept, not copied) and start the writer.
 * Returns 0; -1 with err.
 */
int lines_start(struct lines *l, const char *path, struct dm_err *err);

/*
 * Read the file back, by its path: it must hold the lines counted in memory, all and no more.
 * The writer waits meanwhile. Returns 0; -1 with err. The number of lines is in *count.
 */
int lines_check(struct lines *l, uint64_t *count, struct dm_err *err);

#endif
