/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of the tools. */
#include "test.h"

#include <getopt.h>

#include "base/opt.h"
#include "tool.h"

static const struct dm_opt opts[] = {
	{'d', "decode", NULL, "unwrap"},
	{'n', "name", "NAME", "who"},
	{256, "limit", "SIZE", "how much"},
	{257, "list", NULL, "tell"},
	{0},
};

static const struct dm_tool tool = {"dm-it", "[options] THING", "Does it.", opts};

static struct dm_err err;
static char seen[256];

static int on_option(void *ctx, int key, const char *arg, struct dm_err *e)
{
	size_t n = strlen(seen);

	CHECK(ctx == seen);
	if (arg && !strcmp(arg, "bad"))
		return dm_fail(e, DM_USAGE, "bad name");
	snprintf(seen + n, sizeof(seen) - n, key < 256 ? "%c=%s " : "%d=%s ", key, arg ? arg : "-");
	return 0;
}

/* Parse a command line without the program's name; the options met are in seen. */
static int parse(char *const *args)
{
	char *argv[16] = {(char *)(uintptr_t) "dm-it"};
	int n = 1;

	for (; *args; args++)
		argv[n++] = *args;
	seen[0] = '\0';
	err = (struct dm_err){0};
	optind = 0; /* getopt begins anew */
	return dm_opt_parse(&tool, n, argv, on_option, seen, &err);
}

#define PARSE(...) parse((char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

TEST(options_in_all_their_forms)
{
	CHECK_INT(PARSE(), 1);
	CHECK_STR(seen, "");
	CHECK_INT(PARSE("-d", "--name", "x", "--limit=5", "thing"), 5);
	CHECK_STR(seen, "d=- n=x 256=5 ");
	CHECK_INT(PARSE("-dn", "x", "--list"), 4);
	CHECK_STR(seen, "d=- n=x 257=- ");
	CHECK_INT(PARSE("-nx", "--", "-d"), 3);
	CHECK_STR(seen, "n=x ");
	CHECK_INT(PARSE("thing", "-d"), 2);
	CHECK_STR(seen, "d=- ");
	CHECK_INT(PARSE("--name="), 2);
	CHECK_STR(seen, "n= ");
	CHECK_STR(dm_program(), "dm-it");
}

TEST(wrong_options_are_named)
{
	CHECK_INT(PARSE("--unknown"), -1);
	CHECK_INT(err.code, DM_USAGE);
	CHECK_STR(err.msg, "unknown option --unknown");
	CHECK_INT(PARSE("--list", "-x"), -1);
	CHECK_STR(err.msg, "unknown option -x");
	CHECK_INT(PARSE("--list", "-dxd"), -1);
	CHECK_STR(err.msg, "unknown option -x");
	CHECK_INT(PARSE("-xd"), -1);
	CHECK_STR(err.msg, "unknown option -x");
	CHECK_INT(PARSE("--list=3"), -1);
	CHECK_INT(err.code, DM_USAGE);
	CHECK_INT(PARSE("--name"), -1);
	CHECK_STR(err.msg, "option --name needs an argument");
	CHECK_INT(PARSE("-n"), -1);
	CHECK_STR(err.msg, "option -n needs an argument");
	CHECK_INT(PARSE("--name", "bad", "--list"), -1);
	CHECK_STR(err.msg, "bad name");
	CHECK_STR(seen, "");
}

/* The exit code of a run whose stdout goes to fd; what it wrote to stderr is in *said. */
static int run(const char *option, int fd, char **said)
{
	struct capture c = capture_begin(2);
	pid_t pid = fork();
	int code;

	MUST(pid >= 0);
	if (pid == 0) {
		if (fd < 0)
			close(1);
		else
			dup2(fd, 1);
		dm_set_program("other");
		PARSE((char *)(uintptr_t)option);
		_exit(99);
	}
	code = exit_code(pid);
	*said = capture_end(c);
	return code;
}

TEST(help_names_every_option_and_ends)
{
	int file = memory_file("", 0);
	char *said, *text;

	CHECK_INT(run("--help", file, &said), 0);
	CHECK_STR(said, "");
	text = take_all(file, NULL);
	CHECK(strstr(text, "usage: dm-it [options] THING\nDoes it.\n\n"));
	CHECK(strstr(text, "\n  -d, --decode "));
	CHECK(strstr(text, "\n  -n, --name NAME "));
	CHECK(strstr(text, "\n      --limit SIZE "));
	CHECK(strstr(text, " tell\n"));
	CHECK(strstr(text, "\n  -h, --help "));
	CHECK(strstr(text, "\n      --version "));
	free(text);
	free(said);
	file = memory_file("", 0);
	CHECK_INT(run("--version", file, &said), 0);
	text = take_all(file, NULL);
	CHECK_STR(text, "dm-it (docker-migrate) " DM_VERSION "\n");
	free(text);
	free(said);
}

TEST(help_that_cannot_be_written_is_a_failure)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char *said;

	CHECK_INT(run("-h", full, &said), DM_FAILURE);
	CHECK(!strncmp(said, "dm-it: write standard output: ", 30));
	free(said);
	CHECK_INT(run("--version", -1, &said), DM_FAILURE);
	CHECK(!strncmp(said, "dm-it: write standard output: ", 30));
	free(said);
	close(full);
}

TEST(closed_descriptors_are_not_handed_out)
{
	char *said;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		PARSE();
		if (open("/dev/null", O_RDWR) < 3)
			_exit(1);
		_exit(read(0, seen, 1) < 0 && write(1, seen, 1) < 0 && write(2, seen, 1) == 1 ? 0
											      : 2);
	}
	CHECK_INT(exit_code(pid), 0);
	CHECK_INT(run("--list", 1, &said), 99);
	free(said);
}

TEST(death_tells_the_line_and_the_code)
{
	static const enum dm_code codes[] = {DM_FAILURE, DM_UNFIT, DM_BAD_STREAM, DM_ROLLED_BACK,
					     DM_UNKNOWN};
	struct capture c;
	char *said;

	PARSE();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		dm_fail(&err, codes[i], "it broke");
		c = capture_begin(2);
		CHECK_INT(dm_opt_die(&tool, &err), codes[i]);
		said = capture_end(c);
		CHECK_STR(said, "dm-it: it broke\n");
		free(said);
	}
	dm_fail(&err, DM_USAGE, "it is wrong");
	c = capture_begin(2);
	CHECK_INT(dm_opt_die(&tool, &err), 2);
	said = capture_end(c);
	CHECK_STR(said, "dm-it: it is wrong\ndm-it: try: dm-it --help\n");
	free(said);
}
