/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_H
#define DM_FUZZ_H

/*
 * What the fuzz targets share. A target is tests/fuzz/NAME_fuzz.c, linked with the library and
 * clang's libFuzzer, which calls LLVMFuzzerTestOneInput() for ever with other bytes.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* libFuzzer's own names: what it calls, and what it offers to mutators. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb,
				 uint8_t *out, size_t max, unsigned seed);

/* What must hold, whatever the bytes are. */
#define HOLDS(cond) ((cond) ? (void)0 : abort())

/*
 * A descriptor from which exactly these bytes can be read. It is the same one in every call, and
 * is never closed.
 */
int fuzz_fd(const uint8_t *data, size_t size);

/*
 * A folder below TMPDIR or /dev/shm, one for each process, which is empty at first; its path. It is
 * removed at the end, but not after a crash.
 */
const char *fuzz_folder(void);

#endif
