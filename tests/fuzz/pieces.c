/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces.h"

#include <stdbool.h>
#include <string.h>

/* The fields that matter stand at the front of a piece. */
enum { FRONT = 48 };

struct cut {
	size_t at[FUZZ_PIECES + 1]; /* where pieces begin; the last one is the end */
	size_t n;
};

static unsigned next(unsigned *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

static void cut_up(const struct fuzz_format *f, const uint8_t *data, size_t size, struct cut *c)
{
	unsigned state = 0;
	size_t at = 0;

	for (c->n = 0; at < size && c->n < FUZZ_PIECES; c->n++) {
		size_t n = f->length(data + at, size - at, &state);

		c->at[c->n] = at;
		at += n && n < size - at ? n : size - at;
	}
	c->at[c->n] = size;
}

/* A piece by chance: each as likely as any other, or the longer the likelier. */
static size_t pick(const struct cut *c, unsigned *random)
{
	size_t at, i = 0;

	if (c->n == 0)
		return 0;
	if (next(random) % 2)
		return next(random) % c->n;
	at = next(random) % c->at[c->n];
	while (c->at[i + 1] <= at)
		i++;
	return i;
}

/* Put n bytes in the place of the m bytes at data + at. Returns the new size; when it would be
 * over max, nothing is done. */
static size_t splice(uint8_t *data, size_t size, size_t max, size_t at, size_t m, const uint8_t *p,
		     size_t n)
{
	if (size - m + n > max)
		return size;
	memmove(data + at + n, data + at + m, size - at - m);
	if (n)
		memcpy(data + at, p, n);
	return size - m + n;
}

/* Change the bytes of piece i. */
static size_t change(const struct fuzz_format *f, uint8_t *data, size_t size, size_t max,
		     const struct cut *c, size_t i, unsigned *random)
{
	size_t at = c->at[i], n = c->at[i + 1] - at, front = n < FRONT ? n : FRONT, grown;
	size_t room = n + (max - size < n + 256 ? max - size : n + 256);
	unsigned luck = next(random);
	uint8_t *piece;

	if (!f->change && luck % 2) {
		LLVMFuzzerMutate(data + at, front, front);
		return size;
	}
	piece = malloc(room);
	HOLDS(piece);
	memcpy(piece, data + at, n);
	grown = f->change && luck % 4 ? f->change(piece, n, room, luck / 4)
				      : LLVMFuzzerMutate(piece, n, room);
	if (luck % 8)
		f->fit(piece, grown);
	size = splice(data, size, max, at, n, piece, grown);
	free(piece);
	return size;
}

/* Put a copy of piece i in front of piece k, or in its place. */
static size_t repeat(uint8_t *data, size_t size, size_t max, const struct cut *c, size_t i,
		     size_t k, bool replace)
{
	size_t n = c->at[i + 1] - c->at[i];
	uint8_t *piece = malloc(n);

	HOLDS(piece);
	memcpy(piece, data + c->at[i], n);
	size = splice(data, size, max, c->at[k], replace ? c->at[k + 1] - c->at[k] : 0, piece, n);
	free(piece);
	return size;
}

size_t fuzz_mutate(const struct fuzz_format *f, uint8_t *data, size_t size, size_t max,
		   unsigned seed)
{
	unsigned random = seed, luck = next(&random) % 24;
	struct cut c;
	size_t i, k;

	cut_up(f, data, size, &c);
	i = pick(&c, &random);
	k = pick(&c, &random);
	if (luck == 0 || c.n == 0)
		size = LLVMFuzzerMutate(data, size, max);
	else if (luck == 1)
		size = next(&random) % size;
	else if (luck == 2)
		size = splice(data, size, max, c.at[i], c.at[i + 1] - c.at[i], NULL, 0);
	else if (luck <= 5)
		size = repeat(data, size, max, &c, i, k, luck == 3);
	else
		size = change(f, data, size, max, &c, i, &random);
	luck = next(&random);
	if (f->repair && luck % 32)
		f->repair(data, size, luck / 32);
	return size;
}

size_t fuzz_cross(const struct fuzz_format *f, const uint8_t *a, size_t na, const uint8_t *b,
		  size_t nb, uint8_t *out, size_t max, unsigned seed)
{
	unsigned random = seed;
	struct cut ca, cb;
	size_t n, from;

	cut_up(f, a, na, &ca);
	cut_up(f, b, nb, &cb);
	n = ca.at[next(&random) % (ca.n + 1)];
	from = cb.at[next(&random) % (cb.n + 1)];
	if (n > max)
		n = max;
	if (nb - from > max - n)
		nb = from + (max - n);
	memcpy(out, a, n);
	memcpy(out + n, b + from, nb - from);
	n += nb - from;
	if (f->repair)
		f->repair(out, n, next(&random));
	return n;
}
