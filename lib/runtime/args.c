/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/args.h"

#include <stddef.h>
#include <string.h>

static const char *const with_value[] = {
	"root",	    "log",	"log-format", "criu",		"rootless",	"b",
	"bundle",   "pid-file", "process",    "console-socket", "pidfd-socket", "preserve-fds",
	"log-level"};

static bool takes_value(const char *name)
{
	for (size_t i = 0; i < sizeof(with_value) / sizeof(*with_value); i++)
		if (!strcmp(name, with_value[i]))
			return true;
	return false;
}

static bool is(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && !strncmp(name, want, len);
}

/* One option with its value; the value is NULL for a flag. */
static void take(struct dm_args *a, const char *name, size_t len, const char *value)
{
	if (is(name, len, "no-pivot"))
		a->no_pivot = !value || strcmp(value, "false") != 0;
	if (!value)
		return;
	if (is(name, len, "root"))
		a->root = value;
	else if (is(name, len, "log"))
		a->log = value;
	else if (is(name, len, "log-format"))
		a->log_json = !strcmp(value, "json");
	else if (is(name, len, "bundle") || is(name, len, "b"))
		a->bundle = value;
	else if (is(name, len, "pid-file"))
		a->pid_file = value;
}

/* Read options from argv[i] on; returns the index of the first word that is none. */
static int options(int argc, char **argv, int i, struct dm_args *a)
{
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + 1 + (argv[i][1] == '-');
		const char *eq = strchr(name, '=');

		if (!*name) /* "--" */
			return i + 1;
		if (eq)
			take(a, name, (size_t)(eq - name), eq + 1);
		else if (takes_value(name) && i + 1 < argc)
			take(a, name, strlen(name), argv[++i]);
		else
			take(a, name, strlen(name), NULL);
	}
	return i;
}

void dm_args_read(int argc, char **argv, struct dm_args *out)
{
	int i;

	*out = (struct dm_args){.root = "/run/runc", .bundle = ".", .globals = argv + 1};
	i = options(argc, argv, 1, out);
	out->n_globals = i - 1;
	if (i >= argc)
		return;
	out->verb = argv[i];
	i = options(argc, argv, i + 1, out);
	if (i < argc)
		out->id = argv[i];
}
