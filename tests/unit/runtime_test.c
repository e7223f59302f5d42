/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of dm-runtime that need no process: command lines, config.json, CRIU's log. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "runtime/args.h"
#include "runtime/bigint.h"
#include "runtime/bundle.h"
#include "runtime/criulog.h"
#include "runtime/procs.h"
#include "test.h"

#define ARGS(...)                                                                                  \
	char *argv[] = {__VA_ARGS__, NULL};                                                        \
	struct dm_args a;                                                                          \
	dm_args_read((int)(sizeof(argv) / sizeof(*argv)) - 1, argv, &a)

TEST(the_command_line_that_the_shim_gives)
{
	ARGS("dm-runtime", "--root", "/r", "--log", "/l", "--log-format", "json",
	     "--systemd-cgroup", "create", "--bundle", "/b", "--pid-file", "/p", "--no-pivot",
	     "ID");

	CHECK_STR(a.root, "/r");
	CHECK_STR(a.log, "/l");
	CHECK(a.log_json);
	CHECK_INT(a.n_globals, 7);
	CHECK(a.globals == argv + 1);
	CHECK_STR(a.verb, "create");
	CHECK_STR(a.bundle, "/b");
	CHECK_STR(a.pid_file, "/p");
	CHECK(a.no_pivot);
	CHECK_STR(a.id, "ID");
}

TEST(options_with_an_equals_sign_or_one_dash)
{
	ARGS("x", "-root=/r", "--log-format=text", "delete", "-f", "ID", "--force");

	CHECK_STR(a.root, "/r");
	CHECK(!a.log_json);
	CHECK_STR(a.verb, "delete");
	CHECK_STR(a.id, "ID");
}

TEST(command_lines_without_a_verb_or_an_id)
{
	{
		ARGS("x");
		CHECK(!a.verb && !a.id);
		CHECK_INT(a.n_globals, 0);
	}
	{
		ARGS("x", "--version");
		CHECK(!a.verb && !a.id);
	}
	{
		ARGS("x", "create", "--bundle");
		CHECK_STR(a.verb, "create");
		CHECK(!a.id);
	}
	{
		ARGS("x", "kill", "--", "ID", "9");
		CHECK_STR(a.id, "ID");
	}
	{
		ARGS("x", "kill", "", "9");
		CHECK_STR(a.id, "");
	}
}

static void through(const char *text, const char *want)
{
	struct dm_buf hidden = {0}, shown = {0};
	char mark[DM_BIGINT_MARK];
	struct dm_err err;

	CHECK_INT(dm_bigint_hide(text, strlen(text), mark, &hidden, &err), 0);
	if (want)
		CHECK(hidden.len == strlen(want) && !memcmp(hidden.data, want, hidden.len));
	CHECK_INT(dm_buf_add(&hidden, "", 1, &err), 0);
	CHECK_INT(dm_bigint_show(hidden.data, mark, &shown, &err), 0);
	CHECK_STR(shown.data, text);
	dm_buf_free(&hidden);
	dm_buf_free(&shown);
}

TEST(big_numbers_are_hidden_and_shown_again)
{
	through("{\"a\":18446744073709551615,\"b\":[1,-9223372036854775808]}",
		"{\"a\":\"@number-0:18446744073709551615\",\"b\":[1,\"@number-0:-"
		"9223372036854775808\"]}");
	through("[1.0000000000000000000001,1e400,123456789012345678]",
		"[\"@number-0:1.0000000000000000000001\",\"@number-0:1e400\","
		"123456789012345678]");
	through("[\"18446744073709551615\",\"\\\"18446744073709551615\",\"\\\\\","
		"18446744073709551615]",
		NULL);
	through("[\"@number-0:5\",\"@number-1:\",18446744073709551615]",
		"[\"@number-0:5\",\"@number-1:\",\"@number-2:18446744073709551615\"]");
	through("\"unfinished", NULL);
	through("\"\\", NULL);
	through("", NULL);
}

static char folder[] = "/tmp/dm-runtime-test.XXXXXX";

/* A pending folder that holds the file path with that text. */
static struct dm_pending put(const char *path, const char *text)
{
	struct dm_pending p = {.id = "x"};
	struct dm_err err;
	int fd;

	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder) || dm_pending_open_path(folder, &p, &err) != 1)
		abort();
	mkdirat(p.dir, "work", 0700);
	if (path) {
		fd = openat(p.dir, path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || dm_write_full(fd, text, strlen(text)))
			abort();
		close(fd);
	}
	return p;
}

static void away(struct dm_pending *p)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);
	struct dm_err err;

	close(p->dir);
	CHECK_INT(dm_dir_remove(tmp, strrchr(folder, '/') + 1, &err), 0);
	close(tmp);
}

static char *edited(const char *config)
{
	static const char *const hook[] = {"x", "y", NULL};
	struct dm_pending p = put("config.json", config);
	struct dm_bundle b;
	struct dm_err err;
	char *text = NULL;

	if (dm_bundle_open(folder, &b, &err) == 0) {
		dm_bundle_drop_criu_config(&b);
		CHECK_INT(dm_bundle_hook(&b, "prestart", true, "/s", hook, &err), 0);
		CHECK_INT(dm_bundle_hook(&b, "createRuntime", false, "/s", hook, &err), 0);
		CHECK_INT(dm_bundle_save(&b, &err), 0);
		dm_bundle_close(&b);
		text = dm_read_file(p.dir, "config.json", 1 << 20, NULL, &err);
	}
	away(&p);
	return text;
}

#define HOOK "{\"path\":\"/s\",\"args\":[\"x\",\"y\"],\"env\":[\"PATH=/p\"]}"

TEST(hooks_are_added_first_and_last)
{
	char *text;

	setenv("PATH", "/p", 1);
	text = edited("{\"hooks\":{\"prestart\":[1],\"createRuntime\":[2],\"poststop\":[3]},"
		      "\"annotations\":{\"org.criu.config\":\"/evil\",\"a\":\"b\"}}");
	CHECK_STR(text, "{\"hooks\":{\"prestart\":[" HOOK ",1],\"createRuntime\":[2," HOOK
			"],\"poststop\":[3]},\"annotations\":{\"a\":\"b\"}}");
	free(text);
	text = edited("{\"hooks\":null}");
	CHECK_STR(text, "{\"hooks\":{\"prestart\":[" HOOK "],\"createRuntime\":[" HOOK "]}}");
	free(text);
	text = edited("{\"hooks\":{\"prestart\":null}}");
	CHECK_STR(text, "{\"hooks\":{\"prestart\":[" HOOK "],\"createRuntime\":[" HOOK "]}}");
	free(text);
	CHECK(edited("[]") == NULL);
	CHECK(edited("{\"a\":1") == NULL);
}

static int network(const char *config)
{
	struct dm_pending p = put("config.json", config);
	struct dm_bundle b;
	struct dm_err err;
	int ret = -1;

	if (dm_bundle_open(folder, &b, &err) == 0) {
		ret = dm_bundle_new_network(&b);
		dm_bundle_close(&b);
	}
	away(&p);
	return ret;
}

TEST(only_a_new_network_is_ours_to_cut)
{
	CHECK_INT(
		network("{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"}]}}"),
		1);
	CHECK_INT(network("{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"/n\"}]}}"),
		  0);
	CHECK_INT(network("{\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]}}"), 0);
	CHECK_INT(network("{}"), 0);
}

static int log_is_good(const char *text)
{
	struct dm_pending p = put(text ? "work/restore.log" : NULL, text);
	struct dm_err err;
	int ret = dm_criulog_check(&p, &err);

	away(&p);
	return ret == 0;
}

TEST(bad_lines_in_the_log_are_found)
{
	static char big[600000];
	const char *bad = "Missing 7f in parent pagemap";

	CHECK(log_is_good("(0.1) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE\n"));
	CHECK(!log_is_good("(0.1) Error (criu/pagemap.c:1): Missing 7f in parent pagemap\n"));
	CHECK(!log_is_good("x No parent for snapshot pagemap"));
	CHECK(!log_is_good("x Unable to restore rseq_cs state\n"));
	CHECK(!log_is_good(""));
	CHECK(!log_is_good(NULL));
	/* wherever it lies to the borders of the pieces in which the log is read */
	for (size_t at = 262144 - 40; at < 262144 + 10; at++) {
		memset(big, 'x', sizeof(big) - 1);
		memcpy(big + at, bad, strlen(bad));
		CHECK(!log_is_good(big));
	}
	memset(big, 'x', sizeof(big) - 1);
	CHECK(log_is_good(big));
}

TEST(the_first_error_is_the_reason)
{
	struct dm_pending p =
		put("work/restore.log",
		    "(0.0) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self\n"
		    "(0.1) mnt: Will mount @ /tmp/.criu.mntns.aB3dE9/13-00\n"
		    "(0.2)      1: Error (criu/sk-inet.c:9): inet: Connected TCP socket in image\n"
		    "(0.3)      1: Error (criu/files.c:9): Unable to open fd=3\n"
		    "(0.4) Error (criu/cr-restore.c:9): Restoring FAILED.\n");
	struct dm_criulog log;

	dm_criulog_read(&p, &log);
	CHECK_STR(log.why, "inet: Connected TCP socket in image");
	CHECK_STR(log.yard, "/tmp/.criu.mntns.aB3dE9");
	away(&p);
	p = put("work/restore.log", "(0.4) Error (criu/cr-restore.c:9): Restoring FAILED.\n");
	dm_criulog_read(&p, &log);
	CHECK_STR(log.why, "");
	CHECK_STR(log.yard, "");
	away(&p);
}

TEST(a_long_log_keeps_its_end)
{
	static char big[200000];
	struct dm_pending p;
	struct dm_err err;
	char *text;
	size_t len;

	memset(big, 'x', sizeof(big) - 1);
	memcpy(big + sizeof(big) - 5, "end\n", 4);
	p = put("work/restore.log", big);
	CHECK_INT(dm_criulog_size(&p), sizeof(big) - 1);
	dm_criulog_trim(&p);
	text = dm_read_file(p.dir, "work/restore.log", 1 << 20, &len, &err);
	CHECK_INT(len, 65536);
	CHECK(text && !strcmp(text + len - 4, "end\n"));
	free(text);
	away(&p);
}

TEST(an_id_that_could_be_a_path_is_not_pending)
{
	struct dm_pending p = put(NULL, NULL), q;
	struct dm_err err;

	setenv("DM_RUN", folder, 1);
	mkdirat(p.dir, "restore", 0700);
	mkdirat(p.dir, "restore/good", 0700);
	CHECK_INT(dm_pending_open("good", &q, &err), 1);
	close(q.dir);
	CHECK_INT(dm_pending_open("../restore/good", &q, &err), 0);
	CHECK_INT(dm_pending_open("..", &q, &err), 0);
	CHECK_INT(dm_pending_open("", &q, &err), 0);
	CHECK_INT(dm_pending_open("none", &q, &err), 0);
	CHECK_INT(fchmodat(p.dir, "restore/good", 0750, 0), 0);
	CHECK_INT(dm_pending_open("good", &q, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	away(&p);
}

TEST(a_process_is_known_by_its_start_time_too)
{
	struct dm_proc p, other;
	struct dm_err err;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	CHECK_INT(dm_proc_find(pid, &p, &err), 0);
	other = (struct dm_proc){pid, p.start + 1};
	CHECK(dm_proc_can_run(&p));
	CHECK(!dm_proc_can_run(&other));
	dm_proc_signal(&other, SIGKILL);
	usleep(50000);
	CHECK(dm_proc_can_run(&p));
	dm_proc_signal(&p, SIGKILL);
	for (int i = 0; i < 200 && dm_proc_can_run(&p); i++)
		usleep(10000);
	CHECK(!dm_proc_can_run(&p)); /* a zombie cannot */
	waitpid(pid, NULL, 0);
	CHECK(!dm_proc_can_run(&p));
	CHECK_INT(dm_proc_find(0, &p, &err), -1);
}
