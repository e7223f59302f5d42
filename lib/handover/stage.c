/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/usage.h"
#include "handover/figures.h"

enum { LOCK_SECONDS = 10, TARGET_SECONDS = 60 };

static const char *const kinds[] = {
	[DM_SETUP] = "setup", [DM_ROUNDS] = "rounds", [DM_DELTA] = "delta", [DM_FINAL] = "final"};

static void to_hex(const uint8_t digest[DM_DIGEST], char out[2 * DM_DIGEST + 1])
{
	for (int i = 0; i < DM_DIGEST; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int from_hex(const char *hex, uint8_t digest[DM_DIGEST])
{
	if (strlen(hex) != 2 * DM_DIGEST || hex[strspn(hex, "0123456789abcdef")])
		return -1;
	for (int i = 0; i < DM_DIGEST; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &digest[i]) != 1)
			return -1;
	return 0;
}

/* The first stage: what holds for the whole migration. */
static int begin_migration(struct dm_stage *s, const struct dm_container *c, bool saved,
			   struct dm_err *err)
{
	char seed[17];

	if (dm_record_find(s->record, "begin", NULL, err) != 0)
		return dm_fail(err, DM_UNFIT, "migration %s has begun before; take another id",
			       s->segment.id);
	if (getrandom(&s->segment.seed, sizeof(s->segment.seed), 0) != sizeof(s->segment.seed))
		return dm_fail_errno(err, "get random bytes");
	s->segment.flags = saved ? DM_SAVED : 0;
	snprintf(seed, sizeof(seed), "%016" PRIx64, s->segment.seed);
	return dm_record_event(s->record, "begin",
			       json_pack("{s:s, s:s, s:s, s:b}", "seed", seed, "container", c->id,
					 "name", c->name, "saved", saved),
			       err);
}

static int continue_migration(struct dm_stage *s, const struct dm_container *c, struct dm_err *err)
{
	json_t *begin = NULL, *stage = NULL, *segment = NULL;
	int ret = -1;

	if (dm_record_find(s->record, "begin", &begin, err) != 1 ||
	    dm_record_find(s->record, "stage", &stage, err) != 1) {
		dm_fail(err, DM_UNFIT, "migration %s has not begun: dm-fsdiff comes first",
			s->segment.id);
		goto out;
	}
	if (strcmp(dm_json_str(begin, "container", ""), c->id)) {
		dm_fail(err, DM_UNFIT, "migration %s is of another container, %s", s->segment.id,
			dm_json_str(begin, "name", "?"));
		goto out;
	}
	if (dm_record_find(s->record, "segment", &segment, err) < 0)
		goto out;
	if (!segment || dm_json_int(segment, "number", -1) != dm_json_int(stage, "number", -2)) {
		dm_fail(err, DM_UNFIT,
			"migration %s: the stage before this one (%s) did not succeed",
			s->segment.id, dm_json_str(stage, "kind", "?"));
		goto out;
	}
	s->segment.number = (uint32_t)dm_json_int(segment, "number", 0) + 1;
	s->segment.flags = dm_json_true(begin, "saved") ? DM_SAVED : 0;
	if (from_hex(dm_json_str(segment, "digest", ""), s->segment.before) ||
	    sscanf(dm_json_str(begin, "seed", ""), "%" SCNx64, &s->segment.seed) != 1) {
		dm_fail(err, DM_FAILURE, "migration %s: its journal is damaged", s->segment.id);
		goto out;
	}
	ret = 0;
out:
	json_decref(begin);
	json_decref(stage);
	json_decref(segment);
	return ret;
}

int dm_stage_begin(struct dm_stage *s, const char *id, enum dm_segment_kind kind,
		   const struct dm_container *c, bool saved, bool inherit, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int n;

	*s = (struct dm_stage){.segment.kind = kind};
	if (isatty(STDOUT_FILENO))
		return dm_fail(
			err, DM_USAGE,
			"standard output is a terminal: the stream goes into a pipe or a file");
	s->record = dm_record_open(DM_SOURCE, id, kind == DM_SETUP, err);
	if (!s->record || dm_record_lock(s->record, LOCK_SECONDS, inherit, err))
		return -1;
	snprintf(s->segment.id, sizeof(s->segment.id), "%s", id);
	n = dm_record_decision(s->record, standing, err);
	if (n < 0)
		return -1;
	if (n > 0)
		return dm_fail(err, DM_UNFIT, "migration %s is over: it was decided \"%s\"", id,
			       standing);
	if (kind == DM_SETUP ? begin_migration(s, c, saved, err) : continue_migration(s, c, err))
		return -1;
	if (dm_record_event(
		    s->record, "stage",
		    json_pack("{s:i, s:s}", "number", (int)s->segment.number, "kind", kinds[kind]),
		    err))
		return -1;
	s->writer = dm_writer_open(STDOUT_FILENO, &s->segment, err);
	if (!s->writer)
		return -1;
	s->began = true;
	s->figures = json_object();
	return 0;
}

int dm_stage_wait_target(struct dm_stage *s, volatile sig_atomic_t *stop, struct dm_err *err)
{
	struct timespec nap = {.tv_nsec = 2000000};
	double end = dm_now() + TARGET_SECONDS;
	char standing[DM_WORD_MAX];
	int n;

	if (s->segment.flags & DM_SAVED)
		return 0;
	if (dm_writer_flush(s->writer, err))
		return -1;
	while ((n = dm_record_find(s->record, "target", NULL, err)) == 0) {
		if (dm_now() > end)
			return dm_fail(
				err, DM_FAILURE,
				"no word from the target (its receipts go into dm-rollback)");
		if (stop && *stop)
			return dm_fail(err, DM_FAILURE, "interrupted");
		n = dm_record_decision(s->record, standing, err);
		if (n > 0)
			return dm_fail(err, DM_FAILURE, "the move was given up meanwhile");
		if (n < 0)
			break;
		nanosleep(&nap, NULL);
	}
	return n < 0 ? -1 : 0;
}

/* What the stage came to, for the report. */
static void put_figures(struct dm_stage *s, bool last)
{
	json_t *o = dm_usage(), *bytes = json_object();

	for (enum dm_share i = 0; i < DM_SHARES; i++)
		json_object_set_new(bytes, dm_share_name(i),
				    json_integer((json_int_t)dm_writer_share(s->writer, i)));
	json_object_set_new(o, "stage", json_string(last ? "last" : kinds[s->segment.kind]));
	json_object_set_new(o, "bytes", bytes);
	json_object_update(o, s->figures);
	dm_figures_add(s->record, o);
}

int dm_stage_end(struct dm_stage *s, bool last, struct dm_err *err)
{
	uint8_t digest[DM_DIGEST];
	char hex[2 * DM_DIGEST + 1];

	s->began = false; /* too late for ABORT from here on */
	if (dm_writer_end(s->writer, last, digest, err))
		return -1;
	to_hex(digest, hex);
	if (dm_record_event(s->record, "segment",
			    json_pack("{s:i, s:s, s:s, s:I, s:b}", "number", (int)s->segment.number,
				      "kind", kinds[s->segment.kind], "digest", hex, "bytes",
				      (json_int_t)dm_writer_bytes(s->writer), "last", last),
			    err))
		return -1;
	put_figures(s, last);
	return 0;
}

void dm_stage_abort(struct dm_stage *s, const struct dm_err *why)
{
	if (s->began)
		dm_writer_abort(s->writer, why->msg);
	s->began = false;
}

void dm_stage_close(struct dm_stage *s)
{
	dm_writer_close(s->writer);
	json_decref(s->figures);
	dm_record_close(s->record);
	*s = (struct dm_stage){0};
}
