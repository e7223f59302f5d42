/* SPDX-License-Identifier: Apache-2.0 */
#include "source/mapped.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"

struct dm_mapped {
	struct {
		uint64_t dev, ino;
	} * file;
	size_t n;
};

static int add(struct dm_mapped *m, const char *path, struct dm_err *err)
{
	struct stat st;
	void *bigger;

	if (lstat(path, &st) || !S_ISREG(st.st_mode) || dm_mapped_has(m, st.st_dev, st.st_ino))
		return 0;
	bigger = realloc(m->file, (m->n + 1) * sizeof(*m->file));
	if (!bigger)
		return dm_fail_errno(err, "list mapped files");
	m->file = bigger;
	m->file[m->n].dev = st.st_dev;
	m->file[m->n].ino = st.st_ino;
	m->n++;
	return 0;
}

/* A path as the container sees it, as one in the folder of a volume or of the layer. */
static int add_seen(struct dm_mapped *m, const struct dm_container *c, const char *seen,
		    struct dm_err *err)
{
	char path[2 * PATH_MAX];
	const json_t *v;
	size_t i;

	json_array_foreach(dm_json_at(c->inspect, "Mounts"), i, v)
	{
		const char *to = dm_json_str(v, "Destination", "/");
		size_t n = strlen(to);

		if (strncmp(seen, to, n) || seen[n] != '/')
			continue;
		snprintf(path, sizeof(path), "%s%s", dm_json_str(v, "Source", ""), seen + n);
		if (add(m, path, err))
			return -1;
	}
	snprintf(path, sizeof(path), "%s%s", c->upper, seen);
	return add(m, path, err);
}

/* The kernel writes a newline in a path as "\012", which a name may also hold as it stands. Returns
 * whether there was one of the two; then path has newlines in their places. */
static bool unescape(char *path)
{
	char *to = path;
	bool found = false;

	for (; *path; path++) {
		bool newline = !strncmp(path, "\\012", 4);

		*to++ = newline ? '\n' : *path;
		path += newline ? 3 : 0;
		found = found || newline;
	}
	*to = '\0';
	return found;
}

static int scan(struct dm_mapped *m, const struct dm_container *c, pid_t pid, struct dm_err *err)
{
	char name[64], perms[8], *line = NULL;
	size_t room = 0;
	int at, ret = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%ld/maps", (long)pid);
	f = fopen(name, "re");
	while (f && ret == 0 && getline(&line, &room, f) > 0) {
		at = 0;
		if (sscanf(line, "%*x-%*x %7s %*x %*x:%*x %*u %n", perms, &at) != 1 || !at ||
		    perms[1] != 'w' || perms[3] != 's' || line[at] != '/')
			continue;
		line[strcspn(line, "\n")] = '\0';
		ret = add_seen(m, c, line + at, err);
		if (ret == 0 && unescape(line + at))
			ret = add_seen(m, c, line + at, err);
	}
	free(line);
	if (f)
		fclose(f);
	return ret;
}

struct dm_mapped *dm_mapped_find(const struct dm_container *c, struct dm_err *err)
{
	struct dm_mapped *m = calloc(1, sizeof(*m));
	struct dm_tasks tasks = {0};
	int ret;

	if (!m) {
		dm_fail_errno(err, "list mapped files");
		return NULL;
	}
	ret = dm_tasks_list(&c->cgroup, &tasks, err);
	for (size_t i = 0; ret == 0 && i < tasks.n; i++)
		ret = scan(m, c, tasks.t[i].pid, err);
	dm_tasks_free(&tasks);
	if (ret) {
		dm_mapped_free(m);
		return NULL;
	}
	return m;
}

void dm_mapped_free(struct dm_mapped *m)
{
	if (!m)
		return;
	free(m->file);
	free(m);
}

bool dm_mapped_has(void *ctx, uint64_t dev, uint64_t ino)
{
	const struct dm_mapped *m = ctx;

	for (size_t i = 0; i < m->n; i++)
		if (m->file[i].dev == dev && m->file[i].ino == ino)
			return true;
	return false;
}
