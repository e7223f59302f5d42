/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "handover/figures.h"
#include "stream/writer.h"

enum { FORMAT = 1 };

static const char *outcome_of(const struct dm_report_end *end)
{
	switch (end->code) {
	case DM_OK:
		return end->resumed > 0 ? "moved" : "released";
	case DM_ROLLED_BACK:
		return "rolled back";
	case DM_UNKNOWN:
		return "unknown";
	default:
		return "failed";
	}
}

/* A number of the last event of that name; 0 when there is none. */
static double journalled(struct dm_record *r, const char *event, const char *key)
{
	struct dm_err ignored;
	json_t *o = NULL;
	double v = 0;

	if (dm_record_find(r, event, &o, &ignored) == 1)
		v = json_number_value(json_object_get(o, key));
	json_decref(o);
	return v;
}

static void put_seconds(json_t *o, const char *key, double from, double to)
{
	if (from > 0 && to >= from)
		json_object_set_new(o, key, json_real(to - from));
}

/* When what happened. */
static void put_times(json_t *o, struct dm_record *r, const struct dm_report_end *end)
{
	double began = journalled(r, "begin", "time"), frozen = journalled(r, "frozen", "since");
	double thawed = journalled(r, "thawed", "time");

	json_object_set_new(o, "began", json_real(began));
	put_seconds(o, "total", began, dm_clock());
	put_seconds(o, "blackout", frozen, end->resumed > 0 ? end->resumed : thawed);
	if (journalled(r, "predicted", "seconds") > 0)
		json_object_set_new(o, "predicted",
				    json_real(journalled(r, "predicted", "seconds")));
}

/* Add up what the stages have sent, kind by kind. */
static json_t *sum_bytes(const json_t *tools)
{
	uint64_t sums[DM_SHARES] = {0}, all = 0, link = 0;
	json_t *o = json_object();
	const json_t *v;
	size_t i;

	json_array_foreach(tools, i, v)
	{
		const json_t *bytes = json_object_get(v, "bytes");

		for (enum dm_share k = 0; bytes && k < DM_SHARES; k++)
			sums[k] += (uint64_t)dm_json_int(bytes, dm_share_name(k), 0);
		if (!strcmp(dm_json_str(v, "stage", ""), "wrap"))
			link += (uint64_t)dm_json_int(v, "out", 0);
	}
	for (enum dm_share k = 0; k < DM_SHARES; k++) {
		json_object_set_new(o, dm_share_name(k), json_integer((json_int_t)sums[k]));
		all += sums[k];
	}
	json_object_set_new(o, "stream", json_integer((json_int_t)all));
	if (link)
		json_object_set_new(o, "link", json_integer((json_int_t)link));
	return o;
}

/* Move what concerns the whole migration from the stages' figures to the report itself. */
static void lift(json_t *o, json_t *tools)
{
	static const char *const keys[] = {"rounds", "freeze", "final"};
	json_t *v, *found;
	size_t i;

	json_array_foreach(tools, i, v)
	{
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
			found = json_object_get(v, keys[k]);
			if (found)
				json_object_set(o, keys[k], found);
			json_object_del(v, keys[k]);
		}
		found = json_object_get(v, "versions");
		if (found)
			json_object_set(o, "source", found);
		json_object_del(v, "versions");
		json_object_del(v, "bytes");
	}
}

json_t *dm_report_make(struct dm_record *r, const struct dm_container *c, json_t *figures,
		       const struct dm_report_end *end, struct dm_err *err)
{
	json_t *tools = dm_figures_list(r), *target = NULL, *o;

	if (dm_record_find(r, "target", &target, err) < 0) {
		json_decref(tools);
		return NULL;
	}
	json_array_extend(tools, figures);
	o = json_pack("{s:i, s:s, s:s, s:i, s:s*, s:{s:s, s:s, s:s, s:s*}}", "format", FORMAT, "id",
		      strrchr(dm_record_path(r), '/') + 1, "outcome", outcome_of(end), "code",
		      (int)end->code, "message", end->message, "container", "id", c->id, "name",
		      c->name, "image", dm_json_str(c->inspect, "Config.Image", ""), "released_as",
		      end->released);
	put_times(o, r, end);
	json_object_set_new(o, "bytes", sum_bytes(tools));
	lift(o, tools);
	if (json_object_get(target, "versions"))
		json_object_set(o, "target", json_object_get(target, "versions"));
	json_object_set_new(o, "tools", tools);
	json_decref(target);
	return o;
}

int dm_report_write(const json_t *report, const char *path, struct dm_err *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "we") : stdout;
	int ret = 0;

	if (!f)
		return dm_fail_errno(err, "write report %s", path);
	if (json_dumpf(report, f, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) || fputc('\n', f) < 0 ||
	    fflush(f))
		ret = dm_fail_errno(err, "write report %s", path);
	if (f != stdout && fclose(f) && ret == 0)
		ret = dm_fail_errno(err, "write report %s", path);
	return ret;
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(dm_json_at(o, key));
}

/* The bytes of a kind, as a text. */
static const char *human(const json_t *report, const char *kind, char out[32])
{
	dm_num_human((uint64_t)dm_json_int(dm_json_at(report, "bytes"), kind, 0), out, 32);
	return out;
}

/* The most memory that each tool has needed, here and there. */
static void say_memory(const json_t *report)
{
	static const char *const names[] = {"dm-fsdiff", "dm-predump", "dm-ship", "dm-restore"};
	char line[200] = "", size[32];
	const json_t *v;
	size_t i;

	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		uint64_t most = 0;

		json_array_foreach(json_object_get(report, "tools"), i, v)
		{
			uint64_t m = (uint64_t)dm_json_int(v, "memory", 0);

			if (!strcmp(dm_json_str(v, "tool", ""), names[k]) && m > most)
				most = m;
		}
		dm_num_human(most, size, sizeof(size));
		if (most)
			snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s %s",
				 line[0] ? ", " : "", names[k], size);
	}
	if (line[0])
		dm_say("memory the tools needed: %s", line);
}

void dm_report_say(const json_t *report)
{
	char memory[32], files[32], image[32], all[32], link[64] = "", size[32];
	size_t rounds = json_array_size(json_object_get(report, "rounds"));

	if (strcmp(dm_json_str(report, "outcome", ""), "moved"))
		return;
	dm_say("container %s moved from %s to %s in %.1f s",
	       dm_json_str(report, "container.name", "?"),
	       dm_json_str(report, "source.hostname", "here"),
	       dm_json_str(report, "target.hostname", "there"), number(report, "total"));
	if (json_object_get(report, "blackout"))
		dm_say("it stood still for %.2f s (predicted: %.2f s), %.2f s of them to freeze "
		       "and dump it",
		       number(report, "blackout"), number(report, "predicted"),
		       number(report, "freeze"));
	if (json_object_get(json_object_get(report, "bytes"), "link"))
		snprintf(link, sizeof(link), ", %s over the link", human(report, "link", size));
	dm_say("sent: memory %s in %zu rounds and the last pass, files %s, image %s; %s in all%s",
	       human(report, "memory", memory), rounds, human(report, "files", files),
	       human(report, "image", image), human(report, "stream", all), link);
	say_memory(report);
}
