/* SPDX-License-Identifier: Apache-2.0 */
#include "ustar.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, SIZE = 124, SUM = 148, TYPE = 156, DIGITS = 12 };

/* The number in a field, as far as it is octal. */
static size_t octal(const uint8_t *p, size_t n)
{
	size_t v = 0;

	for (; n > 0 && *p >= '0' && *p <= '7' && v < 1 << 24; n--)
		v = v * 8 + (size_t)(*p++ - '0');
	return v;
}

static void put_octal(uint8_t *p, size_t digits, size_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*zo", (int)digits, v);
	memcpy(p, text, digits);
}

static size_t up(size_t n)
{
	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

/* Links, devices, folders and the like have no data. state: 1 behind the first byte. */
static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	if (!*state) {
		*state = 1;
		return 1;
	}
	if (n < BLOCK || p[0] == '\0' || (p[TYPE] >= '1' && p[TYPE] <= '6'))
		return BLOCK;
	return BLOCK + up(octal(p + SIZE, DIGITS));
}

static void fit(uint8_t *p, size_t n)
{
	(void)p;
	(void)n;
}

static void repair(uint8_t *data, size_t size, unsigned luck)
{
	unsigned state = 0;
	size_t n;

	(void)luck;
	for (size_t at = 0; at < size; at += n) {
		uint8_t *p = data + at;
		unsigned sum = 0;

		n = length(p, size - at, &state);
		if (at == 0 || size - at < BLOCK || p[0] == '\0')
			continue;
		memset(p + SUM, ' ', 8);
		for (size_t i = 0; i < BLOCK; i++)
			sum += p[i];
		put_octal(p + SUM, 6, sum);
		p[SUM + 6] = '\0';
	}
}

/* A record of a pax header around n bytes of "key=value", of which at most max bytes. */
static size_t put_record(uint8_t *out, size_t max, const uint8_t *text, size_t n)
{
	size_t len = n + 2, digits = 1;
	char number[24];

	for (size_t v = 10; v <= len + digits; v *= 10)
		digits++;
	len += digits;
	if (len > max)
		return 0;
	snprintf(number, sizeof(number), "%zu ", len);
	memcpy(out, number, digits + 1);
	memcpy(out + digits + 1, text, n);
	out[len - 1] = '\n';
	return len;
}

/* The decimal number that n bytes begin with. */
static size_t decimal(const uint8_t *p, size_t n)
{
	size_t v = 0;

	for (; n > 0 && *p >= '0' && *p <= '9' && v < 1 << 24; n--)
		v = v * 10 + (size_t)(*p++ - '0');
	return v;
}

/* The record with number which in the n bytes at p, or the last one: its length, and where it is in
 * *at. Returns 0 when there is none that makes sense. */
static size_t find_record(const uint8_t *p, size_t n, unsigned which, size_t *at)
{
	size_t len;

	for (*at = 0;; *at += len) {
		len = decimal(p + *at, n - *at);
		if (len < 4 || len > n - *at || !memchr(p + *at, ' ', len - 1))
			return 0;
		if (which-- == 0 || *at + len == n)
			return len;
	}
}

/* Change a record of the n bytes at p, within max. Returns the new length. */
static size_t change_record(uint8_t *p, size_t n, size_t max, unsigned which)
{
	size_t at, len = find_record(p, n, which, &at), rest, space, text, grown;
	uint8_t *copy;

	if (len == 0)
		return LLVMFuzzerMutate(p, n, max);
	space = strcspn((char *)p + at, " ") + 1;
	text = len - space - 1;
	rest = n - at - len;
	copy = malloc(text + 64 + rest);
	HOLDS(copy);
	memcpy(copy, p + at + space, text);
	text = LLVMFuzzerMutate(copy, text, text + 64);
	memcpy(copy + text, p + at + len, rest);
	grown = put_record(p + at, max - at, copy, text);
	if (grown == 0 || rest > max - at - grown)
		rest = 0;
	memcpy(p + at + grown, copy + text, rest);
	free(copy);
	return at + grown + rest;
}

static size_t change(uint8_t *p, size_t n, size_t max, unsigned luck)
{
	static const struct {
		unsigned char at, len;
	} fields[] = {{0, 100},	 {0, 10},   {100, 8},  {108, 8},  {116, 8}, {SIZE, DIGITS},
		      {136, 12}, {157, 99}, {TYPE, 1}, {TYPE, 1}, {156, 20}};
	size_t k = luck / 2 % (sizeof(fields) / sizeof(*fields)), len;

	if (n < BLOCK)
		return LLVMFuzzerMutate(p, n, max);
	if (luck % 2 || n == BLOCK || max < 2 * BLOCK) {
		LLVMFuzzerMutate(p + fields[k].at, fields[k].len, fields[k].len);
		return n;
	}
	len = octal(p + SIZE, DIGITS);
	len = len < n - BLOCK ? len : n - BLOCK;
	max = (max - BLOCK) / BLOCK * BLOCK;
	if (len > max)
		return n;
	len = p[TYPE] == 'x' || p[TYPE] == 'g' ? change_record(p + BLOCK, len, max, luck / 2 % 8)
					       : LLVMFuzzerMutate(p + BLOCK, len, max);
	memset(p + BLOCK + len, 0, up(len) - len);
	put_octal(p + SIZE, DIGITS - 1, len);
	return BLOCK + up(len);
}

const struct fuzz_format fuzz_ustar = {length, fit, repair, change};
