/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SOURCE_DUMP_H
#define DM_SOURCE_DUMP_H

#include "base/err.h"
#include "container/container.h"
#include "container/fit.h"

/*
 * Dump the paused container c, whose network is cut, with runc and CRIU into the folder images, and leave it paused. work
 * is for CRIU's log. Both folders exist, are ours and lie in the folder that dirfd is open on, at
 * path. runc and CRIU run in a session of their own, so that an interrupt cannot end them half way,
 * and hold every descriptor that is inherited (the record's lock) until they have ended.
 * Returns 0 once the container is seen frozen again; -1 with err, which holds CRIU's own reason.
 */
int dm_dump(const struct dm_container *c, const char *path, int dirfd, enum dm_tcp tcp,
	    struct dm_err *err);

#endif
