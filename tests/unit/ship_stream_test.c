/* SPDX-License-Identifier: Apache-2.0 */
/* Whole streams: wrapped, unwrapped, damaged, listed. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "ship/decode.h"
#include "ship/encode.h"
#include "ship/list.h"
#include "test.h"

static struct dm_err err;

struct bytes {
	unsigned char *p;
	size_t n;
};

/* A file in memory that holds these bytes. */
static int file_of(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd < 0 || dm_write_full(fd, p, n) || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

/* All that was written to fd, which is closed. */
static struct bytes bytes_of(int fd)
{
	struct bytes b = {.n = (size_t)lseek(fd, 0, SEEK_END)};

	b.p = malloc(b.n + 1);
	if (!b.p || pread(fd, b.p, b.n, 0) != (ssize_t)b.n)
		abort();
	close(fd);
	return b;
}

/* Wrap (choice) or unwrap (NULL) p. Returns what the library said; the caller frees out->p. */
static int run(const struct dm_codec_choice *choice, const void *p, size_t n, struct bytes *out)
{
	int in = file_of(p, n), fd = file_of("", 0), rc;
	struct dm_source source;
	struct dm_sink sink;

	if (dm_source_open(&source, in, &err))
		abort();
	dm_sink_open(&sink, fd, 0);
	rc = choice ? dm_encode_run(&source, &sink, choice, &err)
		    : dm_decode_run(&source, &sink, &err);
	dm_source_close(&source);
	close(in);
	*out = bytes_of(fd);
	return rc;
}

static const struct dm_codec_choice none = {DM_FRAME_NONE, 0}, zstd = {DM_FRAME_ZSTD, 1};

/* This stream was written by version 1 and must be readable, and the same, for ever. */
static const unsigned char reference[] =
	"\x89"
	"dmship\n\x01\0\0\0\0\0\0\0\x4b\xce\x82\x3e\x85\xfb\xae\x12"
	"\0\0\0\0\0\0\0\0\x06\0\0\0\x06\0\0\0\x2a\x46\xa2\xab\x9a\x81\xfc\x99"
	"\x17\xa5\xc8\x35\x5f\x2c\xbc\xachello\n"
	"\0\x01\0\0\x01\0\0\0\x18\0\0\0\x18\0\0\0\xd0\x70\x83\x9d\xf9\x18\xb4\x9b"
	"\x16\xb2\xf8\x8f\x8b\x0c\xde\xa3\x06\0\0\0\0\0\0\0"
	"\x9c\xe4\xc8\xf1\x35\xb4\x10\x5a\x6d\xf5\x69\xe0\xc7\x86\xba\x6b";

TEST(reference_stream_is_written_and_read_as_ever)
{
	struct bytes b;

	CHECK_INT(run(&none, "hello\n", 6, &b), 0);
	CHECK_INT(b.n, sizeof(reference) - 1);
	CHECK(b.n == sizeof(reference) - 1 && !memcmp(b.p, reference, b.n));
	free(b.p);
	CHECK_INT(run(NULL, reference, sizeof(reference) - 1, &b), 0);
	CHECK(b.n == 6 && !memcmp(b.p, "hello\n", 6));
	free(b.p);
}

enum {
	BIG = 3 << 20, /* twelve frames */
	FRAME = 256 << 10,
	HEADER = DM_FRAME_HEADER_SIZE,
	STEP = FRAME + HEADER, /* from frame to frame with codec none */
	END = HEADER + DM_FRAME_END_SIZE,
};

/* Bytes that pack well, all frames different. To be freed by the caller. */
static unsigned char *big(unsigned seed)
{
	unsigned char *p = malloc(BIG);

	if (!p)
		abort();
	for (size_t i = 0; i < BIG; i++)
		p[i] = (unsigned char)((i >> 10) * seed + (i % 37 ? 0 : rand()));
	return p;
}

TEST(many_frames_round_trip)
{
	unsigned char *p = big(3);
	struct bytes b, c;

	CHECK_INT(run(&none, p, BIG, &b), 0);
	CHECK_INT(b.n, DM_FRAME_HEAD_SIZE + BIG / FRAME * STEP + END);
	CHECK_INT(run(NULL, b.p, b.n, &c), 0);
	CHECK(c.n == BIG && !memcmp(c.p, p, BIG));
	free(b.p);
	free(c.p);
	CHECK_INT(run(&zstd, p, BIG, &b), 0);
	CHECK(b.n < BIG / 8);
	CHECK_INT(run(NULL, b.p, b.n, &c), 0);
	CHECK(c.n == BIG && !memcmp(c.p, p, BIG));
	free(b.p);
	free(c.p);
	free(p);
}

/* Unwrap what is bad at this offset: the plain bytes in front of it come out, and nothing else. */
static void check_bad(const struct bytes *b, size_t whole, const unsigned char *plain,
		      size_t offset)
{
	struct bytes c;
	char want[64];

	snprintf(want, sizeof(want), "bad input at byte %zu: ", offset);
	CHECK_INT(run(NULL, b->p, b->n, &c), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	if (strncmp(err.msg, want, strlen(want)) != 0)
		TEST_BAD("\"%s\", not \"%s\"", err.msg, want);
	CHECK_INT(c.n, whole);
	CHECK(c.n == whole && !memcmp(c.p, plain, whole));
	free(c.p);
}

TEST(frames_dropped_doubled_or_swapped_are_seen_before_they_are_written)
{
	unsigned char *p = big(5), *first, keep[STEP];
	struct bytes b;

	REQUIRE(run(&none, p, BIG, &b) == 0);
	first = b.p + DM_FRAME_HEAD_SIZE;
	memcpy(keep, first + 2 * STEP, STEP);
	memcpy(first + 2 * STEP, first + 3 * STEP, STEP); /* 0 1 3 3 4 ... */
	check_bad(&b, 2 * FRAME, p, DM_FRAME_HEAD_SIZE + 2 * STEP);
	memcpy(first + 3 * STEP, keep, STEP); /* 0 1 3 2 4 ... */
	check_bad(&b, 2 * FRAME, p, DM_FRAME_HEAD_SIZE + 2 * STEP);
	memcpy(first + 2 * STEP, keep, STEP); /* 0 1 2 2 4 ... */
	check_bad(&b, 3 * FRAME, p, DM_FRAME_HEAD_SIZE + 3 * STEP);
	free(b.p);
	free(p);
}

TEST(frame_of_another_stream_is_seen_at_the_end)
{
	unsigned char *p = big(7), *q = big(11);
	struct bytes b, c;

	REQUIRE(run(&none, p, BIG, &b) == 0 && run(&none, q, BIG, &c) == 0);
	memcpy(b.p + DM_FRAME_HEAD_SIZE + 4 * STEP, c.p + DM_FRAME_HEAD_SIZE + 4 * STEP, STEP);
	memcpy(p + 4 * FRAME, q + 4 * FRAME, FRAME);
	check_bad(&b, BIG, p, b.n - END);
	free(b.p);
	free(c.p);
	free(p);
	free(q);
}

TEST(flipped_bit_names_the_frame_and_what_came_before_is_written)
{
	unsigned char *p = big(13);
	struct bytes b;

	REQUIRE(run(&none, p, BIG, &b) == 0);
	b.p[DM_FRAME_HEAD_SIZE + 9 * STEP + 5000] ^= 4;
	check_bad(&b, 9 * FRAME, p, DM_FRAME_HEAD_SIZE + 9 * STEP);
	b.p[DM_FRAME_HEAD_SIZE + 1 * STEP + 5] ^= 4;
	check_bad(&b, 1 * FRAME, p, DM_FRAME_HEAD_SIZE + 1 * STEP);
	free(b.p);
	free(p);
}

TEST(streams_one_after_another_are_one_output)
{
	unsigned char *p = malloc(3 * sizeof(reference));
	size_t n = sizeof(reference) - 1;
	struct bytes b;

	REQUIRE(p);
	for (size_t i = 0; i < 3; i++)
		memcpy(p + i * n, reference, n);
	CHECK_INT(run(NULL, p, 3 * n, &b), 0);
	CHECK(b.n == 18 && !memcmp(b.p, "hello\nhello\nhello\n", 18));
	free(b.p);
	p[2 * n] ^= 1; /* what follows the second is no stream */
	check_bad(&(struct bytes){p, 3 * n}, 12, (const unsigned char *)"hello\nhello\n", 2 * n);
	free(p);
}

/* A dumper for the tests: counts bytes; fails when there are none. */
static int count_bytes(int fd, FILE *out, struct dm_err *e)
{
	char b[100];
	ssize_t n, all = 0;

	while ((n = read(fd, b, sizeof(b))) > 0)
		all += n;
	fprintf(out, "%zd bytes", all);
	return all ? 0 : dm_fail(e, DM_BAD_STREAM, "nothing to list");
}

static int list(int fd, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");
	struct dm_source s;
	int rc;

	memset(text, 0, size);
	if (!out || dm_source_open(&s, fd, &err))
		abort();
	rc = dm_list_run(&s, count_bytes, out, &err);
	fclose(out);
	dm_source_close(&s);
	close(fd);
	return rc;
}

TEST(list_takes_plain_and_shipped_bytes)
{
	char text[64];

	CHECK_INT(list(file_of("hello\n", 6), text, sizeof(text)), 0);
	CHECK_STR(text, "6 bytes");
	CHECK_INT(list(file_of("0123456789abcdefgh", 18), text, sizeof(text)), 0);
	CHECK_STR(text, "18 bytes");
	CHECK_INT(list(file_of(reference, sizeof(reference) - 1), text, sizeof(text)), 0);
	CHECK_STR(text, "6 bytes");
	CHECK_INT(list(file_of("", 0), text, sizeof(text)), -1);
	CHECK_STR(err.msg, "nothing to list");
}

TEST(list_tells_first_of_damage_to_the_shipped_form)
{
	char text[64];

	CHECK_INT(list(file_of(reference, 60), text, sizeof(text)), -1);
	CHECK_STR(err.msg, "bad input at byte 60: the stream is truncated");
	CHECK_INT(list(file_of(reference, sizeof(reference) - 2), text, sizeof(text)), -1);
	CHECK_STR(err.msg, "bad input at byte 117: the stream is truncated");
	CHECK_STR(text, "6 bytes");
}
