/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_ARGS_H
#define DM_RUNTIME_ARGS_H

/* The command line of an OCI runtime, as runc defines it: [GLOBAL OPTION]... VERB [OPTION]... ID.
 */

#include <stdbool.h>

struct dm_args {
	char **globals; /* the global options, n_globals words of argv */
	int n_globals;
	const char *verb;     /* NULL when there is none */
	const char *id;	      /* the first operand, or NULL */
	const char *root;     /* --root; runc's default when it is not given */
	const char *log;      /* --log, or NULL */
	bool log_json;	      /* --log-format json */
	const char *bundle;   /* --bundle; "." when it is not given */
	const char *pid_file; /* --pid-file, or NULL */
	bool no_pivot;	      /* --no-pivot */
};

/*
 * Read the command line. What it does not know it takes for an option without a value: runc is
 * the one who complains. All strings belong to argv.
 */
void dm_args_read(int argc, char **argv, struct dm_args *out);

#endif
