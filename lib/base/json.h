/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_JSON_H
#define DM_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Parse len bytes as one JSON object; what names them in messages. Depth and duplicate keys are
 * limited by the library's strict mode.
 * Returns a new reference; NULL with err.
 */
json_t *dm_json_parse(const char *text, size_t len, const char *what, struct dm_err *err);

/*
 * Walk a path of keys ("HostConfig.NetworkMode"; keys hold no dots) down from o.
 * Returns a borrowed reference; NULL when a step is missing or no object.
 */
json_t *dm_json_at(const json_t *o, const char *path);

/*
 * The string at path, borrowed; fallback when it is missing or no string.
 */
const char *dm_json_str(const json_t *o, const char *path, const char *fallback);

/*
 * The integer at path; fallback when it is missing or no integer.
 */
long long dm_json_int(const json_t *o, const char *path, long long fallback);

/*
 * Whether path holds true.
 */
int dm_json_true(const json_t *o, const char *path);

/*
 * Whether the array under key has value among its strings.
 */
int dm_json_lists(const json_t *o, const char *key, const char *value);

/*
 * The object as one compact line of text, without a newline, to be freed by the caller.
 * Returns NULL with err when memory ran out.
 */
char *dm_json_text(const json_t *o, struct dm_err *err);

#endif
