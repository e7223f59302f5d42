/* SPDX-License-Identifier: Apache-2.0 */
#include "source/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "container/have.h"
#include "source/estimate.h"

enum { HAVE_MAX = 16 << 20 };

/* Tell programs what was found. */
static int print_check(const struct dm_check_opts *o, const struct dm_container *c,
		       json_t *obstacles, json_t *estimate, struct dm_err *err)
{
	bool fit = json_array_size(obstacles) == 0;
	json_t *found = json_pack("{s:i, s:s, s:s, s:i, s:{s:s, s:s, s:s}, s:O, s:O*}", "format", 1,
				  "id", o->id, "outcome", fit ? "fit" : "unfit", "code",
				  fit ? DM_OK : DM_UNFIT, "container", "id", c->id, "name", c->name,
				  "image", dm_json_str(c->inspect, "Config.Image", ""), "obstacles",
				  obstacles, "would_send", estimate);
	char *text = dm_json_text(found, err);
	int ret = text && puts(text) >= 0 ? 0 : dm_fail_errno(err, "write what was found");

	free(text);
	json_decref(found);
	return ret;
}

int dm_check_paths(const struct dm_container *c, const struct dm_fit_opts *o, struct dm_err *err)
{
	json_t *paths = json_pack("{s:o}", "paths", dm_fit_paths(c, o));
	char *text = dm_json_text(paths, err);
	int ret = text && puts(text) >= 0 ? 0 : dm_fail_errno(err, "write paths");

	free(text);
	json_decref(paths);
	return ret;
}

int dm_check(struct dm_engine *e, const struct dm_container *c, const struct dm_check_opts *o,
	     struct dm_err *err)
{
	const char *file = o->have && !strcmp(o->have, "-") ? "/dev/stdin" : o->have;
	json_t *list = json_array(), *have = NULL, *here = NULL, *estimate = NULL;
	struct dm_record *r = NULL;
	char *text = NULL;
	int ret = -1;
	size_t len;

	if (dm_fit_container(c, &o->fit, list, err))
		goto out;
	dm_have_programs(list, NULL, 0);
	if (file) {
		text = dm_read_file(AT_FDCWD, file, HAVE_MAX, &len, err);
		have = text ? dm_json_parse(text, len, "what the target has", err) : NULL;
		here = have ? dm_have(e, "/dev/shm/docker-migrate", err) : NULL;
		if (!here)
			goto out;
		dm_fit_target(c, &o->fit, here, have, list);
	}
	if (c->pid && (have || o->estimate)) {
		estimate = dm_estimate(e, c, &o->fit, have, err);
		if (!estimate)
			goto out;
		dm_estimate_room(estimate, have, list);
		if (o->estimate)
			dm_estimate_say(c, estimate);
	}
	if ((o->json && print_check(o, c, list, estimate, err)) || dm_fit_report(c, list, err))
		goto out;
	if (o->estimate) {
		ret = 0;
		goto out;
	}
	r = text ? dm_record_open(DM_SOURCE, o->id, true, err) : NULL;
	if (text && (!r || dm_write_file(dm_record_dir(r), "have.json", text, len, err)))
		goto out;
	ret = 0;
out:
	dm_record_close(r);
	json_decref(list);
	json_decref(have);
	json_decref(here);
	json_decref(estimate);
	free(text);
	return ret;
}

int dm_check_have(struct dm_record *r, json_t **have, struct dm_err *err)
{
	char *text;
	size_t len;

	*have = NULL;
	if (faccessat(dm_record_dir(r), "have.json", F_OK, 0))
		return 0;
	text = dm_read_file(dm_record_dir(r), "have.json", HAVE_MAX, &len, err);
	*have = text ? dm_json_parse(text, len, "have.json", err) : NULL;
	free(text);
	return *have ? 0 : -1;
}
