/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_TALK_H
#define DM_RUNTIME_TALK_H

/*
 * What is said over the socket "sock" of a pending restore. The supervisor listens; a message is
 * one packet of text. A connection that ends without an answer means that the supervisor died.
 *
 *   who                        says                 hears
 *   create                     create               pid N | failed WHY
 *   CRIU, in pre-restore       script N             yes   (N is CRIU itself)
 *   runc's last hook           hook N               go (or the end)
 *   start                      start                done | failed WHY
 *   CRIU, in pre-resume        decide N             yes | no WHY; it ends the connection when the
 *                                                   decision is taken
 *   kill, delete, dm-restore   abort                ended | running
 */

#include <stddef.h>

#include "base/err.h"
#include "runtime/pending.h"

enum { DM_TALK_MAX = 1200 };

/*
 * Make the socket, anew if there is an old one. Returns a descriptor; -1 with err.
 */
int dm_talk_listen(const struct dm_pending *p, struct dm_err *err);

/*
 * Connect to the supervisor. Returns a descriptor; -1 with err when none listens.
 */
int dm_talk_connect(const struct dm_pending *p, struct dm_err *err);

/*
 * Send one message. Returns 0; -1 when the other side has gone.
 */
int dm_talk_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Wait for one message, for at most seconds (negative: for ever).
 * Returns 1 with it in text; 0 when the other side has gone; -1 when the time is over.
 */
int dm_talk_hear(int fd, double seconds, char text[DM_TALK_MAX]);

enum dm_talk_abort {
	DM_ABORT_NOBODY,  /* no supervisor is there, or it died */
	DM_ABORT_ENDED,	  /* aborted: all of it is dead, and the decision is taken */
	DM_ABORT_RUNNING, /* too late: the container runs by the decision */
	DM_ABORT_SILENT,  /* no answer within the time */
};

/*
 * Ask the supervisor to abort, and wait at most seconds for its answer.
 */
enum dm_talk_abort dm_talk_abort(const struct dm_pending *p, double seconds);

#endif
