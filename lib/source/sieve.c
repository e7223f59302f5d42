/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sieve.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* HELD_MAX: bytes of headers before an entry. SIZE_DIGITS: what fits into 63 bits with ease. */
enum { BLOCK = 512, HELD_MAX = 1 << 20, MANIFEST_MAX = 4 << 20, SIZE_DIGITS = 18 };

/* Offsets and lengths of a header's fields. */
enum {
	NAME = 0,
	NAME_LEN = 100,
	SIZE = 124,
	SIZE_LEN = 12,
	SUM = 148,
	SUM_LEN = 8,
	TYPE = 156,
	MAGIC = 257,
	PREFIX = 345,
	PREFIX_LEN = 155
};

enum state {
	HEADER, /* a block is being gathered */
	BEFORE, /* the body of a header that belongs to the next entry */
	KEEP,	/* a body that goes on */
	DROP,	/* one that does not */
	REST,	/* all goes on from here */
};

struct dm_sieve {
	const json_t *without;
	dm_engine_sink *sink;
	void *ctx;
	enum state state;
	char block[BLOCK];
	size_t fill;	    /* bytes in block */
	uint64_t left;	    /* bytes of the body to come, with its padding */
	struct dm_buf held; /* what has come before the entry that it belongs to */
	size_t body;	    /* where in held the body at hand begins, */
	uint64_t body_len;  /* its length without padding, */
	char body_type;	    /* and what kind of header it is */
	char path[512];	    /* of the next entry, if such a header told it */
	bool has_path, has_size;
	uint64_t size;
	uint64_t manifest_left; /* bytes of manifest.json to come */
	struct dm_buf manifest;
	bool complete; /* the manifest is */
	size_t dropped;
};

struct dm_sieve *dm_sieve_new(const json_t *without, dm_engine_sink *sink, void *ctx,
			      struct dm_err *err)
{
	struct dm_sieve *s = calloc(1, sizeof(*s));

	if (!s) {
		dm_fail_errno(err, "allocate sieve");
		return NULL;
	}
	s->without = without;
	s->sink = sink;
	s->ctx = ctx;
	s->held.cap = HELD_MAX + 4 * BLOCK;
	s->manifest.cap = MANIFEST_MAX;
	return s;
}

static int pass(struct dm_sieve *s, const void *bytes, size_t len, struct dm_err *err)
{
	return len && s->sink ? s->sink(s->ctx, bytes, len, err) : 0;
}

static int pass_held(struct dm_sieve *s, struct dm_err *err)
{
	int ret = pass(s, s->held.data, s->held.len, err);

	s->held.len = 0;
	return ret;
}

/* Give up: what is held, the block at hand and all that follows go on. */
static int pass_rest(struct dm_sieve *s, struct dm_err *err)
{
	s->state = REST;
	return pass_held(s, err) || pass(s, s->block, BLOCK, err) ? -1 : 0;
}

/* Digits up to a byte that ends them. Returns how many bytes they take, 0 when it is no number. */
static size_t digits(const char *p, size_t len, unsigned base, const char *ends, uint64_t *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < len && i < SIZE_DIGITS && p[i] >= '0' && p[i] < (char)('0' + base); i++)
		*out = *out * base + (unsigned)(p[i] - '0');
	return i > 0 && i < len && memchr(ends, p[i], strlen(ends) + 1) ? i : 0;
}

/* A header of the kind that is understood, whole and undamaged. */
static bool header_ok(const char *h, uint64_t *size)
{
	uint64_t told, sum = 0;
	size_t at = SUM;

	while (at < SUM + SUM_LEN && h[at] == ' ')
		at++;
	for (int i = 0; i < BLOCK; i++)
		sum += i >= SUM && i < SUM + SUM_LEN ? ' ' : (unsigned char)h[i];
	return !memcmp(h + MAGIC, "ustar", 5) &&
	       digits(h + at, SUM + SUM_LEN - at, 8, " ", &told) && told == sum &&
	       digits(h + SIZE, SIZE_LEN, 8, " ", size);
}

static void set_path(struct dm_sieve *s, const char *p, size_t len)
{
	/* no file that may be left out has such a name */
	if (len >= sizeof(s->path) || memchr(p, '\0', len))
		len = 0;
	memcpy(s->path, p, len);
	s->path[len] = '\0';
	s->has_path = true;
}

/* Records "LENGTH KEY=VALUE\n". */
static bool read_pax(struct dm_sieve *s, const char *p, size_t len)
{
	while (len) {
		uint64_t n;
		size_t at = digits(p, len, 10, " ", &n);
		const char *key = p + at + 1, *value;

		if (!at || p[at] != ' ' || n < at + 3 || n > len || p[n - 1] != '\n')
			return false;
		value = memchr(key, '=', n - at - 2);
		if (!value)
			return false;
		value++;
		len -= n;
		p += n;
		n = (size_t)(p - 1 - value);
		if (!strncmp(key, "path=", 5)) {
			set_path(s, value, n);
		} else if (!strncmp(key, "size=", 5)) {
			if (digits(value, n + 1, 10, "\n", &s->size) != n)
				return false;
			s->has_size = true;
		}
	}
	return true;
}

/* A header before an entry is complete. */
static int end_before(struct dm_sieve *s, struct dm_err *err)
{
	const char *p = s->held.data + s->body;
	size_t len = (size_t)s->body_len;

	s->state = HEADER;
	if (s->body_type == 'L') {
		set_path(s, p, strnlen(p, len));
	} else if (!read_pax(s, p, len)) {
		s->state = REST;
		return pass_held(s, err);
	}
	return 0;
}

static int begin_before(struct dm_sieve *s, char type, uint64_t size, struct dm_err *err)
{
	if (size == 0 || size + s->held.len > HELD_MAX)
		return pass_rest(s, err);
	if (dm_buf_add(&s->held, s->block, BLOCK, err))
		return -1;
	s->body = s->held.len;
	s->body_len = size;
	s->body_type = type;
	s->state = BEFORE;
	s->left = (size + BLOCK - 1) / BLOCK * BLOCK;
	return 0;
}

static void name_of(struct dm_sieve *s)
{
	const char *prefix = s->block + PREFIX, *name = s->block + NAME;
	size_t n = strnlen(prefix, PREFIX_LEN);

	if (s->has_path)
		return;
	memcpy(s->path, prefix, n);
	if (n)
		s->path[n++] = '/';
	memcpy(s->path + n, name, strnlen(name, NAME_LEN));
	s->path[n + strnlen(name, NAME_LEN)] = '\0';
}

static int begin_entry(struct dm_sieve *s, bool file, uint64_t size, struct dm_err *err)
{
	bool drop;

	name_of(s);
	if (s->has_size)
		size = s->size;
	if (!file && size)
		return pass_rest(s, err);
	drop = file && json_object_get(s->without, s->path);
	if (file && !strcmp(s->path, "manifest.json") && size <= MANIFEST_MAX) {
		s->manifest.len = 0;
		s->manifest_left = size;
	}
	s->has_path = s->has_size = false;
	s->left = (size + BLOCK - 1) / BLOCK * BLOCK;
	s->state = !s->left ? HEADER : drop ? DROP : KEEP;
	if (drop) {
		s->dropped++;
		s->held.len = 0;
		return 0;
	}
	return pass_held(s, err) || pass(s, s->block, BLOCK, err) ? -1 : 0;
}

static int on_block(struct dm_sieve *s, struct dm_err *err)
{
	char type = s->block[TYPE];
	uint64_t size;

	s->fill = 0;
	/* the zeros at the end are not understood, either */
	if (!header_ok(s->block, &size))
		return pass_rest(s, err);
	if (type == 'x' || type == 'L')
		return begin_before(s, type, size, err);
	if (type == '0' || type == '\0')
		return begin_entry(s, true, size, err);
	return type >= '1' && type <= '6' ? begin_entry(s, false, size, err) : pass_rest(s, err);
}

static int on_body(struct dm_sieve *s, const char *bytes, size_t len, struct dm_err *err)
{
	size_t n = s->manifest_left < len ? (size_t)s->manifest_left : len;

	s->left -= len;
	if (s->state == BEFORE) {
		if (dm_buf_add(&s->held, bytes, len, err))
			return -1;
		return s->left ? 0 : end_before(s, err);
	}
	if (n) {
		if (dm_buf_add(&s->manifest, bytes, n, err))
			return -1;
		s->manifest_left -= n;
		s->complete = s->manifest_left == 0;
	}
	if (s->state == KEEP && pass(s, bytes, len, err))
		return -1;
	if (s->left == 0)
		s->state = HEADER;
	return 0;
}

int dm_sieve_data(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct dm_sieve *s = ctx;
	const char *p = bytes;

	while (len) {
		size_t most = s->state == HEADER ? BLOCK - s->fill : s->left;
		size_t n = len < most ? len : most;
		int ret = 0;

		if (s->state == REST)
			return pass(s, p, len, err);
		if (s->state == HEADER) {
			memcpy(s->block + s->fill, p, n);
			s->fill += n;
			if (s->fill == BLOCK)
				ret = on_block(s, err);
		} else {
			ret = on_body(s, p, n, err);
		}
		if (ret)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

int dm_sieve_end(struct dm_sieve *s, struct dm_err *err)
{
	size_t n = s->fill;

	s->fill = 0;
	return pass_held(s, err) || pass(s, s->block, n, err) ? -1 : 0;
}

size_t dm_sieve_dropped(const struct dm_sieve *s)
{
	return s->dropped;
}

const char *dm_sieve_manifest(const struct dm_sieve *s, size_t *len)
{
	*len = s->manifest.len;
	return s->complete ? s->manifest.data : NULL;
}

void dm_sieve_free(struct dm_sieve *s)
{
	if (!s)
		return;
	dm_buf_free(&s->held);
	dm_buf_free(&s->manifest);
	free(s);
}
