/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_CONTENT_H
#define DM_FILES_CONTENT_H

#include "files/blocks.h"
#include "files/diff.h"
#include "files/emit.h"
#include "files/manifest.h"
#include "files/pack.h"

/* State of dm_pack_tree(), shared with its parts. */
struct dm_pack {
	const struct dm_pack_opts *opts;
	int root;
	const struct dm_manifest *old; /* may be NULL */
	struct dm_manifest *now;
	struct dm_diff diff;
	struct dm_emit *emit;
	struct dm_blocks *blocks;
	struct dm_pack_stats *stats;
};

/* What became of an entry. */
enum dm_content { DM_CONTENT_SENT, DM_CONTENT_SAME, DM_CONTENT_GONE };

/*
 * Send the regular file that is entry i, whose stat is fresh in the manifest and from before its
 * content is read: whole, or only its changed blocks, or not at all when it need only be looked
 * at and its content is what the target has. file is an O_PATH descriptor of it, path its path.
 * Returns what became of it (gone: it cannot be opened now); -1 with err.
 */
int dm_content_send(struct dm_pack *p, uint32_t i, int file, const char *path, struct dm_err *err);

/*
 * Take over into entry i the fingerprints that the old manifest's entry for it has, since the
 * target's content stays as it is. Returns 0; -1 with err.
 */
int dm_content_keep(struct dm_pack *p, uint32_t i, struct dm_err *err);

/*
 * Begin the archive's entry for entry i, with the attributes of its file, an O_PATH descriptor.
 * Returns it, as dm_emit_begin(); NULL with err.
 */
struct archive_entry *dm_content_begin(struct dm_pack *p, uint32_t i, int file, const char *path,
				       struct dm_err *err);

#endif
