/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_PIECES_H
#define DM_FUZZ_PIECES_H

/*
 * Mutations for bytes that are made of pieces, such as records and frames: a piece is changed,
 * dropped, repeated or moved, or all is cut off somewhere; then lengths and checksums are put
 * right, so that what is behind them gets its turn. The checksums are left wrong now and then, so
 * that they get theirs.
 */

#include <stddef.h>
#include <stdint.h>

#include "fuzz.h"

enum { FUZZ_PIECES = 512 };

struct fuzz_format {
	/* The length of the piece that begins at p, where n bytes are left (not 0); more than n
	 * counts as n. *state is the format's own from piece to piece, 0 before the first. */
	size_t (*length)(const uint8_t *p, size_t n, unsigned *state);
	/* A piece now has n bytes: tell so in it. */
	void (*fit)(uint8_t *p, size_t n);
	/* Put all checksums right. NULL: there are none. luck is a random number: with some of
	 * them other fields than the checksums stay as they are. */
	void (*repair)(uint8_t *data, size_t size, unsigned luck);
	/* Change one piece of n bytes in its own way, within max. Returns its new length. NULL:
	 * there is none. */
	size_t (*change)(uint8_t *p, size_t n, size_t max, unsigned luck);
};

/*
 * As LLVMFuzzerCustomMutator() and LLVMFuzzerCustomCrossOver().
 */
size_t fuzz_mutate(const struct fuzz_format *f, uint8_t *data, size_t size, size_t max,
		   unsigned seed);
size_t fuzz_cross(const struct fuzz_format *f, const uint8_t *a, size_t na, const uint8_t *b,
		  size_t nb, uint8_t *out, size_t max, unsigned seed);

/* The two for a target whose format is f. */
#define FUZZ_FORMAT(f)                                                                             \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)      \
	{                                                                                          \
		return fuzz_mutate(&(f), data, size, max, seed);                                   \
	}                                                                                          \
	size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, \
					 uint8_t *out, size_t max, unsigned seed)                  \
	{                                                                                          \
		return fuzz_cross(&(f), a, na, b, nb, out, max, seed);                             \
	}

#endif
