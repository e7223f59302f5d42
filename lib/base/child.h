/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_CHILD_H
#define DM_BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* How a child process is started. Descriptors of -1 mean /dev/null; 0 to 2 may be given as such. */
struct dm_child {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;	 /* "NAME=value" strings put on top of our own, or NULL */
	int in, out, err;	 /* its stdin, stdout and stderr */
	bool session;		 /* in a session of its own: ctrl-C does not reach it */
};

/*
 * Start the child. Every other descriptor that is not close-on-exec stays open in it.
 * Returns its pid, to be reaped with dm_child_wait(); -1 with err (DM_UNFIT when the program is
 * missing).
 */
pid_t dm_child_start(const struct dm_child *c, struct dm_err *err);

/*
 * Wait for pid for at most seconds (negative: for ever), then kill it and everything in its
 * session with SIGKILL. what names it in messages.
 * Returns its exit code (128 + the signal's number if one ended it); -1 with err on time-out.
 */
int dm_child_wait(pid_t pid, const char *what, double seconds, struct dm_err *err);

/*
 * Run argv to its end, stdin from /dev/null, and gather what it writes to stdout and stderr
 * together in *out (NULL: thrown away; otherwise NUL-terminated, to be freed with dm_buf_free()).
 * Returns 0 when it exited with 0; -1 with err, which holds the end of its output.
 */
int dm_child_run(const char *const *argv, double seconds, struct dm_buf *out, struct dm_err *err);

#endif
