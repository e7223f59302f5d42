/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <sanitizer/asan_interface.h>
#include <string.h>
#include <xxhash.h>

#include "base/le.h"
#include "stream/format.h"

/* A segment begins with its head; END and ABORT end it. state: 1 within a segment. */
static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	if (!*state) {
		*state = 1;
		return DM_HEAD_SIZE;
	}
	if (n < DM_RECORD_HEAD)
		return n;
	if (dm_get16(p) == DM_END || dm_get16(p) == DM_ABORT)
		*state = 0;
	return DM_RECORD_HEAD + (size_t)dm_get32(p + 4);
}

static void fit(uint8_t *p, size_t n)
{
	if (n >= DM_RECORD_HEAD && (n < 8 || memcmp(p, DM_STREAM_MAGIC, 8)))
		dm_put32(p + 4, (uint32_t)(n - DM_RECORD_HEAD));
}

struct sums {
	const uint8_t *first; /* head */
	uint8_t before[DM_DIGEST];
	uint32_t number;
	uint64_t records, bytes;
	XXH3_state_t *digest;
};

static void repair_head(struct sums *s, uint8_t *h, unsigned luck)
{
	if (luck % 16) {
		dm_put32(h + 16, s->number++);
		memcpy(h + 88, s->before, DM_DIGEST);
		if (s->first) {
			memcpy(h + 20, s->first + 20, 4 + DM_STREAM_ID);
			memcpy(h + 104, s->first + 104, 8);
		}
	}
	s->first = s->first ? s->first : h;
	dm_put64(h + 112, XXH3_64bits(h, 112));
	XXH3_128bits_reset(s->digest);
	XXH3_128bits_update(s->digest, h, DM_HEAD_SIZE);
	s->records = 0;
	s->bytes = DM_HEAD_SIZE;
}

static void repair_record(struct sums *s, uint8_t *p, size_t n)
{
	XXH128_canonical_t d;

	if (dm_get16(p) == DM_END && n == DM_RECORD_HEAD + 16 + DM_DIGEST) {
		XXH128_canonicalFromHash(&d, XXH3_128bits_digest(s->digest));
		memcpy(s->before, d.digest, DM_DIGEST);
		dm_put64(p + DM_RECORD_HEAD, s->records);
		dm_put64(p + DM_RECORD_HEAD + 8, s->bytes);
		memcpy(p + DM_RECORD_HEAD + 16, d.digest, DM_DIGEST);
	}
	dm_put64(p + 8, XXH3_64bits_withSeed(p + DM_RECORD_HEAD, n - DM_RECORD_HEAD,
					     dm_get64(p) + s->records));
	s->records++;
	s->bytes += n;
	XXH3_128bits_update(s->digest, p, n);
}

static void repair(uint8_t *data, size_t size, unsigned luck)
{
	struct sums s = {.digest = XXH3_createState()};
	unsigned state = 0;
	size_t n;

	for (size_t at = 0; at < size; at += n) {
		bool head = state == 0;

		n = length(data + at, size - at, &state);
		if (n > size - at || n < DM_RECORD_HEAD)
			break;
		if (head)
			repair_head(&s, data + at, luck);
		else
			repair_record(&s, data + at, n);
	}
	XXH3_freeState(s.digest);
}

const struct fuzz_format fuzz_records = {length, fit, repair, NULL};

enum { BEHIND = 64 << 10 };

static uint8_t payload[DM_PAYLOAD_MAX + BEHIND];
static struct dm_run run_list[DM_RUNS_MAX];
int fuzz_lent;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void __real_free(void *p);
void __wrap_free(void *p);
ssize_t __real_dm_read_full(int fd, void *buf, size_t len);
ssize_t __wrap_dm_read_full(int fd, void *buf, size_t len);

void *__wrap_malloc(size_t n)
{
	if (n != DM_PAYLOAD_MAX && n != sizeof(run_list))
		return __real_malloc(n);
	fuzz_lent++;
	return n == sizeof(run_list) ? (void *)run_list : payload;
}

void __wrap_free(void *p)
{
	if (p == payload || p == run_list)
		fuzz_lent--;
	else
		__real_free(p);
}

ssize_t __wrap_dm_read_full(int fd, void *buf, size_t len)
{
	static size_t last;

	if (buf != payload)
		return __real_dm_read_full(fd, buf, len);
	HOLDS(len <= DM_PAYLOAD_MAX);
	ASAN_UNPOISON_MEMORY_REGION(payload + last, BEHIND);
	ASAN_POISON_MEMORY_REGION(payload + len, BEHIND);
	last = len;
	return __real_dm_read_full(fd, buf, len);
}
