/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/saved.h"

#include <string.h>

#include "handover/record.h"

/*
 * Nobody asks the source when a saved stream is restored. Whoever restores it must know that the
 * container does not run there; but if this host itself let it run on, it is told.
 */
static int check_source(const char *id, struct dm_err *err)
{
	char standing[DM_WORD_MAX] = "";
	struct dm_err ignored;
	struct dm_record *source;
	int thawed;

	source = dm_record_open(DM_SOURCE, id, false, &ignored);
	if (!source)
		return 0;
	thawed = dm_record_find(source, "thawing", NULL, err);
	if (thawed == 0 && dm_record_decision(source, standing, err) < 0)
		thawed = -1;
	dm_record_close(source);
	if (thawed > 0 || !strcmp(standing, "thaw"))
		return dm_fail(err, DM_UNFIT,
			       "migration %s: the container was let run on here after it had been "
			       "saved",
			       id);
	return thawed;
}

/*
 * Nobody has heard what became of the last attempt to restore a saved stream here, so if it failed,
 * there may be another.
 */
static int set_failed_aside(const char *id, struct dm_err *err)
{
	char standing[DM_WORD_MAX] = "";
	struct dm_err ignored;
	struct dm_record *r = dm_record_open(DM_TARGET, id, false, &ignored);
	int ret = 0;

	if (r && (dm_record_lock(r, 1, false, err) || dm_record_decision(r, standing, err) < 0))
		ret = -1;
	if (r && ret == 0 && !strcmp(standing, "failed"))
		ret = dm_record_set_aside(r, err);
	dm_record_close(r);
	return ret;
}

int dm_saved_check(const char *id, bool wanted, struct dm_err *err)
{
	if (!wanted)
		return dm_fail(err, DM_UNFIT,
			       "the stream was saved in a file: --saved restores it, once it is "
			       "certain that the container runs nowhere else");
	return check_source(id, err) || set_failed_aside(id, err) ? -1 : 0;
}
