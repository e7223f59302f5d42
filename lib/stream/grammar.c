/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/grammar.h"

size_t dm_grammar_limit(uint16_t type)
{
	switch ((enum dm_record_type)type) {
	case DM_CONFIG:
	case DM_IMAGE_BEGIN:
	case DM_TREE_BEGIN:
		return DM_JSON_MAX;
	case DM_IMAGE_DATA:
	case DM_TREE_DATA:
		return DM_DATA_MAX;
	case DM_PAGES:
		return DM_PAGES_HEAD + DM_PAGES_MAX * DM_PAGE;
	case DM_FILE:
		return DM_FILE_HEAD + DM_NAME_MAX + DM_DATA_MAX;
	case DM_OBJECT:
		return 16 + DM_RUNS_MAX * DM_RUN_SIZE;
	case DM_ABORT:
		return 1024;
	case DM_END:
	case DM_ZEROS:
	case DM_ROUND_BEGIN:
	case DM_ROUND_END:
	case DM_DIGEST_RECORD:
		return 64;
	case DM_IMAGE_END:
	case DM_TREE_END:
		return 0;
	}
	return 0;
}

static int wrong(struct dm_err *err, const char *what)
{
	return dm_fail(err, DM_BAD_STREAM, "stream: %s is out of order", what);
}

int dm_grammar_segment(struct dm_grammar *g, enum dm_segment_kind kind, struct dm_err *err)
{
	bool ok = false;

	switch (kind) {
	case DM_SETUP:
		ok = g->kind == 0;
		break;
	case DM_ROUNDS:
	case DM_FINAL:
		ok = g->kind != 0 && !g->final;
		break;
	case DM_DELTA:
		ok = g->kind != 0;
		break;
	}
	if (!ok || g->last)
		return wrong(err, "a segment");
	*g = (struct dm_grammar){.kind = kind, .final = g->final || kind == DM_FINAL};
	return 0;
}

/* BEGIN, DATA and END of one group; open says which BEGIN stands open. */
static bool group(struct dm_grammar *g, uint16_t type, enum dm_record_type begin)
{
	if (type == (uint16_t)begin) {
		if (g->open)
			return false;
		g->open = begin;
		return true;
	}
	return g->open == begin;
}

static bool in_setup(struct dm_grammar *g, uint16_t type)
{
	switch ((enum dm_record_type)type) {
	case DM_CONFIG:
		return !g->config && !g->open && (g->config = true);
	case DM_IMAGE_BEGIN:
		return g->config && !g->image && group(g, type, DM_IMAGE_BEGIN) &&
		       (g->image = true);
	case DM_IMAGE_DATA:
	case DM_IMAGE_END:
		return group(g, type, DM_IMAGE_BEGIN);
	case DM_TREE_BEGIN:
	case DM_TREE_DATA:
	case DM_TREE_END:
		if (!g->config || !group(g, type, DM_TREE_BEGIN))
			return false;
		g->image = true; /* too late for one */
		return true;
	default:
		return false;
	}
}

static bool in_round(struct dm_grammar *g, uint16_t type)
{
	switch ((enum dm_record_type)type) {
	case DM_ROUND_BEGIN:
	case DM_PAGES:
	case DM_ZEROS:
	case DM_ROUND_END:
		return group(g, type, DM_ROUND_BEGIN);
	default:
		return false;
	}
}

static bool in_final(struct dm_grammar *g, uint16_t type)
{
	switch ((enum dm_record_type)type) {
	case DM_FILE:
		return !g->round && !g->objects;
	case DM_OBJECT:
		return g->round && !g->open && !g->digest && (g->objects = true);
	case DM_DIGEST_RECORD:
		return g->round && !g->open && !g->digest && (g->digest = true);
	case DM_ROUND_BEGIN:
		if (g->round)
			return false;
		g->round = true;
		return in_round(g, type);
	default:
		return in_round(g, type);
	}
}

int dm_grammar_record(struct dm_grammar *g, uint16_t type, struct dm_err *err)
{
	bool ok = false;

	switch (g->kind) {
	case DM_SETUP:
		ok = in_setup(g, type);
		break;
	case DM_ROUNDS:
		ok = in_round(g, type);
		break;
	case DM_DELTA:
		ok = type >= DM_TREE_BEGIN && type <= DM_TREE_END && group(g, type, DM_TREE_BEGIN);
		break;
	case DM_FINAL:
		ok = in_final(g, type);
		break;
	}
	if (!ok)
		return wrong(err, "a record");
	if (type == DM_IMAGE_END || type == DM_TREE_END || type == DM_ROUND_END)
		g->open = 0;
	return 0;
}

int dm_grammar_end(struct dm_grammar *g, bool last, struct dm_err *err)
{
	if (g->open || (g->kind == DM_SETUP && !g->config) || (g->kind == DM_FINAL && !g->digest) ||
	    (g->kind == DM_DELTA ? last != g->final : last))
		return wrong(err, "the end of a segment");
	g->last = last;
	return 0;
}

bool dm_grammar_done(const struct dm_grammar *g)
{
	return g->last;
}
