/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_LINES_H
#define DM_FUZZ_LINES_H

/* Inputs that are lines of text, most of which hold JSON. */

#include "pieces.h"

/*
 * The format of such an input, for FUZZ_FORMAT(): in a line that is JSON, values are changed,
 * dropped, doubled and moved.
 */
extern const struct fuzz_format fuzz_lines;

/*
 * Take the next line off the input, without its newline: *data and *size are moved behind it.
 * Returns it as a string, to be freed by the caller; NULL when there is none left.
 */
char *fuzz_line(const uint8_t **data, size_t *size);

#endif
