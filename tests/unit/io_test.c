/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing, and files that are replaced whole. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "base/io.h"
#include "tool.h"

static struct dm_err err;

static void nothing(int sig)
{
	(void)sig;
}

/* Interrupt system calls every half millisecond, or no more. */
static void interrupt(bool on)
{
	struct sigaction sa = {.sa_handler = nothing};
	struct itimerval t = {{0, on ? 500 : 0}, {0, on ? 500 : 0}};

	sigaction(SIGALRM, &sa, NULL);
	MUST(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

enum { MUCH = 1 << 20 };

TEST(short_reads_and_interrupts_are_gone_over)
{
	char *a = malloc(MUCH), *b = malloc(MUCH);
	int fds[2];
	pid_t pid;

	REQUIRE(a && b && pipe(fds) == 0);
	fill(a, MUCH, 1);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		for (size_t at = 0, n; at < MUCH; at += n, usleep(200)) {
			n = 1 + pick(40000);
			n = n < MUCH - at ? n : MUCH - at;
			if (write(fds[1], a + at, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[1]);
	interrupt(true);
	CHECK_INT(dm_read_full(fds[0], b, MUCH - 10), MUCH - 10);
	CHECK_INT(dm_read_full(fds[0], b + MUCH - 10, 100), 10);
	CHECK_INT(dm_read_full(fds[0], b, 100), 0);
	interrupt(false);
	CHECK(!memcmp(a, b, MUCH));
	CHECK_INT(exit_code(pid), 0);
	close(fds[0]);
	CHECK_INT(dm_read_full(fds[0], b, 1), -1);
	CHECK_INT(errno, EBADF);
	free(a);
	free(b);
}

TEST(short_writes_and_interrupts_are_gone_over)
{
	char *a = malloc(MUCH), *b = malloc(MUCH);
	size_t got = 0;
	int fds[2];
	pid_t pid;

	REQUIRE(a && b && pipe(fds) == 0);
	fill(a, MUCH, 2);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		interrupt(true);
		_exit(dm_write_full(fds[1], a, MUCH) ? 1 : 0);
	}
	close(fds[1]);
	for (ssize_t n; got < MUCH && (n = read(fds[0], b + got, 1 + pick(50000))) > 0;
	     usleep(100)) {
		if (n > (ssize_t)(MUCH - got))
			break;
		got += (size_t)n;
	}
	CHECK_INT(got, MUCH);
	CHECK(!memcmp(a, b, MUCH));
	CHECK_INT(exit_code(pid), 0);
	close(fds[0]);
	free(a);
	free(b);
	CHECK_INT(dm_write_full(fds[0], "x", 1), -1);
	CHECK_INT(errno, EBADF);
	CHECK_INT(dm_write_full(fds[0], "x", 0), 0);
}

TEST(writes_at_an_offset)
{
	int fd = memory_file("0123456789", 10);
	char *p;

	CHECK_INT(dm_pwrite_full(fd, "abc", 3, 4), 0);
	CHECK_INT(dm_pwrite_full(fd, "z", 1, 11), 0);
	p = take_all(fd, NULL);
	CHECK(!memcmp(p, "0123abc789\0z", 12));
	free(p);
}

TEST(files_are_read_whole_up_to_a_cap)
{
	static const size_t caps[] = {1, 64, 4095, 4096, 4097, 8192, 10000};
	const char *path = fresh_folder();
	int dir = open_folder(path);
	char *data = malloc(20000), *p;
	size_t len;

	REQUIRE(data);
	fill(data, 20000, 3);
	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++)
		for (size_t n = caps[i] - 1; n <= caps[i] + 1; n++) {
			REQUIRE(dm_write_file(dir, "f", data, n, &err) == 0);
			len = 99999;
			p = dm_read_file(dir, "f", caps[i], &len, &err);
			if (n > caps[i]) {
				if (p)
					TEST_BAD("%zu bytes are read with a cap of %zu", n,
						 caps[i]);
				else
					CHECK(strstr(err.msg, "read f: larger than "));
			} else if (!p || len != n || memcmp(p, data, n) || p[n]) {
				TEST_BAD("%zu bytes are not read with a cap of %zu", n, caps[i]);
			}
			free(p);
		}
	CHECK(!dm_read_file(dir, "none", 100, &len, &err));
	CHECK_STR(err.msg, "open none: No such file or directory");
	CHECK(!dm_read_file(dir, ".", 100, &len, &err));
	CHECK_STR(err.msg, "read .: Is a directory");
	p = dm_read_file(AT_FDCWD, "/proc/self/status", 1 << 20, NULL, &err);
	CHECK(p && strstr(p, "\nPid:\t"));
	free(p);
	free(data);
	close(dir);
}

TEST(files_are_written_for_their_owner_alone)
{
	const char *path = fresh_folder();
	int dir = open_folder(path);
	struct stat st;
	char *p;

	umask(0);
	CHECK_INT(dm_write_file(dir, "f", "longer text", 11, &err), 0);
	CHECK_INT(dm_write_file(dir, "f", "text", 4, &err), 0);
	umask(022);
	p = dm_read_file(dir, "f", 100, NULL, &err);
	CHECK_STR(p, "text");
	free(p);
	CHECK(fstatat(dir, "f", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	CHECK_INT(count_names(path), 1);
	close(dir);
}

TEST(a_write_that_fails_leaves_the_old_file)
{
	struct rlimit limit = {1000, 1000};
	const char *path = fresh_folder();
	int dir = open_folder(path);
	char name[300], *p;
	pid_t pid;

	CHECK_INT(dm_write_file(dir, "f", "old", 3, &err), 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		static const char much[5000];

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(dm_write_file(dir, "f", much, sizeof(much), &err) == -1 &&
				      !strcmp(err.msg, "write f: File too large")
			      ? 0
			      : 1);
	}
	CHECK_INT(exit_code(pid), 0);
	p = dm_read_file(dir, "f", 100, NULL, &err);
	CHECK_STR(p, "old");
	free(p);
	CHECK_INT(count_names(path), 1);
	MUST(mkdirat(dir, "sub", 0700) == 0);
	CHECK_INT(dm_write_file(dir, "sub", "x", 1, &err), -1);
	CHECK_STR(err.msg, "write sub: Is a directory");
	CHECK_INT(count_names(path), 2);
	memset(name, 'n', 255);
	name[255] = '\0';
	CHECK_INT(dm_write_file(dir, name, "x", 1, &err), -1);
	CHECK_INT(count_names(path), 2);
	close(dir);
}

TEST(a_link_in_the_place_of_the_temporary_name_is_not_followed)
{
	const char *path = fresh_folder();
	int dir = open_folder(path);
	char name[64];
	struct stat st;

	snprintf(name, sizeof(name), ".f.%ld", (long)getpid());
	MUST(symlinkat("victim", dir, name) == 0);
	CHECK_INT(dm_write_file(dir, "f", "x", 1, &err), -1);
	CHECK(fstatat(dir, "victim", &st, 0) < 0);
	close(dir);
}

TEST(who_reads_meanwhile_sees_one_of_both)
{
	enum { LONG = 200000 };
	const char *path = fresh_folder();
	int dir = open_folder(path);
	char *text[2] = {malloc(LONG), malloc(LONG)};
	size_t size[2] = {LONG, LONG / 3};
	pid_t pid;

	REQUIRE(text[0] && text[1]);
	memset(text[0], 'a', LONG);
	memset(text[1], 'b', LONG);
	REQUIRE(dm_write_file(dir, "f", text[0], size[0], &err) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		for (;;) {
			size_t len;
			char *p = dm_read_file(dir, "f", 1 << 20, &len, &err);
			int i = p && p[0] == 'b';

			if (!p || len != size[i] || memcmp(p, text[i], len))
				_exit(1);
			free(p);
		}
	}
	for (int i = 0; i < 300; i++)
		REQUIRE(dm_write_file(dir, "f", text[i % 2], size[i % 2], &err) == 0);
	kill(pid, SIGKILL);
	CHECK_INT(exit_code(pid), 128 + SIGKILL);
	free(text[0]);
	free(text[1]);
	close(dir);
}

TEST(stdout_that_did_not_take_all_is_told)
{
	for (int much = 0; much < 2; much++) {
		pid_t pid;

		fflush(stdout);
		pid = fork();
		MUST(pid >= 0);
		if (pid == 0) {
			int full = open("/dev/full", O_WRONLY);

			dup2(full, 1);
			if (much) /* it fails before the end */
				setvbuf(stdout, NULL, _IONBF, 0);
			printf("text");
			if (dm_close_stdout(&err) != -1)
				_exit(1);
			_exit(strncmp(err.msg, "write standard output: ", 23) ? 2 : 0);
		}
		CHECK_INT(exit_code(pid), 0);
	}
}

TEST(the_clock_goes_on)
{
	double a = dm_now(), b;

	usleep(20000);
	b = dm_now();
	CHECK(b - a > 0.019 && b - a < 5);
}
