/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: started, waited for, ended, listened to. */
#include "test.h"

#include <errno.h>
#include <signal.h>

#include "base/child.h"
#include "base/io.h"
#include "tool.h"

static struct dm_err err;

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(text) ARGV("sh", "-c", text)

/* Start argv with its output in the file out. */
static pid_t start(const char *const *argv, const char *const *env, int in, int out)
{
	struct dm_child c = {
		.argv = argv, .env = env, .in = in, .out = out, .err = -1, .session = true};

	return dm_child_start(&c, &err);
}

/* What argv wrote to stdout, to be freed. */
static char *output(const char *const *argv, const char *const *env, int in)
{
	int out = memory_file("", 0);
	pid_t pid = start(argv, env, in, out);

	CHECK_INT(dm_child_wait(pid, argv[0], 20, &err), 0);
	return take_all(out, NULL);
}

TEST(a_missing_program_is_unfit)
{
	size_t before = count_descriptors();
	char path[200];
	int fd;

	CHECK_INT(start(ARGV("no-such-program-here"), NULL, -1, -1), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "start no-such-program-here: No such file or directory");
	CHECK_INT(dm_child_run(ARGV("no-such-program-here"), 5, NULL, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	snprintf(path, sizeof(path), "%s/plain", fresh_folder());
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	close(fd);
	CHECK_INT(start(ARGV(path), NULL, -1, -1), -1);
	CHECK_INT(err.code, DM_FAILURE);
	CHECK(strstr(err.msg, "Permission denied"));
	CHECK_INT(count_descriptors(), before);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(ends_are_told_as_codes)
{
	CHECK_INT(dm_child_wait(start(SHELL("exit 0"), NULL, -1, -1), "it", 20, &err), 0);
	CHECK_INT(dm_child_wait(start(SHELL("exit 7"), NULL, -1, -1), "it", -1, &err), 7);
	CHECK_INT(dm_child_wait(start(SHELL("kill -9 $$"), NULL, -1, -1), "it", 20, &err), 137);
	CHECK_INT(dm_child_wait(start(SHELL("sleep 0.2; exit 3"), NULL, -1, -1), "it", 20, &err),
		  3);
	CHECK_INT(dm_child_wait(getpid(), "it", -1, &err), -1);
	CHECK_STR(err.msg, "wait for it: No child processes");
}

/* Whether pid has ended, though perhaps nobody took note; waits a little. */
static int gone(pid_t pid)
{
	char path[64], *stat;
	int ended = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 200 && !ended; i++, usleep(10000)) {
		stat = dm_read_file(AT_FDCWD, path, 4096, NULL, &err);
		ended = !stat || strstr(stat, ") Z ");
		free(stat);
	}
	return ended;
}

TEST(what_takes_too_long_is_killed_with_its_children)
{
	int fds[2];
	double from;
	char line[32] = "";
	pid_t pid;

	REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	pid = start(SHELL("trap '' TERM; sleep 1000 & echo $!; wait"), NULL, -1, fds[1]);
	close(fds[1]);
	REQUIRE(read(fds[0], line, sizeof(line) - 1) > 1);
	close(fds[0]);
	from = dm_now();
	CHECK_INT(dm_child_wait(pid, "it", 0.3, &err), -1);
	CHECK(dm_now() - from > 0.28 && dm_now() - from < 3);
	CHECK(strstr(err.msg, "it: no end after "));
	CHECK(kill(pid, 0) < 0 && errno == ESRCH);
	CHECK(gone(atoi(line)));
}

TEST(a_run_keeps_to_its_time)
{
	struct dm_buf out = {0};
	double from = dm_now();

	CHECK_INT(dm_child_run(SHELL("echo text; sleep 1000"), 1, &out, &err), -1);
	CHECK(dm_now() - from > 0.98 && dm_now() - from < 1.7);
	CHECK_STR(err.msg, "sh: no end after 1 s");
	CHECK(!out.data);
}

TEST(a_run_does_not_wait_for_who_holds_its_output)
{
	struct dm_buf out = {0};
	double from = dm_now();

	CHECK_INT(dm_child_run(SHELL("sleep 3 & echo $!"), 30, &out, &err), 0);
	CHECK(dm_now() - from < 2.5);
	REQUIRE(out.data && atoi(out.data) > 1);
	kill(atoi(out.data), SIGKILL);
	dm_buf_free(&out);
}

TEST(a_run_gathers_both_outputs)
{
	struct dm_buf out = {0};

	CHECK_INT(dm_child_run(SHELL("echo one; echo two >&2; printf 'three\\n\\n\\n'"), 20, &out,
			       &err),
		  0);
	CHECK_STR(out.data, "one\ntwo\nthree");
	CHECK_INT(out.len, 13);
	dm_buf_free(&out);
	CHECK_INT(dm_child_run(ARGV("true"), 20, &out, &err), 0);
	CHECK_STR(out.data, "");
	dm_buf_free(&out);
	CHECK_INT(dm_child_run(SHELL("echo unheard"), 20, NULL, &err), 0);
	CHECK_INT(dm_child_run(SHELL("head -c 3000000 /dev/zero | tr '\\0' x"), 20, &out, &err), 0);
	CHECK_INT(out.len, 3000000);
	CHECK(out.data && strspn(out.data, "x") == 3000000);
	dm_buf_free(&out);
	CHECK_INT(dm_child_run(SHELL("head -c 30000000 /dev/zero"), 20, &out, &err), 0);
	CHECK(out.len > 8000000 && out.len <= 8 << 20);
	dm_buf_free(&out);
}

TEST(a_run_that_fails_tells_how_it_ended)
{
	struct dm_buf out = {0};

	CHECK_INT(dm_child_run(SHELL("echo first; seq 10000; echo last words >&2; exit 5"), 20,
			       &out, &err),
		  -1);
	CHECK(!strncmp(err.msg, "sh exited with 5: ", 18));
	CHECK(strstr(err.msg, "last words") && !strstr(err.msg, "first"));
	CHECK_INT(err.code, DM_FAILURE);
	CHECK(!out.data);
	CHECK_INT(dm_child_run(SHELL("kill -TERM $$"), 20, &out, &err), -1);
	CHECK_STR(err.msg, "sh exited with 143: ");
}

TEST(descriptors_go_where_they_were_told)
{
	int in = memory_file("from outside", 12), out = memory_file("", 0),
	    errs = memory_file("", 0);
	struct dm_child c = {.argv = SHELL("cat; echo out; echo err >&2"), .in = in, .out = out};
	char *p;

	c.err = errs;
	CHECK_INT(dm_child_wait(dm_child_start(&c, &err), "it", 20, &err), 0);
	p = take_all(out, NULL);
	CHECK_STR(p, "from outsideout\n");
	free(p);
	p = take_all(errs, NULL);
	CHECK_STR(p, "err\n");
	free(p);
	close(in);
	p = output(SHELL("wc -c"), NULL, -1); /* of /dev/null */
	CHECK_INT(atoi(p), 0);
	free(p);
	p = output(SHELL("ls -l /proc/$$/fd | grep -c memfd"), NULL, -1); /* its own stdout */
	CHECK_STR(p, "1\n");
	free(p);
}

/* In a child, whose own 0 to 2 are in the way: stdout and stderr are swapped, stdin is closed. */
static int swapped(int out, int errs)
{
	struct dm_child c = {.argv = SHELL("echo out; echo err >&2"), .in = -1, .out = 2, .err = 1};

	close(0);
	if (dup2(out, 2) < 0 || dup2(errs, 1) < 0)
		return 99;
	return dm_child_wait(dm_child_start(&c, &err), "it", 20, &err);
}

TEST(descriptors_0_to_2_may_be_given)
{
	int out = memory_file("", 0), errs = memory_file("", 0);
	pid_t pid;
	char *p;

	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0)
		_exit(swapped(out, errs));
	CHECK_INT(exit_code(pid), 0);
	p = take_all(out, NULL);
	CHECK_STR(p, "out\n");
	free(p);
	p = take_all(errs, NULL);
	CHECK_STR(p, "err\n");
	free(p);
}

TEST(the_environment_is_put_on_top)
{
	char *p;

	setenv("DM_TEST_ONE", "old", 1);
	setenv("DM_TEST_TWO", "kept", 1);
	p = output(SHELL("echo $DM_TEST_ONE $DM_TEST_TWO $DM_TEST_NEW"),
		   ARGV("DM_TEST_ONE=new", "DM_TEST_NEW=too"), -1);
	CHECK_STR(p, "new kept too\n");
	CHECK_STR(getenv("DM_TEST_ONE"), "old");
	free(p);
}

TEST(signals_are_as_a_program_expects_them)
{
	sigset_t all, old;
	char *p;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	p = output(SHELL("grep -E 'SigBlk|SigIgn' /proc/self/status"), NULL, -1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	CHECK_STR(p, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	free(p);
}

TEST(a_session_of_its_own_on_demand)
{
	struct dm_child c = {.argv = ARGV("sleep", "1000"), .in = -1, .out = -1, .err = -1};
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		c.session = i;
		pid = dm_child_start(&c, &err);
		REQUIRE(pid > 0);
		CHECK_INT(getsid(pid) == pid, i);
		CHECK_INT(dm_child_wait(pid, "it", 0, &err), -1);
	}
}
