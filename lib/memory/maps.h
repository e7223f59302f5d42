/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_MEMORY_MAPS_H
#define DM_MEMORY_MAPS_H

/* The mappings of a live process, from /proc/PID/maps, and which of their pages are there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum dm_map_kind {
	DM_MAP_OTHER,	/* a file's own pages, devices, special ones: left to CRIU */
	DM_MAP_ANON,	/* private: every page that is there is the process's own */
	DM_MAP_PRIVATE, /* private, of a file: only pages that were written to are */
	DM_MAP_SHMEM,	/* shared memory without a name: an object of its own */
	DM_MAP_LAST,	/* hugetlb, AIO rings: sent whole with the last level */
};

struct dm_map {
	uint64_t start, end;
	enum dm_map_kind kind;
	uint64_t inode; /* of shared memory */
};

struct dm_maps {
	struct dm_map *m; /* ascending */
	size_t n;
};

/*
 * Read the mappings of pid. Free with dm_maps_free().
 * Returns 1; 0 when the process has gone, or has no memory; -1 with err.
 */
int dm_maps_read(pid_t pid, struct dm_maps *out, struct dm_err *err);
void dm_maps_free(struct dm_maps *m);

/*
 * The kind of the mapping that holds addr; DM_MAP_OTHER when there is none.
 */
enum dm_map_kind dm_maps_kind(const struct dm_maps *m, uint64_t addr);

/*
 * Which pages of n from addr on are in memory now, and would be dumped: here[i] is set to 1 or 0.
 * pagemap_fd is that of /proc/PID/pagemap. Swapped pages count as not here: reading one would
 * charge the container. Returns 0; -1 with errno.
 */
int dm_maps_present(int pagemap_fd, enum dm_map_kind kind, uint64_t addr, size_t n, uint8_t *here);

#endif
