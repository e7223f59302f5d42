/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_RESP_H
#define DM_WORKLOAD_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A connection to a Redis server, which may be at one of several addresses. Nothing here blocks
 * for longer than the time given.
 */
struct resp {
	const char *addresses; /* A[,A...]; each IPV4:PORT, [IPV6]:PORT, or a path with a slash */
	unsigned turn;	       /* the address to be tried next */
	int fd;		       /* -1: not connected */
	struct dm_buf out, in;
	size_t taken; /* bytes of in that were parsed */
};

/* One item of a reply. The elements of an array follow as items of their own. */
struct resp_item {
	char type;	  /* '+' '-' ':' '$' '*' */
	bool nil;	  /* '$' without a value */
	const char *text; /* valid until the next resp_pump() */
	size_t len;	  /* of text; for '*' the number of elements */
};

/*
 * Start without a connection; addresses is kept, not copied. Their form is checked.
 * Returns 0; -1 with err (DM_USAGE).
 */
int resp_init(struct resp *r, const char *addresses, struct dm_err *err);

/*
 * Connect to the next address in turn within timeout_ms.
 * Returns 0; -1 with err, and the next call tries the next address.
 */
int resp_connect(struct resp *r, int timeout_ms, struct dm_err *err);

/*
 * Close the connection and forget what was in the buffers.
 */
void resp_close(struct resp *r);

/*
 * Queue a command of count words (not for longer than memory lasts: it exits when there is none).
 */
void resp_command(struct resp *r, size_t count);
void resp_word(struct resp *r, const void *text, size_t len);

/*
 * Send what is queued and receive what is there; wait up to wait_ns for either. A signal ends the
 * waiting. Returns 0; -1 with err if the connection is broken.
 */
int resp_pump(struct resp *r, int64_t wait_ns, struct dm_err *err);

/*
 * Take the next item of the replies received.
 * Returns 1 with *item; 0 if it is not there yet; -1 with err if it is no RESP.
 */
int resp_take(struct resp *r, struct resp_item *item, struct dm_err *err);

#endif
