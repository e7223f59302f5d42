/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_ERR_H
#define DM_BASE_ERR_H

/*
 * Errors. A function that can fail takes a struct dm_err, fills it with one line that names the
 * operation and the object, and returns -1 (or NULL). Nobody prints on the way up: main prints
 * the line once and ends with the code.
 */

/* The exit codes of every tool; documented in docker-migrate(7). */
enum dm_code {
	DM_OK = 0,
	DM_FAILURE = 1,	    /* the operation failed */
	DM_USAGE = 2,	    /* the command line is wrong */
	DM_UNFIT = 3,	    /* a precondition does not hold; nothing was changed */
	DM_BAD_STREAM = 4,  /* the input is truncated, corrupt, foreign or out of order */
	DM_ROLLED_BACK = 5, /* the move failed and the container runs on at the source */
	DM_UNKNOWN = 6,	    /* the outcome is unknown: the container stays frozen at the source */
};

struct dm_err {
	enum dm_code code;
	char msg[1024];
};

/*
 * Record an error: the code and the printf-style line.
 * Returns -1 always, so that a caller can write "return dm_fail(...)".
 */
int dm_fail(struct dm_err *err, enum dm_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Like dm_fail() with DM_FAILURE, and ": " and the text of errno at the end. Returns -1.
 */
int dm_fail_errno(struct dm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Put "PREFIX: " in front of the line already recorded in err. Returns -1.
 */
int dm_fail_prefix(struct dm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The name that messages on stderr begin with; main sets it once. The string must stay valid.
 */
void dm_set_program(const char *name);

/*
 * The name set with dm_set_program().
 */
const char *dm_program(void);

/*
 * Print one line "NAME: ..." on stderr, in a single write. Control bytes in the text are shown
 * as '?', since names come from containers. errno stays as it is.
 */
void dm_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
