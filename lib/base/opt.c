/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/usage.h"

enum { MAX_OPTS = 48, KEY_HELP = 'h', KEY_VERSION = 0x7f00 };

static void finish_stdout(const struct dm_tool *tool)
{
	struct dm_err err;

	exit(dm_close_stdout(&err) ? dm_opt_die(tool, &err) : DM_OK);
}

static void show_one(const struct dm_opt *o)
{
	char left[64];
	int n;

	n = o->key < 256 ? snprintf(left, sizeof(left), "  -%c, --%s", o->key, o->name)
			 : snprintf(left, sizeof(left), "      --%s", o->name);
	if (o->arg)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->arg);
	printf("%-30s %s\n", left, o->help);
}

static void show_help(const struct dm_tool *tool)
{
	static const struct dm_opt common[] = {
		{KEY_HELP, "help", NULL, "print this and exit"},
		{KEY_VERSION, "version", NULL, "print the version and exit"}};

	printf("usage: %s %s\n%s\n\n", tool->name, tool->usage, tool->about);
	for (const struct dm_opt *o = tool->opts; o->name; o++)
		show_one(o);
	show_one(&common[0]);
	show_one(&common[1]);
	finish_stdout(tool);
}

/* A closed descriptor must not become the next thing that is opened. To read from or write to what
 * takes its place fails as before. */
static void hold_descriptors(void)
{
	static const int wrong_way[] = {O_WRONLY, O_RDONLY, O_WRONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong_way[fd]) != fd)
			exit(DM_FAILURE);
}

int dm_opt_parse(const struct dm_tool *tool, int argc, char **argv, dm_opt_fn *fn, void *ctx,
		 struct dm_err *err)
{
	struct option longs[MAX_OPTS + 3] = {{0}};
	char shorts[2 * MAX_OPTS + 4] = ":h", *s = shorts + 2;
	int n = 0, c;

	hold_descriptors();
	dm_set_program(tool->name);
	dm_usage_begin();
	for (const struct dm_opt *o = tool->opts; o->name && n < MAX_OPTS; o++, n++) {
		longs[n] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL,
					   o->key};
		if (o->key < 256) {
			*s++ = (char)o->key;
			if (o->arg)
				*s++ = ':';
		}
	}
	*s = '\0';
	longs[n++] = (struct option){"help", no_argument, NULL, KEY_HELP};
	longs[n++] = (struct option){"version", no_argument, NULL, KEY_VERSION};

	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		switch (c) {
		case KEY_HELP:
			show_help(tool);
			break;
		case KEY_VERSION:
			printf("%s (docker-migrate) %s\n", tool->name, DM_VERSION);
			finish_stdout(tool);
			break;
		case '?': /* a letter of ours is here for a long option with a "=" too many */
			if (optopt > 0 && optopt < 256 && !strchr(shorts, optopt))
				return dm_fail(err, DM_USAGE, "unknown option -%c", optopt);
			return dm_fail(err, DM_USAGE, "unknown option %s", argv[optind - 1]);
		case ':':
			return dm_fail(err, DM_USAGE, "option %s needs an argument",
				       argv[optind - 1]);
		default:
			if (fn(ctx, c, optarg, err))
				return -1;
		}
	}
	return optind;
}

int dm_opt_die(const struct dm_tool *tool, const struct dm_err *err)
{
	dm_say("%s", err->msg);
	if (err->code == DM_USAGE)
		dm_say("try: %s --help", tool->name);
	return (int)err->code;
}
