/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_DOCUMENT_H
#define DM_SOURCE_DOCUMENT_H

#include <jansson.h>

#include "base/err.h"
#include "container/container.h"
#include "container/fit.h"
#include "engine/docker.h"

/*
 * The document that opens a stream (dm-stream(5) lists its keys): the container's inspect
 * document, its volumes, and what the target must know to take it.
 * Returns a new reference; NULL with err.
 */
json_t *dm_document(struct dm_engine *e, const struct dm_container *c,
		    const struct dm_fit_opts *opts, struct dm_err *err);

#endif
