/* SPDX-License-Identifier: Apache-2.0 */
#include "files/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "files/manifest.h"

enum {
	BLOCK_MIN = 64 << 10,
	BLOCKS_MAX = 1 << 18,
	HOLE_MIN = 4 << 10,
	RUNS_MAX = 1 << 16,
	PIECE = 256 << 10, /* read and handed on at once */
};

struct dm_blocks {
	int fd;
	uint64_t size, seed;
	const char *what;
	struct dm_buf runs; /* of struct dm_extent */
	size_t at;	    /* the run where the last search ended */
	XXH3_state_t *hash;
	unsigned char *piece;
};

/* Zeros, for blocks without data. */
static const unsigned char zeros[PIECE];

uint64_t dm_block_size(uint64_t size)
{
	uint64_t bs = BLOCK_MIN;

	while (size / bs >= BLOCKS_MAX)
		bs *= 2;
	return bs;
}

uint64_t dm_block_count(uint64_t size)
{
	uint64_t bs = dm_block_size(size);

	return size / bs + (size % bs != 0);
}

struct dm_blocks *dm_blocks_new(uint64_t seed, struct dm_err *err)
{
	struct dm_blocks *b = calloc(1, sizeof(*b));

	if (b) {
		b->hash = XXH3_createState();
		b->piece = malloc(PIECE);
	}
	if (!b || !b->hash || !b->piece) {
		dm_fail_errno(err, "allocate a reader of files");
		dm_blocks_free(b);
		return NULL;
	}
	b->seed = seed;
	return b;
}

void dm_blocks_free(struct dm_blocks *b)
{
	if (!b)
		return;
	XXH3_freeState(b->hash);
	free(b->piece);
	dm_buf_free(&b->runs);
	free(b);
}

static int add_run(struct dm_blocks *b, uint64_t from, uint64_t to, struct dm_err *err)
{
	struct dm_extent e = {from, to};

	return dm_buf_add(&b->runs, &e, sizeof(e), err);
}

int dm_blocks_open(struct dm_blocks *b, int fd, uint64_t size, const char *what, struct dm_err *err)
{
	/* A run is taken to be at least this long, so their number is bounded. */
	uint64_t least = HOLE_MIN, pos = 0;
	off_t data, hole;

	while (size / least >= RUNS_MAX)
		least *= 2;
	b->fd = fd;
	b->size = size;
	b->what = what;
	b->runs.len = 0;
	b->at = 0;
	while (pos < size) {
		data = lseek(fd, (off_t)pos, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0 && errno == EINVAL) /* the file system keeps no map */
			return add_run(b, pos, size, err);
		if (data < 0)
			return dm_fail_errno(err, "find the data of %s", what);
		if ((uint64_t)data >= size)
			break;
		pos = size - (uint64_t)data > least ? (uint64_t)data + least : size;
		hole = lseek(fd, (off_t)pos, SEEK_HOLE);
		if (hole < 0 && errno != ENXIO)
			return dm_fail_errno(err, "find the data of %s", what);
		if (hole > 0 && (uint64_t)hole > pos)
			pos = (uint64_t)hole < size ? (uint64_t)hole : size;
		if (add_run(b, (uint64_t)data, pos, err))
			return -1;
	}
	return 0;
}

const struct dm_extent *dm_blocks_data(const struct dm_blocks *b, size_t *n)
{
	*n = b->runs.len / sizeof(struct dm_extent);
	return (const struct dm_extent *)(const void *)b->runs.data;
}

/* The first run that ends behind off; the number of runs if there is none. */
static size_t seek_run(struct dm_blocks *b, uint64_t off)
{
	size_t n;
	const struct dm_extent *run = dm_blocks_data(b, &n);

	if (b->at > 0 && run[b->at - 1].to > off)
		b->at = 0;
	while (b->at < n && run[b->at].to <= off)
		b->at++;
	return b->at;
}

/* Read the bytes from .. to-1, all of them data. What is missing at the end is zeros. */
static int read_data(struct dm_blocks *b, unsigned char *out, uint64_t from, uint64_t to,
		     struct dm_err *err)
{
	while (from < to) {
		ssize_t n = pread(b->fd, out, to - from, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dm_fail_errno(err, "read %s", b->what);
		if (n == 0) {
			memset(out, 0, to - from);
			break;
		}
		out += n;
		from += (uint64_t)n;
	}
	return 0;
}

/* Fill the piece with the bytes from .. to-1. */
static int fill(struct dm_blocks *b, uint64_t from, uint64_t to, struct dm_err *err)
{
	size_t n, i = seek_run(b, from);
	const struct dm_extent *run = dm_blocks_data(b, &n);
	uint64_t pos = from, a, e;

	for (; i < n && run[i].from < to; i++) {
		a = run[i].from > from ? run[i].from : from;
		e = run[i].to < to ? run[i].to : to;
		memset(b->piece + (pos - from), 0, a - pos);
		if (read_data(b, b->piece + (a - from), a, e, err))
			return -1;
		pos = e;
	}
	memset(b->piece + (pos - from), 0, to - pos);
	return 0;
}

/* Give the bytes from .. to-1 of a hole to fn. */
static int give_zeros(uint64_t n, dm_blocks_fn *fn, void *ctx, struct dm_err *err)
{
	while (n > 0) {
		size_t part = n < sizeof(zeros) ? n : sizeof(zeros);

		if (fn(ctx, zeros, part, err))
			return -1;
		n -= part;
	}
	return 0;
}

int dm_blocks_read(struct dm_blocks *b, uint64_t i, unsigned char *sum, dm_blocks_fn *fn, void *ctx,
		   struct dm_err *err)
{
	uint64_t bs = dm_block_size(b->size);
	uint64_t from = i * bs, to = b->size - from > bs ? from + bs : b->size, e;
	size_t n, at = seek_run(b, from);
	const struct dm_extent *run = dm_blocks_data(b, &n);
	XXH128_canonical_t c;

	if (at == n || run[at].from >= to) {
		memset(sum, 0, DM_SUM_SIZE);
		return fn ? give_zeros(to - from, fn, ctx, err) : 0;
	}
	XXH3_128bits_reset_withSeed(b->hash, b->seed);
	for (; from < to; from = e) {
		e = to - from > PIECE ? from + PIECE : to;
		if (fill(b, from, e, err))
			return -1;
		XXH3_128bits_update(b->hash, b->piece, e - from);
		if (fn && fn(ctx, b->piece, e - from, err))
			return -1;
	}
	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(b->hash));
	memcpy(sum, c.digest, DM_SUM_SIZE);
	return 0;
}
