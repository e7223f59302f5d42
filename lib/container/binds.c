/* SPDX-License-Identifier: Apache-2.0 */
#include "container/binds.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"

static int parse_mode(const char *text, const char *option, enum dm_bind_mode *mode,
		      struct dm_err *err)
{
	static const char *const names[] = {
		[DM_BIND_REQUIRE] = "require",
		[DM_BIND_COPY] = "copy",
		[DM_BIND_REFUSE] = "refuse",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			*mode = (enum dm_bind_mode)i;
			return 0;
		}
	return dm_fail(err, DM_USAGE, "%s: \"%s\" is neither require, copy nor refuse", option,
		       text);
}

int dm_binds_all(struct dm_binds *b, const char *arg, struct dm_err *err)
{
	return parse_mode(arg, "--binds", &b->all, err);
}

int dm_binds_one(struct dm_binds *b, const char *arg, struct dm_err *err)
{
	const char *mode = strrchr(arg, '=');

	if (!mode || mode == arg || arg[0] != '/')
		return dm_fail(err, DM_USAGE, "--bind: \"%s\" is not PATH=MODE", arg);
	if (b->n == DM_BINDS_MAX)
		return dm_fail(err, DM_USAGE, "--bind: more than %d", DM_BINDS_MAX);
	b->one[b->n].path = arg;
	b->one[b->n].len = (size_t)(mode - arg);
	return parse_mode(mode + 1, "--bind", &b->one[b->n++].mode, err);
}

/* Whether --bind number k means the mount from source to destination. */
static bool means(const struct dm_binds *b, size_t k, const char *source, const char *destination)
{
	const char *path = b->one[k].path;
	size_t len = b->one[k].len;

	return (strlen(source) == len && !strncmp(path, source, len)) ||
	       (strlen(destination) == len && !strncmp(path, destination, len));
}

bool dm_binds_get(const struct dm_binds *b, const json_t *inspect, size_t i, struct dm_bind *out)
{
	const json_t *m;
	size_t k;

	json_array_foreach(dm_json_at(inspect, "Mounts"), k, m)
	{
		if (strcmp(dm_json_str(m, "Type", ""), "bind") || i-- > 0)
			continue;
		*out = (struct dm_bind){dm_json_str(m, "Source", ""),
					dm_json_str(m, "Destination", ""), b->all};
		for (size_t o = 0; o < b->n; o++)
			if (means(b, o, out->source, out->destination))
				out->mode = b->one[o].mode;
		return true;
	}
	return false;
}

const char *dm_binds_stray(const struct dm_binds *b, const json_t *inspect, char *out, size_t size)
{
	struct dm_bind bind;

	for (size_t k = 0; k < b->n; k++) {
		bool found = false;

		for (size_t i = 0; !found && dm_binds_get(b, inspect, i, &bind); i++)
			found = means(b, k, bind.source, bind.destination);
		if (!found) {
			snprintf(out, size, "%.*s", (int)b->one[k].len, b->one[k].path);
			return out;
		}
	}
	return NULL;
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!d)
		return false;
	while (n <= 2 && (e = readdir(d)))
		n++;
	closedir(d);
	return n <= 2;
}

const char *dm_binds_kind(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return "nothing";
	if (S_ISDIR(st.st_mode))
		return is_empty(path) ? "empty" : "folder";
	return S_ISREG(st.st_mode) ? "file" : S_ISSOCK(st.st_mode) ? "socket" : "other";
}
