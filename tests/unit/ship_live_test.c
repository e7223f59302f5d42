/* SPDX-License-Identifier: Apache-2.0 */
/* What dm-ship does in time: pauses of the input, threads side by side, stopping, progress. */
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "ship/encode.h"
#include "ship/list.h"
#include "ship/progress.h"
#include "ship/ring.h"
#include "test.h"

static struct dm_err err;

static const struct dm_codec_choice zstd = {DM_FRAME_ZSTD, 1};

enum { HEADER = DM_FRAME_HEADER_SIZE, END = HEADER + DM_FRAME_END_SIZE };

/* What one thread of a pipeline does, with the ends it was given. */
struct side {
	int in, out, rc;
	struct dm_source source;
	struct dm_err err;
};

static void *encode_side(void *arg)
{
	struct side *s = arg;
	struct dm_sink sink;

	dm_sink_open(&sink, s->out, 0);
	s->rc = dm_encode_run(&s->source, &sink, &zstd, &s->err);
	return NULL;
}

static int readable(int fd, int ms)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms);
}

TEST(pause_in_the_input_sends_what_was_read)
{
	int to[2], from[2];
	unsigned char b[4096];
	struct side s = {0};
	pthread_t t;

	REQUIRE(pipe(to) == 0 && pipe(from) == 0);
	s.out = from[1];
	REQUIRE(dm_source_open(&s.source, to[0], &err) == 0);
	REQUIRE(pthread_create(&t, NULL, encode_side, &s) == 0);
	CHECK_INT(dm_read_full(from[0], b, DM_FRAME_HEAD_SIZE), DM_FRAME_HEAD_SIZE);
	for (int i = 0; i < 3; i++) { /* the input stays open, and yet each piece comes through */
		CHECK_INT(write(to[1], "abc", 3), 3);
		CHECK_INT(readable(from[0], 2000), 1);
		CHECK_INT(dm_read_full(from[0], b, HEADER + 3), HEADER + 3);
		CHECK(!memcmp(b + HEADER, "abc", 3));
	}
	close(to[1]);
	CHECK_INT(dm_read_full(from[0], b, END), END);
	pthread_join(t, NULL);
	CHECK_INT(s.rc, 0);
	dm_source_close(&s.source);
	close(to[0]);
	close(from[0]);
	close(from[1]);
}

static void *trickle(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 2000; i++) {
		struct timespec t = {0, 100000};

		if (write(fd, "x", 1) != 1)
			break;
		nanosleep(&t, NULL);
	}
	close(fd);
	return NULL;
}

TEST(steady_trickle_is_gathered_but_not_held_back)
{
	int to[2], out = memfd_create("test", MFD_CLOEXEC), frames = -1;
	struct side s = {.out = out};
	pthread_t t, u;
	unsigned char b[200000];
	size_t n;

	REQUIRE(out >= 0 && pipe(to) == 0);
	REQUIRE(dm_source_open(&s.source, to[0], &err) == 0);
	REQUIRE(pthread_create(&t, NULL, encode_side, &s) == 0);
	REQUIRE(pthread_create(&u, NULL, trickle, &to[1]) == 0);
	pthread_join(u, NULL);
	pthread_join(t, NULL);
	CHECK_INT(s.rc, 0);
	dm_source_close(&s.source);
	close(to[0]);
	n = (size_t)pread(out, b, sizeof(b), 0);
	close(out);
	for (size_t i = DM_FRAME_HEAD_SIZE; i < n; frames++) {
		struct dm_frame f;

		REQUIRE(dm_frame_get(b + i, (uint32_t)(frames + 1), &f, &err) == 0);
		i += HEADER + f.packed;
	}
	CHECK(frames >= 20); /* 2000 bytes in at least 0.2 s, none held longer than 5 ms or so */
	CHECK(frames < 1000);
}

TEST(writer_that_fails_stops_a_reader_that_waits)
{
	int to[2], from[2];
	unsigned char b[DM_FRAME_HEAD_SIZE];
	struct side s = {0};
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	REQUIRE(pipe(to) == 0 && pipe(from) == 0);
	s.out = from[1];
	REQUIRE(dm_source_open(&s.source, to[0], &err) == 0);
	REQUIRE(pthread_create(&t, NULL, encode_side, &s) == 0);
	CHECK_INT(dm_read_full(from[0], b, sizeof(b)), sizeof(b));
	close(from[0]);
	CHECK_INT(write(to[1], "abc", 3), 3);
	pthread_join(t, NULL); /* though to[1] is open */
	CHECK_INT(s.rc, -1);
	CHECK_STR(s.err.msg, "write standard output: Broken pipe");
	dm_source_close(&s.source);
	close(to[0]);
	close(to[1]);
	close(from[1]);
}

TEST(source_tells_idle_from_end_and_gives_back_what_was_peeked)
{
	const unsigned char *first;
	struct dm_source s;
	char b[8];
	size_t n;
	int p[2];

	REQUIRE(pipe(p) == 0 && dm_source_open(&s, p[0], &err) == 0);
	CHECK_INT(dm_source_some(&s, b, 8, 0.001, &err), DM_SOURCE_IDLE);
	CHECK_INT(write(p[1], "abcde", 5), 5);
	close(p[1]);
	CHECK_INT(dm_source_peek(&s, &first, &n, &err), 0);
	CHECK(n == 5 && !memcmp(first, "abcde", 5));
	CHECK_INT(dm_source_some(&s, b, 3, -1, &err), 3);
	CHECK_INT(dm_source_full(&s, b + 3, 5, &err), 2);
	CHECK(!memcmp(b, "abcde", 5));
	CHECK_INT(dm_source_some(&s, b, 8, -1, &err), 0);
	CHECK_INT(s.bytes, 5);
	dm_source_stop(&s);
	CHECK_INT(dm_source_some(&s, b, 8, -1, &err), -1);
	dm_source_close(&s);
	close(p[0]);
}

/* Slots that carry their number; work takes a random time, and fails at one of them. */
struct numbers {
	uint32_t filled, drained, fill_fails, work_fails, drain_fails;
	bool disorder;
};

static int fill_number(void *ctx, struct dm_slot *s, struct dm_err *e)
{
	struct numbers *n = ctx;

	if (n->filled == n->fill_fails)
		return dm_fail(e, DM_FAILURE, "fill %u", n->filled);
	s->frame.number = n->filled++;
	return n->filled <= 1000;
}

static int work_number(void *ctx, int worker, struct dm_slot *s, struct dm_err *e)
{
	struct numbers *n = ctx;
	unsigned seed = s->frame.number * 7919u + (unsigned)worker;
	struct timespec t = {0, rand_r(&seed) % 100000};

	nanosleep(&t, NULL);
	s->plain[0] = (unsigned char)s->frame.number;
	if (s->frame.number >= n->work_fails)
		return dm_fail(e, DM_FAILURE, "work %u", s->frame.number);
	return 0;
}

static int drain_number(void *ctx, struct dm_slot *s, struct dm_err *e)
{
	struct numbers *n = ctx;

	if (s->frame.number != n->drained || s->plain[0] != (unsigned char)n->drained)
		n->disorder = true;
	if (n->drained == n->drain_fails)
		return dm_fail(e, DM_FAILURE, "drain %u", n->drained);
	n->drained++;
	return 0;
}

static void check_ring(struct numbers n, uint32_t drained, const char *want)
{
	static const struct dm_ring_ops ops = {fill_number, work_number, drain_number};
	struct dm_source s;

	REQUIRE(dm_source_open(&s, STDIN_FILENO, &err) == 0);
	err.msg[0] = '\0';
	CHECK_INT(dm_ring_run(&ops, &n, 16, &s, &err), *want ? -1 : 0);
	CHECK_STR(err.msg, want);
	CHECK_INT(n.drained, drained);
	CHECK(!n.disorder);
	dm_source_close(&s);
}

TEST(ring_keeps_the_order_and_fails_in_order)
{
	struct numbers n = {.fill_fails = 5000, .work_fails = 5000, .drain_fails = 5000};

	check_ring(n, 1000, "");
	n.work_fails = 500;
	check_ring(n, 500, "work 500");
	n.fill_fails = 400;
	check_ring(n, 400, "fill 400");
	n.drain_fails = 300;
	check_ring(n, 300, "drain 300");
	n.fill_fails = 0;
	check_ring(n, 0, "fill 0");
}

static int fail_at_once(int fd, FILE *out, struct dm_err *e)
{
	(void)out;
	return dm_fail(e, DM_BAD_STREAM, "not read from %s", fd >= 0 ? "a pipe" : "anything");
}

TEST(list_that_fails_ends_though_the_input_waits)
{
	struct dm_source s;
	int p[2];

	REQUIRE(pipe(p) == 0 && dm_source_open(&s, p[0], &err) == 0);
	CHECK_INT(write(p[1], "0123456789abcdef....", 20), 20);
	CHECK_INT(dm_list_run(&s, fail_at_once, stdout, &err), -1);
	CHECK_STR(err.msg, "not read from a pipe");
	dm_source_close(&s);
	close(p[0]);
	close(p[1]);
}

TEST(progress_on_a_terminal_is_one_line_drawn_again)
{
	struct winsize w = {.ws_row = 24, .ws_col = 40};
	_Atomic uint64_t in = 0, out = 0;
	struct timespec t = {0, 700000000};
	struct dm_progress *p;
	char b[2000] = "";
	int master, slave, drawn = 0;
	size_t used = 0;
	ssize_t n;

	REQUIRE(openpty(&master, &slave, NULL, NULL, &w) == 0);
	p = dm_progress_start(slave, false, &in, &out, &err);
	REQUIRE(p);
	in = 2048;
	out = 1024;
	nanosleep(&t, NULL);
	dm_progress_stop(p);
	while (readable(master, 0) == 1 && (n = read(master, b + used, 1999 - used)) > 0)
		used += (size_t)n;
	/* each ends where it began, so that a message of another program overwrites it */
	for (char *s = b; (s = strchr(s, '\r')) && s[1] != '\n' && s[1]; s++) {
		if (s[1] == '\r')
			continue;
		drawn++;
		CHECK(strcspn(s + 1, "\033") < 40);
		CHECK(!strncmp(s + 1, "2.0 KiB in, 1.0 KiB out, ", 25));
	}
	CHECK(drawn >= 2 && drawn <= 4); /* every 0.2 s, and at the end */
	CHECK(used > 2 && strchr(b, '\n') == b + used - 1);
	close(master);
	close(slave);
}
