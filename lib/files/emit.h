/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_EMIT_H
#define DM_FILES_EMIT_H

/* The archive that dm_pack_tree() writes, entry by entry. */

#include <archive_entry.h>
#include <stdint.h>

#include "files/manifest.h"
#include "files/pack.h"

struct dm_emit;

/*
 * Begin an archive whose bytes go to write. Free it with dm_emit_free(). Returns NULL with err.
 */
struct dm_emit *dm_emit_new(dm_pack_write_fn *write, void *ctx, struct dm_err *err);

/*
 * Free e without ending the archive; NULL is fine.
 */
void dm_emit_free(struct dm_emit *e);

/*
 * Begin an entry for path with the type, owner, mode and times in f. The caller may add to what
 * is returned, which belongs to e, and then calls dm_emit_header().
 */
struct archive_entry *dm_emit_begin(struct dm_emit *e, const char *path, const struct dm_file *f);

/*
 * Mark the entry begun with one of the DM_PACK_... attributes.
 */
void dm_emit_mark(struct dm_emit *e, const char *mark, const char *value);

/*
 * Write the header of the entry begun. Returns 0; -1 with err.
 */
int dm_emit_header(struct dm_emit *e, struct dm_err *err);

/*
 * Write the next len bytes of the file's content, counted with its holes: the bytes of holes are
 * passed over. It is a dm_blocks_fn. Returns 0; -1 with err.
 */
int dm_emit_data(void *e, const void *bytes, size_t len, struct dm_err *err);

/*
 * Pass over len bytes of a hole. Returns 0; -1 with err.
 */
int dm_emit_hole(struct dm_emit *e, uint64_t len, struct dm_err *err);

/*
 * End the archive: its end mark and all that was held back go out. Returns 0; -1 with err.
 */
int dm_emit_end(struct dm_emit *e, struct dm_err *err);

#endif
