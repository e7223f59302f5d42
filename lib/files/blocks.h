/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_BLOCKS_H
#define DM_FILES_BLOCKS_H

/*
 * The contents of a regular file as a row of blocks of one size, with a fingerprint each, and the
 * map of where it has data. The size of a block depends on the file's size alone, so that no file
 * has more than 2^18 of them: 64 KiB up to 16 GiB, then twice that, and so on.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The largest file that is carried, in bytes; a sparse file may claim to be any size. */
#define DM_BLOCK_MAX_SIZE ((uint64_t)1 << 46)

/* A run of data in a file: the bytes from .. to-1. */
struct dm_extent {
	uint64_t from, to;
};

struct dm_blocks;

/*
 * Called with the bytes of a block, piece by piece. Returns 0; -1 with err.
 */
typedef int dm_blocks_fn(void *ctx, const void *bytes, size_t len, struct dm_err *err);

/*
 * The size of a block, in bytes, in a file of size bytes.
 */
uint64_t dm_block_size(uint64_t size);

/*
 * The number of blocks in a file of size bytes.
 */
uint64_t dm_block_count(uint64_t size);

/*
 * A reader of files; the fingerprints are XXH3 with 128 bits and this seed. Free it with
 * dm_blocks_free(). Returns NULL with err.
 */
struct dm_blocks *dm_blocks_new(uint64_t seed, struct dm_err *err);

/*
 * Free b; NULL is fine.
 */
void dm_blocks_free(struct dm_blocks *b);

/*
 * Read from now on from fd, which stays the caller's, a regular file taken to have size bytes
 * (at most DM_BLOCK_MAX_SIZE), and find its runs of data. The call also waits until a write() has
 * ended that was under way when it began, where the file system has a lock for that.
 * what names the file in messages; it must stay valid. Returns 0; -1 with err.
 */
int dm_blocks_open(struct dm_blocks *b, int fd, uint64_t size, const char *what,
		   struct dm_err *err);

/*
 * The runs of data found, in order, and their number in *n. A short hole may be inside a run.
 * Valid until the next dm_blocks_open().
 */
const struct dm_extent *dm_blocks_data(const struct dm_blocks *b, size_t *n);

/*
 * Read block i, write its fingerprint (DM_SUM_SIZE bytes) to sum, and give the same bytes to fn
 * unless it is NULL. What lies outside the runs of data, or behind the end when the file shrank,
 * is zeros. A block without data has the fingerprint 0 and is given to fn, but not read.
 * Returns 0; -1 with err.
 */
int dm_blocks_read(struct dm_blocks *b, uint64_t i, unsigned char *sum, dm_blocks_fn *fn, void *ctx,
		   struct dm_err *err);

#endif
