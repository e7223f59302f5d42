/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped form: any bytes into dm-ship's unpacking, with its threads. */
#include <fcntl.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include "base/le.h"
#include "pieces.h"
#include "ship/codec.h"
#include "ship/decode.h"
#include "ship/frame.h"
#include "ship/ring.h"
#include "threads.h"

/* state: 1 within a stream. */
static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	if (!*state) {
		*state = 1;
		return DM_FRAME_HEAD_SIZE;
	}
	if (n < DM_FRAME_HEADER_SIZE)
		return n;
	*state = !(p[1] & DM_FRAME_END);
	return DM_FRAME_HEADER_SIZE + (size_t)dm_get32(p + 12);
}

static void fit(uint8_t *p, size_t n)
{
	if (n < DM_FRAME_HEADER_SIZE || dm_frame_is_shipped(p, n))
		return;
	dm_put32(p + 12, (uint32_t)(n - DM_FRAME_HEADER_SIZE));
	if (p[0] == DM_FRAME_NONE)
		dm_put32(p + 8, (uint32_t)(n - DM_FRAME_HEADER_SIZE));
}

static uint8_t plain[DM_FRAME_MAX];

/* Unpack n bytes into plain, as far as they make sense. Returns the length; 0: they do not. */
static size_t unpack(unsigned codec, const uint8_t *p, size_t n)
{
	size_t len = n < sizeof(plain) ? n : sizeof(plain);

	if (codec == DM_FRAME_ZSTD) {
		len = ZSTD_decompress(plain, sizeof(plain), p, n);
		return ZSTD_isError(len) ? 0 : len;
	}
	if (codec == DM_FRAME_ZLIB) {
		uLongf room = sizeof(plain);

		return uncompress(plain, &room, p, n) == Z_OK ? room : 0;
	}
	memcpy(plain, p, len);
	return len;
}

struct sums {
	uint32_t number;
	uint64_t total;
	XXH3_state_t *hash;
};

static void repair_frame(struct sums *s, uint8_t *p, size_t n, unsigned luck)
{
	uint8_t *bytes = p + DM_FRAME_HEADER_SIZE;
	size_t packed = n - DM_FRAME_HEADER_SIZE, len;

	if (p[1] & DM_FRAME_END && packed == DM_FRAME_END_SIZE) {
		XXH128_hash_t h = XXH3_128bits_digest(s->hash);

		dm_frame_put_end(&(struct dm_frame_end){s->total, h.low64, h.high64}, bytes);
	}
	len = unpack(p[0], bytes, packed);
	if (luck % 16)
		dm_put32(p + 4, s->number);
	if (len && luck % 8)
		dm_put32(p + 8, (uint32_t)len);
	dm_put64(p + 16, XXH3_64bits(plain, len));
	dm_put64(p + 24, XXH3_64bits(p, 24));
	XXH3_128bits_update(s->hash, plain, len);
	s->total += len;
	s->number++;
}

static void repair(uint8_t *data, size_t size, unsigned luck)
{
	struct sums s = {.hash = XXH3_createState()};
	unsigned state = 0;
	size_t n;

	for (size_t at = 0; at < size; at += n) {
		bool head = state == 0;

		n = length(data + at, size - at, &state);
		if (n > size - at || n < DM_FRAME_HEAD_SIZE)
			break;
		if (head) {
			dm_put64(data + at + 16, XXH3_64bits(data + at, 16));
			XXH3_128bits_reset(s.hash);
			s.number = 0;
			s.total = 0;
		} else if (n >= DM_FRAME_HEADER_SIZE) {
			repair_frame(&s, data + at, n, luck);
		}
	}
	XXH3_freeState(s.hash);
}

static const struct fuzz_format format = {length, fit, repair, NULL};
FUZZ_FORMAT(format)

/*
 * The linker's --wrap puts these in between. The memory of the slots is lent, since to make it anew
 * takes more time than all else; and the zlib and zstd libraries are not built with sanitizers:
 * that they are given the room of a slot, and no more, is checked here.
 */
enum { ROOM = DM_FRAME_HEADER_SIZE + DM_FRAME_MAX };

static uint8_t slots[2 * DM_RING_SLOTS * ROOM];
static int lent;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void __real_free(void *p);
void __wrap_free(void *p);
ssize_t __real_dm_source_full(struct dm_source *s, void *buf, size_t len, struct dm_err *err);
ssize_t __wrap_dm_source_full(struct dm_source *s, void *buf, size_t len, struct dm_err *err);
int __real_dm_codec_unpack(struct dm_codec *c, enum dm_frame_codec codec, const void *in, size_t n,
			   void *out, size_t plain, struct dm_err *err);
int __wrap_dm_codec_unpack(struct dm_codec *c, enum dm_frame_codec codec, const void *in, size_t n,
			   void *out, size_t size, struct dm_err *err);

void *__wrap_malloc(size_t n)
{
	if (n != sizeof(slots))
		return __real_malloc(n);
	lent++;
	return slots;
}

void __wrap_free(void *p)
{
	if (p == slots)
		lent--;
	else
		__real_free(p);
}

ssize_t __wrap_dm_source_full(struct dm_source *s, void *buf, size_t len, struct dm_err *err)
{
	HOLDS(len <= DM_FRAME_MAX);
	return __real_dm_source_full(s, buf, len, err);
}

int __wrap_dm_codec_unpack(struct dm_codec *c, enum dm_frame_codec codec, const void *in, size_t n,
			   void *out, size_t size, struct dm_err *err)
{
	HOLDS(n <= DM_FRAME_MAX && size <= DM_FRAME_MAX);
	return __real_dm_codec_unpack(c, codec, in, n, out, size, err);
}

/* The plain bytes that a whole shipped form tells of. */
static uint64_t told(const uint8_t *data, size_t size)
{
	unsigned state = 0;
	uint64_t sum = 0;
	size_t n;

	for (size_t at = 0; at < size; at += n) {
		bool head = state == 0;

		n = length(data + at, size - at, &state);
		if (!head && state) /* not the end frame */
			sum += dm_get32(data + at + 8);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int null = -1;
	struct dm_err err = {0};
	struct dm_source in;
	struct dm_sink out;
	int ret;

	if (null < 0)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	HOLDS(dm_source_open(&in, fuzz_fd(data, size), &err) == 0);
	dm_sink_open(&out, null, 0);
	ret = dm_decode_run(&in, &out, &err);
	HOLDS(ret ? err.code == DM_BAD_STREAM && err.msg[0]
		  : in.bytes == size && out.bytes == told(data, size));
	HOLDS(lent == 0 && fuzz_threads() == 0);
	dm_source_close(&in);
	return 0;
}
