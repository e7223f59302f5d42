/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/level.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

bool dm_level_find(struct dm_level *l, uint64_t addr, uint64_t *slot)
{
	const struct dm_extent *e;

	if (addr < l->looked)
		l->at = 0;
	l->looked = addr;
	while (l->at < l->n && l->e[l->at].addr + (uint64_t)l->e[l->at].pages * DM_PAGE <= addr)
		l->at++;
	if (l->at == l->n || l->e[l->at].addr > addr)
		return false;
	e = &l->e[l->at];
	*slot = e->slot + (addr - e->addr) / DM_PAGE;
	return true;
}

static int grow(struct dm_level *l, uint32_t count, struct dm_err *err)
{
	struct dm_fingerprint *f;
	struct dm_extent *e;

	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 16;

		e = realloc(l->e, size * sizeof(*e));
		if (!e)
			return dm_fail_errno(err, "allocate index of pages");
		l->e = e;
		l->size = size;
	}
	if (l->slots + count > l->f_size) {
		uint64_t size = l->f_size ? l->f_size : 256;

		while (size < l->slots + count)
			size *= 2;
		f = realloc(l->f, size * sizeof(*f));
		if (!f)
			return dm_fail_errno(err, "allocate index of pages");
		l->f = f;
		l->f_size = size;
	}
	return 0;
}

uint64_t dm_level_append(struct dm_level *l, uint64_t addr, uint32_t count, struct dm_err *err)
{
	struct dm_extent *last = l->n ? &l->e[l->n - 1] : NULL;
	uint64_t end = last ? last->addr + (uint64_t)last->pages * DM_PAGE : 0;
	uint64_t slot = l->slots;

	if (addr < end) {
		dm_fail(err, DM_BAD_STREAM, "stream: pages of a round are not in order");
		return UINT64_MAX;
	}
	if (grow(l, count, err))
		return UINT64_MAX;
	last = l->n ? &l->e[l->n - 1] : NULL; /* it may have moved */
	if (last && addr == end && last->pages <= UINT32_MAX - count) {
		last->pages += count;
		if (l->at == l->n) /* a look-up had gone past it */
			l->at--;
	} else {
		l->e[l->n++] = (struct dm_extent){addr, slot, count};
	}
	l->slots += count;
	return slot;
}

/* Zeros take no room: a hole where there were bytes, a longer file where there was none. */
static int write_zeros(int fd, off_t at, off_t len)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return -1;
	if (at < size && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len))
		return -1;
	return at + len > size ? ftruncate(fd, at + len) : 0;
}

int dm_level_write(struct dm_level *l, uint64_t slot, uint32_t count, const void *bytes,
		   uint64_t seed, struct dm_err *err)
{
	static const uint8_t zeros[DM_PAGE];
	size_t len = (size_t)count * DM_PAGE;
	off_t at = (off_t)(slot * DM_PAGE);
	struct dm_fingerprint zero;

	if (bytes ? dm_pwrite_full(l->fd, bytes, len, at) : write_zeros(l->fd, at, (off_t)len))
		return dm_fail_errno(err, "write pages image");
	if (bytes) {
		for (uint32_t i = 0; i < count; i++)
			l->f[slot + i] = dm_fingerprint_of(
				(const uint8_t *)bytes + (size_t)i * DM_PAGE, seed);
	} else {
		zero = dm_fingerprint_of(zeros, seed);
		for (uint32_t i = 0; i < count; i++)
			l->f[slot + i] = zero;
	}
	return 0;
}

void dm_level_clear(struct dm_level *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->e);
	free(l->f);
	*l = (struct dm_level){.fd = -1};
}
