/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_REPORT_H
#define DM_HANDOVER_REPORT_H

/*
 * What a migration came to, from the source's record and the figures of the tools: one JSON object
 * (docker-migrate-report(5) lists its keys), or a few lines for people.
 */

#include <jansson.h>

#include "container/container.h"
#include "handover/record.h"

/* How it ended. */
struct dm_report_end {
	enum dm_code code;
	const char *message;  /* of the error, or NULL */
	const char *released; /* the name that the old container has now, or NULL */
	double resumed;	      /* when it ran on the target, in seconds since 1970; 0: it does not */
};

/*
 * Make the report of the migration in r. figures (an array of objects with a "tool") are those that
 * came from elsewhere than the source's stages: dm-ship, the target.
 * Returns a new reference; NULL with err.
 */
json_t *dm_report_make(struct dm_record *r, const struct dm_container *c, json_t *figures,
		       const struct dm_report_end *end, struct dm_err *err);

/*
 * Write the report to the file path, or to standard output when that is "-". Returns 0; -1 with err.
 */
int dm_report_write(const json_t *report, const char *path, struct dm_err *err);

/*
 * Say on stderr how a container moved: from where to where and how long it took, how long it stood
 * still, what was sent, and what memory the tools needed.
 */
void dm_report_say(const json_t *report);

#endif
