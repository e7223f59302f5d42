/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_ENGINE_DOCKER_H
#define DM_ENGINE_DOCKER_H

/* Docker's HTTP API on its unix socket (/var/run/docker.sock, or DOCKER_HOST=unix://PATH). */

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

struct dm_engine;

/*
 * Reach the engine and agree on the API's version. Free with dm_engine_close().
 * Returns NULL with err (DM_UNFIT when no engine answers).
 */
struct dm_engine *dm_engine_open(struct dm_err *err);

/*
 * Free e; NULL is fine.
 */
void dm_engine_close(struct dm_engine *e);

/*
 * The engine's version ("26.1.5"), valid as long as e is.
 */
const char *dm_engine_version(const struct dm_engine *e);

/*
 * Percent-encode one component of a path into out. Returns 0; -1 with err when it does not fit.
 */
int dm_engine_escape(const char *text, char *out, size_t size, struct dm_err *err);

/*
 * One request: method GET, POST or DELETE, the path without the version ("/containers/x/json"),
 * body NULL or an object (borrowed), and at most seconds for all of it.
 * Returns the HTTP status, with the parsed answer in *answer when answer is not NULL and the
 * engine sent JSON (else NULL); a status of 400 and more is given back with the engine's message
 * in err, too, so that a caller may take 404 or 409 as an answer; -1 with err when no answer came.
 */
int dm_engine_call(struct dm_engine *e, const char *method, const char *path, const json_t *body,
		   double seconds, json_t **answer, struct dm_err *err);

/*
 * dm_engine_call() that takes every status from 400 as a failure. Returns 0; -1 with err.
 */
int dm_engine_do(struct dm_engine *e, const char *method, const char *path, const json_t *body,
		 double seconds, json_t **answer, struct dm_err *err);

/*
 * Takes len bytes of a download. Returns 0; -1 with err to end it.
 */
typedef int dm_engine_sink(void *ctx, const void *bytes, size_t len, struct dm_err *err);

/*
 * Gives up to size bytes of an upload into buf. Returns their number, 0 at the end; -1 with err.
 */
typedef long dm_engine_source(void *ctx, void *buf, size_t size, struct dm_err *err);

/*
 * GET path as a stream of bytes into sink. Returns 0; -1 with err.
 */
int dm_engine_download(struct dm_engine *e, const char *path, dm_engine_sink *sink, void *ctx,
		       struct dm_err *err);

/*
 * POST the bytes of source to path, as a tar archive. Returns 0; -1 with err (also when the
 * engine's progress report names an error).
 */
int dm_engine_upload(struct dm_engine *e, const char *path, dm_engine_source *source, void *ctx,
		     struct dm_err *err);

#endif
