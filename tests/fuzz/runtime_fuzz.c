/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine gives the runtime: the first line is its command line, all that follows the
 * config.json of a bundle, which is read, changed and written as for a restore.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "lines.h"
#include "runtime/args.h"
#include "runtime/bundle.h"

FUZZ_FORMAT(fuzz_lines)

enum { WORDS = 32 };

static void args(char *line)
{
	char *argv[WORDS + 2] = {"dm-runtime"}, *save = NULL;
	struct dm_args a;
	int argc = 1;

	for (char *w = strtok_r(line, " ", &save); w && argc <= WORDS;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	dm_args_read(argc, argv, &a);
	HOLDS(a.globals == argv + 1 && a.n_globals >= 0 && a.n_globals < argc);
	HOLDS(!a.verb || (a.n_globals + 1 < argc && a.verb == argv[a.n_globals + 1]));
	HOLDS(a.root && a.bundle && (a.verb || !a.id));
	HOLDS(!a.id || strlen(a.id) < 1 << 20);
}

/* Numbers are hidden and come back as they were. */
static void numbers(const uint8_t *data, size_t size)
{
	struct dm_buf hidden = {0}, shown = {0};
	char mark[DM_BIGINT_MARK];
	struct dm_err err;

	if (memchr(data, '\0', size))
		return;
	HOLDS(dm_bigint_hide((const char *)data, size, mark, &hidden, &err) == 0);
	HOLDS(dm_buf_add(&hidden, "", 1, &err) == 0);
	HOLDS(dm_bigint_show(hidden.data, mark, &shown, &err) == 0);
	HOLDS(shown.len == size + 1 && !memcmp(shown.data, data, size));
	dm_buf_free(&hidden);
	dm_buf_free(&shown);
}

/* The document without what a restore changes in it. */
static json_t *rest(const json_t *doc)
{
	json_t *o = json_deep_copy(doc);

	json_object_del(json_object_get(o, "annotations"), "org.criu.config");
	json_object_del(o, "hooks");
	return o;
}

static void change(struct dm_bundle *b, const char *folder)
{
	static const char *const argv[] = {"dm-runtime", "_hook", NULL};
	bool terminal = dm_bundle_terminal(b), network = dm_bundle_new_network(b);
	json_t *before = rest(b->doc), *after;
	struct dm_bundle again;
	struct dm_err err;

	dm_bundle_drop_criu_config(b);
	if (dm_bundle_hook(b, "createRuntime", false, "/usr/local/sbin/dm-runtime", argv, &err) ||
	    dm_bundle_hook(b, "prestart", true, "/usr/local/sbin/dm-runtime", argv, &err) ||
	    dm_bundle_save(b, &err))
		goto out;
	HOLDS(dm_bundle_open(folder, &again, &err) == 0);
	HOLDS(dm_bundle_terminal(&again) == terminal && dm_bundle_new_network(&again) == network);
	HOLDS(!json_object_get(json_object_get(again.doc, "annotations"), "org.criu.config"));
	if (!strcmp(b->mark, again.mark)) {
		after = rest(again.doc);
		HOLDS(json_equal(before, after));
		json_decref(after);
	}
	dm_bundle_close(&again);
out:
	json_decref(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir = -1;
	char *line = fuzz_line(&data, &size);
	struct dm_bundle b;
	struct dm_err err;
	int fd;

	if (dir < 0)
		dir = open(fuzz_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (line)
		args(line);
	free(line);
	if (size && data[size - 1] == '\n')
		size--; /* so that it can end anywhere */
	numbers(data, size);
	fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	HOLDS(fd >= 0 && dm_write_full(fd, data, size) == 0);
	close(fd);
	if (dm_bundle_open(fuzz_folder(), &b, &err))
		return 0;
	change(&b, fuzz_folder());
	dm_bundle_close(&b);
	return 0;
}
