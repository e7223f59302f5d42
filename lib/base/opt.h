/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_OPT_H
#define DM_BASE_OPT_H

#include "base/err.h"

#define DM_VERSION "0.1.0"

/* One option of a tool. --help is printed from the table, so it cannot drift from the code. */
struct dm_opt {
	int key;	  /* a letter for the short form, or a number over 255 for none */
	const char *name; /* the long form, without dashes */
	const char *arg;  /* the argument's name, or NULL when there is none */
	const char *help; /* one line */
};

struct dm_tool {
	const char *name;
	const char *usage;	   /* what follows the name in "usage: NAME ..." */
	const char *about;	   /* one sentence */
	const struct dm_opt *opts; /* ends with {0} */
};

/*
 * Called for each option; arg is NULL for those without one. Returns 0; -1 with err.
 */
typedef int dm_opt_fn(void *ctx, int key, const char *arg, struct dm_err *err);

/*
 * Parse argv with the tool's table, -h/--help and --version included, which print on stdout and
 * end the program. Also sets the program's name for messages, and sees to it that descriptors 0 to 2
 * are taken: a closed one still cannot be read from or written to, but nothing else gets its number.
 * Returns the index of the first operand; -1 with err (DM_USAGE).
 */
int dm_opt_parse(const struct dm_tool *tool, int argc, char **argv, dm_opt_fn *fn, void *ctx,
		 struct dm_err *err);

/*
 * Print the recorded error and return its code, for main's last line. A usage error also names
 * --help.
 */
int dm_opt_die(const struct dm_tool *tool, const struct dm_err *err);

#endif
