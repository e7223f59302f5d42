/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/figures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"

enum { FIGURES_MAX = 16 << 20, OBJECTS_MAX = 1000 };

void dm_figures_add(struct dm_record *r, json_t *o)
{
	struct dm_err err;
	char *text = o ? dm_json_text(o, &err) : NULL, *line = NULL;
	int fd = -1, n = text ? asprintf(&line, "%s\n", text) : -1;

	if (n < 0)
		line = NULL;
	else
		fd = openat(dm_record_dir(r), "figures",
			    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dm_write_full(fd, line, (size_t)n))
		dm_say("the figures for the report are not complete: %s/figures cannot be written",
		       dm_record_path(r));
	if (fd >= 0)
		close(fd);
	free(line);
	free(text);
	json_decref(o);
}

void dm_figures_parse(const char *text, const char *where, json_t *list)
{
	struct dm_err ignored;

	while (*text && json_array_size(list) < OBJECTS_MAX) {
		size_t n = strcspn(text, "\n");
		json_t *o = dm_json_parse(text, n, "figures", &ignored);

		if (o && dm_json_str(o, "tool", NULL)) {
			json_object_set_new(o, "host", json_string(where));
			json_array_append(list, o);
		}
		json_decref(o);
		text += n + (text[n] == '\n');
	}
}

json_t *dm_figures_list(struct dm_record *r)
{
	json_t *list = json_array();
	struct dm_err ignored;
	char *text;

	text = dm_read_file(dm_record_dir(r), "figures", FIGURES_MAX, NULL, &ignored);
	if (text)
		dm_figures_parse(text, "source", list);
	free(text);
	return list;
}
