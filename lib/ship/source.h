/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_SOURCE_H
#define DM_SHIP_SOURCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A descriptor that is read by one thread and can be told by another one to stop. */
struct dm_source {
	int fd;
	int stop;		/* an eventfd */
	_Atomic uint64_t bytes; /* read so far */
	size_t kept, used;	/* bytes looked at, and how many of them were read since */
	unsigned char keep[16];
};

enum { DM_SOURCE_IDLE = -2 };

/*
 * Read from fd, which stays the caller's. Returns 0; -1 with err.
 */
int dm_source_open(struct dm_source *s, int fd, struct dm_err *err);

/*
 * Read what is there, at most len bytes, waiting for the first of them for wait seconds
 * (negative: for ever).
 * Returns the number of bytes; 0 at the end; DM_SOURCE_IDLE when the time is over; -1 with err,
 * also when dm_source_stop() was called.
 */
ssize_t dm_source_some(struct dm_source *s, void *buf, size_t len, double wait, struct dm_err *err);

/*
 * Read len bytes. Returns their number, less than len only at the end; -1 with err.
 */
ssize_t dm_source_full(struct dm_source *s, void *buf, size_t len, struct dm_err *err);

/*
 * Look at the first bytes, before anything was read: as many as there are, at most 16. They will
 * be read all the same. Returns 0 with their address and number; -1 with err.
 */
int dm_source_peek(struct dm_source *s, const unsigned char **p, size_t *len, struct dm_err *err);

/*
 * Make the read that waits, and all later ones, fail. May be called from any thread.
 */
void dm_source_stop(struct dm_source *s);

/*
 * Release what dm_source_open() made.
 */
void dm_source_close(struct dm_source *s);

#endif
