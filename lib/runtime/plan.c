/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "handover/record.h"

enum { PLAN_MAX = 1 << 20 };

static int read_tcp(struct dm_plan *plan, struct dm_err *err)
{
	static const char *const words[] = {"refuse", "close", "keep"};
	const char *word = dm_json_str(plan->doc, "tcp", "refuse");

	for (int i = 0; i < 3; i++) {
		if (!strcmp(word, words[i])) {
			plan->tcp = (enum dm_plan_tcp)i;
			return 0;
		}
	}
	return dm_fail(err, DM_UNFIT, "tcp: \"%s\" is none of refuse, close, keep", word);
}

/* An array of strings without control bytes (a newline would be another line of configuration). */
static int read_words(json_t *doc, const char *key, json_t **out, struct dm_err *err)
{
	json_t *a = json_object_get(doc, key), *v;
	size_t i;

	if (!a)
		return 0;
	if (!json_is_array(a))
		return dm_fail(err, DM_UNFIT, "%s: must be an array", key);
	json_array_foreach(a, i, v)
	{
		const char *s = json_string_value(v);

		if (!s)
			return dm_fail(err, DM_UNFIT, "%s: must hold strings", key);
		for (; *s; s++)
			if ((unsigned char)*s < ' ')
				return dm_fail(err, DM_UNFIT, "%s: control bytes in it", key);
	}
	*out = a;
	return 0;
}

static int read_fields(struct dm_plan *plan, struct dm_err *err)
{
	const char *state = dm_json_str(plan->doc, "state", NULL);
	long long log_limit = dm_json_int(plan->doc, "log_limit_bytes", 64 << 20);

	plan->migration = dm_json_str(plan->doc, "migration", "");
	plan->images = dm_json_str(plan->doc, "images", "");
	plan->runc = dm_json_str(plan->doc, "runc", "runc");
	plan->limit = (double)dm_json_int(plan->doc, "limit_seconds", 120);
	plan->wait = (double)dm_json_int(plan->doc, "wait_seconds",
					 dm_json_int(plan->doc, "limit_seconds", 120));
	if (!dm_record_id_ok(plan->migration))
		return dm_fail(err, DM_UNFIT, "migration: no id of a migration");
	if (plan->images[0] != '/')
		return dm_fail(err, DM_UNFIT, "images: must be an absolute path");
	if (plan->limit < 1 || plan->wait < 1 || log_limit < 1)
		return dm_fail(err, DM_UNFIT, "a limit is below 1");
	plan->log_limit = (uint64_t)log_limit;
	if (state && setenv("DM_STATE", state, 1))
		return dm_fail_errno(err, "set DM_STATE");
	if (read_tcp(plan, err) || read_words(plan->doc, "criu", &plan->criu, err) ||
	    read_words(plan->doc, "runc_options", &plan->runc_options, err))
		return -1;
	return 0;
}

int dm_plan_read(const struct dm_pending *p, struct dm_plan *plan, struct dm_err *err)
{
	char *text;
	size_t len;

	*plan = (struct dm_plan){0};
	text = dm_read_file(p->dir, "plan.json", PLAN_MAX, &len, err);
	if (text)
		plan->doc = dm_json_parse(text, len, "plan.json", err);
	free(text);
	if (!plan->doc || read_fields(plan, err)) {
		dm_plan_free(plan);
		return dm_fail_prefix(err, "plan in %s", p->path);
	}
	return 0;
}

void dm_plan_free(struct dm_plan *plan)
{
	json_decref(plan->doc);
	*plan = (struct dm_plan){0};
}

int dm_plan_decision(const struct dm_plan *plan, char *standing, struct dm_err *err)
{
	struct dm_record *r = dm_record_open(DM_TARGET, plan->migration, false, err);
	int ret;

	if (!r)
		return -1;
	ret = dm_record_decision(r, standing, err);
	dm_record_close(r);
	return ret;
}

int dm_plan_decide(const struct dm_plan *plan, const char *word, char *standing, struct dm_err *err)
{
	struct dm_record *r = dm_record_open(DM_TARGET, plan->migration, false, err);
	int ret;

	if (!r)
		return -1;
	ret = dm_record_decide(r, word, standing, err);
	dm_record_close(r);
	return ret;
}
