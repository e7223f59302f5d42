/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdint.h>
#include <string.h>

json_t *dm_json_parse(const char *text, size_t len, const char *what, struct dm_err *err)
{
	json_error_t e;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);

	if (o && json_is_object(o))
		return o;
	if (o)
		dm_fail(err, DM_FAILURE, "%s: not a JSON object", what);
	else
		dm_fail(err, DM_FAILURE, "%s: bad JSON: %s", what, e.text);
	json_decref(o);
	return NULL;
}

json_t *dm_json_at(const json_t *o, const char *path)
{
	char key[128];

	while (o && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return (json_t *)(uintptr_t)o;
}

const char *dm_json_str(const json_t *o, const char *path, const char *fallback)
{
	const json_t *v = dm_json_at(o, path);

	return json_is_string(v) ? json_string_value(v) : fallback;
}

long long dm_json_int(const json_t *o, const char *path, long long fallback)
{
	const json_t *v = dm_json_at(o, path);

	return json_is_integer(v) ? json_integer_value(v) : fallback;
}

int dm_json_true(const json_t *o, const char *path)
{
	return json_is_true(dm_json_at(o, path));
}

int dm_json_lists(const json_t *o, const char *key, const char *value)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(o, key), i, v)
	{
		if (json_is_string(v) && !strcmp(json_string_value(v), value))
			return 1;
	}
	return 0;
}

char *dm_json_text(const json_t *o, struct dm_err *err)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (!text)
		dm_fail(err, DM_FAILURE, "write JSON: out of memory or not UTF-8");
	return text;
}
