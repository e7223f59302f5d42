/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bundle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"

enum { CONFIG_MAX = 32 << 20 };

int dm_bundle_open(const char *path, struct dm_bundle *b, struct dm_err *err)
{
	struct dm_buf hidden = {0};
	char *text = NULL;
	size_t len;

	*b = (struct dm_bundle){.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	if (b->dir < 0)
		return dm_fail_errno(err, "open bundle %s", path);
	text = dm_read_file(b->dir, "config.json", CONFIG_MAX, &len, err);
	if (text && dm_bigint_hide(text, len, b->mark, &hidden, err) == 0)
		b->doc = dm_json_parse(hidden.data, hidden.len, "config.json", err);
	free(text);
	dm_buf_free(&hidden);
	if (b->doc)
		return 0;
	dm_bundle_close(b);
	return dm_fail_prefix(err, "bundle %s", path);
}

void dm_bundle_close(struct dm_bundle *b)
{
	json_decref(b->doc);
	if (b->dir >= 0)
		close(b->dir);
	*b = (struct dm_bundle){.dir = -1};
}

bool dm_bundle_terminal(const struct dm_bundle *b)
{
	return dm_json_true(b->doc, "process.terminal");
}

bool dm_bundle_new_network(const struct dm_bundle *b)
{
	json_t *list = dm_json_at(b->doc, "linux.namespaces"), *ns;
	size_t i;

	json_array_foreach(list, i, ns) if (!strcmp(dm_json_str(ns, "type", ""),
						    "network")) return *dm_json_str(ns, "path",
										    "") == '\0';
	return false;
}

void dm_bundle_drop_criu_config(struct dm_bundle *b)
{
	json_object_del(json_object_get(b->doc, "annotations"), "org.criu.config");
}

/* The hook as the specification wants it. Without a PATH, nft would not be found. */
static json_t *make_hook(const char *self, const char *const *argv)
{
	const char *path = getenv("PATH");
	json_t *args = json_array();

	for (; *argv; argv++)
		json_array_append_new(args, json_string(*argv));
	return json_pack("{s:s, s:o, s:[s+]}", "path", self, "args", args, "env",
			 "PATH=", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
}

/* The member key of o, made new when it is missing or null. */
static json_t *member(json_t *o, const char *key, bool array)
{
	json_t *v = json_object_get(o, key);

	if (v && !json_is_null(v))
		return v;
	v = array ? json_array() : json_object();
	return json_object_set_new(o, key, v) ? NULL : v;
}

int dm_bundle_hook(struct dm_bundle *b, const char *list, bool first, const char *self,
		   const char *const *argv, struct dm_err *err)
{
	json_t *hook = make_hook(self, argv);
	json_t *a = member(member(b->doc, "hooks", false), list, true);

	if (hook && a &&
	    (first ? json_array_insert(a, 0, hook) : json_array_append(a, hook)) == 0) {
		json_decref(hook);
		return 0;
	}
	json_decref(hook);
	return dm_fail(err, DM_FAILURE, "config.json: cannot add a %s hook", list);
}

int dm_bundle_save(struct dm_bundle *b, struct dm_err *err)
{
	struct dm_buf shown = {0};
	char *text = dm_json_text(b->doc, err);
	int ret = -1;

	if (text && dm_bigint_show(text, b->mark, &shown, err) == 0)
		ret = dm_write_file(b->dir, "config.json", shown.data, shown.len - 1, err);
	free(text);
	dm_buf_free(&shown);
	return ret;
}
