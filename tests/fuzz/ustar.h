/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_USTAR_H
#define DM_FUZZ_USTAR_H

/* Inputs that are a byte and a tar archive with pax headers. */

#include "pieces.h"

/*
 * The format of such an input, for FUZZ_FORMAT(): a piece is a header with its data. Fields are
 * changed, and the records of a pax header, whose lengths are put right; so are the checksums.
 */
extern const struct fuzz_format fuzz_ustar;

#endif
