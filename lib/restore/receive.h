/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_RECEIVE_H
#define DM_RESTORE_RECEIVE_H

/*
 * Takes a stream in: pages and CRIU's images into the staging folder, the image into the engine,
 * volumes and the writable layer into place in a container that has been made but not started.
 */

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "engine/docker.h"
#include "handover/record.h"
#include "restore/create.h"

struct dm_receive;

/* What has arrived; everything belongs to the struct dm_receive. */
struct dm_received {
	const json_t *config;		    /* the source's document */
	struct dm_record *record;	    /* NULL before the first head has been read */
	const struct dm_created *container; /* id is empty before it has been made */
	const char *images;		    /* absolute path of the folder with CRIU's images */
};

struct dm_receive_opts {
	const char *stage; /* the folder in which this migration gets a folder of its own */
	bool saved;	   /* a stream that was saved in a file is welcome */
	bool keep;	   /* leave what was staged */
};

/*
 * Prepare to receive; o must stay valid. Free with dm_receive_free(). Returns NULL with err.
 */
struct dm_receive *dm_receive_new(struct dm_engine *e, const struct dm_receive_opts *o,
				  struct dm_err *err);

/*
 * Read the stream from fd to its end. At its head the record is made and the hello receipt is
 * printed. Returns 0 when all of it has arrived, been checked and put into place; -1 with err.
 */
int dm_receive_run(struct dm_receive *r, int fd, struct dm_err *err);

/*
 * What has arrived so far.
 */
const struct dm_received *dm_receive_get(const struct dm_receive *r);

/*
 * Remove the container, the volumes and the images in the engine's hands that this stream brought:
 * it was not started. What cannot be removed is said on stderr.
 */
void dm_receive_undo(struct dm_receive *r);

/*
 * Remove the staging folder, or tell where it is when it is to be kept, and free r; NULL is fine.
 */
void dm_receive_free(struct dm_receive *r);

#endif
