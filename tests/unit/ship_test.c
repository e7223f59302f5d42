/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of dm-ship: frame headers, codecs, the token bucket, the line of progress. */
#include <stdlib.h>
#include <xxhash.h>

#include "base/le.h"
#include "ship/codec.h"
#include "ship/frame.h"
#include "ship/progress.h"
#include "ship/rate.h"
#include "test.h"

static struct dm_err err;

TEST(head_of_a_stream_round_trip_and_every_bit_of_it)
{
	unsigned char head[DM_FRAME_HEAD_SIZE];

	dm_frame_put_head(head);
	CHECK(dm_frame_is_shipped(head, sizeof(head)));
	CHECK(!dm_frame_is_shipped(head, 7));
	CHECK_INT(dm_frame_get_head(head, &err), 0);
	for (size_t i = 0; i < 8 * sizeof(head); i++) {
		head[i / 8] ^= (unsigned char)(1 << i % 8);
		if (dm_frame_get_head(head, &err) != -1 || err.code != DM_BAD_STREAM)
			TEST_BAD("bit %zu", i);
		head[i / 8] ^= (unsigned char)(1 << i % 8);
	}
}

/* Damage that a checksum does not see: whoever wrote it computed the checksum too. */
static void check_head(size_t at, unsigned value, const char *want)
{
	unsigned char head[DM_FRAME_HEAD_SIZE];

	dm_frame_put_head(head);
	dm_put16(head + at, (uint16_t)value);
	dm_put64(head + 16, XXH3_64bits(head, 16));
	CHECK_INT(dm_frame_get_head(head, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_STR(err.msg, want);
}

TEST(head_of_another_version_or_with_flags_is_refused)
{
	check_head(8, 2, "stream version 2 is not known, only 1");
	check_head(10, 1, "unknown flags in the head of the stream");
	check_head(14, 1, "unknown flags in the head of the stream");
}

static const struct dm_frame good = {
	.codec = DM_FRAME_ZSTD,
	.number = 7,
	.plain = DM_FRAME_MAX,
	.packed = DM_FRAME_MAX - 1,
	.plain_hash = 0x1122334455667788,
};

TEST(header_of_a_frame_round_trip_and_every_bit_of_it)
{
	unsigned char b[DM_FRAME_HEADER_SIZE];
	struct dm_frame f;

	dm_frame_put(&good, b);
	REQUIRE(dm_frame_get(b, 7, &f, &err) == 0);
	CHECK_INT(f.codec, DM_FRAME_ZSTD);
	CHECK_INT(f.flags, 0);
	CHECK_INT(f.number, 7);
	CHECK_INT(f.plain, 1 << 20);
	CHECK_INT(f.packed, (1 << 20) - 1);
	CHECK(f.plain_hash == good.plain_hash);
	for (size_t i = 0; i < 8 * sizeof(b); i++) {
		b[i / 8] ^= (unsigned char)(1 << i % 8);
		if (dm_frame_get(b, 7, &f, &err) != -1 || err.code != DM_BAD_STREAM)
			TEST_BAD("bit %zu", i);
		b[i / 8] ^= (unsigned char)(1 << i % 8);
	}
}

static int refused(struct dm_frame f)
{
	unsigned char b[DM_FRAME_HEADER_SIZE];
	struct dm_frame got;

	dm_frame_put(&f, b);
	return dm_frame_get(b, 7, &got, &err) == -1 && err.code == DM_BAD_STREAM;
}

#define WITH(...)                                                                                  \
	({                                                                                         \
		struct dm_frame f = good;                                                          \
		__VA_ARGS__;                                                                       \
		f;                                                                                 \
	})

TEST(header_with_fields_out_of_bounds_is_refused)
{
	CHECK(!refused(good));
	CHECK(refused(WITH(f.codec = 3)));
	CHECK(refused(WITH(f.flags = 2)));
	CHECK(refused(WITH(f.number = 6)));
	CHECK(refused(WITH(f.number = 8)));
	CHECK(refused(WITH(f.plain = 0, f.packed = 0)));
	CHECK(refused(WITH(f.plain = DM_FRAME_MAX + 1)));
	CHECK(refused(WITH(f.plain = UINT32_MAX)));
	CHECK(refused(WITH(f.packed = 0)));
	CHECK(refused(WITH(f.packed = f.plain)));
	CHECK(refused(WITH(f.packed = UINT32_MAX)));
	CHECK(refused(WITH(f.codec = DM_FRAME_NONE)));
	CHECK(!refused(WITH(f.codec = DM_FRAME_NONE, f.packed = f.plain)));
	CHECK(refused(WITH(f.flags = DM_FRAME_END, f.plain = DM_FRAME_END_SIZE, f.packed = 20)));
	CHECK(refused(WITH(f.flags = DM_FRAME_END, f.codec = 0, f.plain = f.packed = 25)));
	CHECK(!refused(WITH(f.flags = DM_FRAME_END, f.codec = 0, f.plain = f.packed = 24)));
}

TEST(codec_option)
{
	struct dm_codec_choice c;
	static const char *const wrong[] = {"",	       "lz4",	 "zst",	    "zstdx",   "none:1",
					    "none:",   "zstd:",	 "zstd:0",  "zstd:20", "zlib:10",
					    "zlib:-1", "zlib:x", "zstd:1x", "zstd: 1", "NONE"};

	CHECK(dm_codec_parse("none", "--codec", &c, &err) == 0 && c.codec == DM_FRAME_NONE);
	CHECK(dm_codec_parse("zlib", "--codec", &c, &err) == 0 && c.codec == DM_FRAME_ZLIB);
	CHECK_INT(c.level, 1);
	CHECK(dm_codec_parse("zstd:19", "--codec", &c, &err) == 0 && c.codec == DM_FRAME_ZSTD);
	CHECK_INT(c.level, 19);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (dm_codec_parse(wrong[i], "--codec", &c, &err) != -1 || err.code != DM_USAGE)
			TEST_BAD("%s", wrong[i]);
}

enum { ROOM = 1 << 20 };

static unsigned char plain[ROOM], packed[ROOM], back[ROOM];

static void fill_plain(void)
{
	for (size_t i = 0; i < ROOM; i++)
		plain[i] = (unsigned char)(i % 4096 < 64 ? (size_t)rand() : i >> 12);
}

static void check_codec(struct dm_codec_choice choice)
{
	static const size_t sizes[] = {1, 2, 3, 100, 4096, 262144, ROOM};
	struct dm_codec *p = dm_codec_new(&choice, &err), *u = dm_codec_new(NULL, &err);
	size_t n = 0;

	REQUIRE(p && u);
	fill_plain();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];

		REQUIRE(dm_codec_pack(p, plain, size, packed, &n, &err) == 0);
		CHECK(n < size);
		if (size >= 4096)
			CHECK(n > 0 && n < size / 8);
		if (n == 0)
			continue;
		memset(back, 0xee, ROOM);
		CHECK(dm_codec_unpack(u, choice.codec, packed, n, back, size, &err) == 0);
		CHECK(memcmp(plain, back, size) == 0);
	}
	/* n: of all ROOM bytes. Neither one byte more or less, nor one too many packed. */
	CHECK_INT(dm_codec_unpack(u, choice.codec, packed, n, back, ROOM - 1, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_INT(dm_codec_unpack(u, choice.codec, packed, n - 1, back, ROOM, &err), -1);
	packed[n] = 0;
	CHECK_INT(dm_codec_unpack(u, choice.codec, packed, n + 1, back, ROOM, &err), -1);
	REQUIRE(dm_codec_pack(p, plain, 5000, packed, &n, &err) == 0);
	CHECK_INT(dm_codec_unpack(u, choice.codec, packed, n, back, 5001, &err), -1);
	for (size_t i = 0; i < ROOM; i++)
		plain[i] = (unsigned char)(rand() >> 3);
	REQUIRE(dm_codec_pack(p, plain, ROOM, packed, &n, &err) == 0);
	CHECK_INT(n, 0); /* noise does not shrink */
	dm_codec_free(p);
	dm_codec_free(u);
}

TEST(codec_zstd)
{
	check_codec((struct dm_codec_choice){DM_FRAME_ZSTD, 1});
	check_codec((struct dm_codec_choice){DM_FRAME_ZSTD, 19});
}

TEST(codec_zlib)
{
	check_codec((struct dm_codec_choice){DM_FRAME_ZLIB, 1});
	check_codec((struct dm_codec_choice){DM_FRAME_ZLIB, 9});
}

TEST(codec_none_never_packs)
{
	struct dm_codec *c = dm_codec_new(&(struct dm_codec_choice){DM_FRAME_NONE, 0}, &err);
	size_t n = 1;

	REQUIRE(c);
	memset(plain, 0, 4096);
	CHECK_INT(dm_codec_pack(c, plain, 4096, packed, &n, &err), 0);
	CHECK_INT(n, 0);
	dm_codec_free(c);
	dm_codec_free(NULL);
}

/* Bytes that get through in this many seconds, on a clock that only we move. */
static double flow(uint64_t per_second, size_t piece, double seconds, unsigned *pieces)
{
	double now = 1000, end = now + seconds, wait = 0, sent = 0;
	struct dm_rate r;

	dm_rate_start(&r, per_second, now);
	for (*pieces = 0; now < end;) {
		size_t n = dm_rate_take(&r, piece, now, &wait);

		if (n == 0)
			now += wait + 1e-6;
		else
			*pieces += 1;
		sent += (double)n;
	}
	return sent;
}

TEST(rate_is_kept_to_and_used_up)
{
	static const uint64_t rates[] = {1, 10, 1000, 123456, 10000000, 5000000000};
	static const size_t piece[] = {1, 100, 65536, 1 << 20};
	unsigned pieces;

	for (size_t i = 0; i < 6; i++) {
		double want = (double)rates[i] * 10, burst = (double)rates[i] / 20;

		for (size_t k = 0; k < 4; k++) {
			double got;

			if (want / (double)piece[k] > 2e6)
				continue;
			got = flow(rates[i], piece[k], 10, &pieces);
			if (got > want + burst + 1 || got < want * 0.99 - burst - 1)
				TEST_BAD("%.0f bytes, not %.0f", got, want);
		}
	}
}

TEST(rate_is_not_handed_out_in_crumbs)
{
	unsigned pieces;

	flow(1000000, 65536, 10, &pieces);
	CHECK(pieces <= 410); /* half a burst, 25 ms, each */
}

TEST(rate_after_a_pause_has_one_burst_and_no_more)
{
	struct dm_rate r;
	double wait = 0;
	size_t n = 0, k;

	dm_rate_start(&r, 1000000, 5);
	while ((k = dm_rate_take(&r, 4096, 500, &wait)) > 0)
		n += k;
	CHECK(n <= 50000 && n > 25000);
	CHECK(wait > 0 && wait < 0.051);
}

TEST(rate_of_zero_is_no_limit)
{
	struct dm_rate r;
	double wait;

	dm_rate_start(&r, 0, 5);
	CHECK_INT(dm_rate_take(&r, 1 << 30, 5, &wait), 1 << 30);
}

TEST(progress_line)
{
	struct dm_progress_view v = {
		.in = 3u << 30, .out = 1u << 30, .seconds = 3725.9, .rate = 1048576};
	char line[256];

	dm_progress_format(&v, 0, line, sizeof(line));
	CHECK_STR(line, "3.0 GiB in, 1.0 GiB out, 1.0 MiB/s, 1:02:05, ratio 3.00");
	v.decode = true;
	v.in = 1000;
	v.out = 500;
	dm_progress_format(&v, 0, line, sizeof(line));
	CHECK_STR(line, "1000 B in, 500 B out, 1.0 MiB/s, 1:02:05, ratio 0.50");
	v = (struct dm_progress_view){0};
	dm_progress_format(&v, 0, line, sizeof(line));
	CHECK_STR(line, "0 B in, 0 B out, 0 B/s, 0:00:00, ratio 1.00");
}

TEST(progress_line_keeps_to_the_width)
{
	struct dm_progress_view v = {.in = 3u << 30, .out = 1u << 30, .rate = 1048576};
	char line[256], small[20];

	for (unsigned width = 1; width < 80; width++) {
		dm_progress_format(&v, width, line, sizeof(line));
		CHECK(strlen(line) <= width);
	}
	dm_progress_format(&v, 34, line, sizeof(line));
	CHECK_STR(line, "3.0 GiB in, 1.0 GiB out, 1.0 MiB/s");
	dm_progress_format(&v, 33, line, sizeof(line));
	CHECK_STR(line, "3.0 GiB in, 1.0 GiB out");
	dm_progress_format(&v, 0, small, sizeof(small));
	CHECK_STR(small, "3.0 GiB in");
}
