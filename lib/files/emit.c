/* SPDX-License-Identifier: Apache-2.0 */
#include "files/emit.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OUT_SIZE = 256 << 10 }; /* the size of the pieces that go out */

struct dm_emit {
	struct archive *a;
	struct archive_entry *entry;
	dm_pack_write_fn *write;
	void *ctx;
	struct dm_err err; /* of write */
	bool failed;	   /* err holds it */
	bool freeing;	   /* nothing goes out any more */
};

/*
 * What libarchive calls with the archive's bytes. After a failure the rest is swallowed: told of
 * it, libarchive would never free its buffers.
 */
static la_ssize_t out(struct archive *a, void *ctx, const void *bytes, size_t len)
{
	struct dm_emit *e = ctx;

	if (e->freeing) {
		archive_set_error(a, EIO, "stopped");
		return -1;
	}
	if (!e->failed && e->write(e->ctx, bytes, len, &e->err))
		e->failed = true;
	return (la_ssize_t)len;
}

/* How a call of libarchive ended; what names it in the message. Returns 0; -1 with err. */
static int check(struct dm_emit *e, bool ok, const char *what, struct dm_err *err)
{
	const char *why = archive_error_string(e->a);

	if (e->failed) {
		*err = e->err;
		return -1;
	}
	if (ok)
		return 0;
	return dm_fail(err, DM_FAILURE, "%s %s: %s", what, archive_entry_pathname(e->entry),
		       why ? why : "unknown error");
}

struct dm_emit *dm_emit_new(dm_pack_write_fn *write, void *ctx, struct dm_err *err)
{
	struct dm_emit *e = calloc(1, sizeof(*e));

	if (e) {
		e->write = write;
		e->ctx = ctx;
		e->a = archive_write_new();
		e->entry = archive_entry_new();
	}
	if (!e || !e->a || !e->entry) {
		dm_fail_errno(err, "allocate an archive");
		goto fail;
	}
	/* Names are bytes, in no character set. Attributes go as base64, which keeps any name. */
	if (archive_write_set_format_pax(e->a) ||
	    archive_write_set_format_option(e->a, "pax", "hdrcharset", "BINARY") ||
	    archive_write_set_format_option(e->a, "pax", "xattrheader", "LIBARCHIVE") ||
	    archive_write_set_bytes_per_block(e->a, OUT_SIZE) ||
	    archive_write_set_bytes_in_last_block(e->a, 1) ||
	    archive_write_open2(e->a, e, NULL, out, NULL, NULL)) {
		dm_fail(err, DM_FAILURE, "begin an archive: %s", archive_error_string(e->a));
		goto fail;
	}
	return e;

fail:
	dm_emit_free(e);
	return NULL;
}

void dm_emit_free(struct dm_emit *e)
{
	if (!e)
		return;
	e->freeing = true;
	archive_write_free(e->a);
	archive_entry_free(e->entry);
	free(e);
}

struct archive_entry *dm_emit_begin(struct dm_emit *e, const char *path, const struct dm_file *f)
{
	archive_entry_clear(e->entry);
	archive_entry_copy_pathname(e->entry, path);
	archive_entry_set_mode(e->entry, f->mode);
	archive_entry_set_uid(e->entry, f->uid);
	archive_entry_set_gid(e->entry, f->gid);
	archive_entry_set_mtime(e->entry, f->mtime, f->mtime_ns);
	archive_entry_set_size(e->entry, S_ISREG(f->mode) ? (int64_t)f->size : 0);
	if (S_ISCHR(f->mode) || S_ISBLK(f->mode))
		archive_entry_set_rdev(e->entry, f->rdev);
	return e->entry;
}

void dm_emit_mark(struct dm_emit *e, const char *mark, const char *value)
{
	archive_entry_xattr_add_entry(e->entry, mark, value, strlen(value));
}

int dm_emit_header(struct dm_emit *e, struct dm_err *err)
{
	return check(e, archive_write_header(e->a, e->entry) == ARCHIVE_OK, "pack", err);
}

int dm_emit_data(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	struct dm_emit *e = ctx;

	return check(e, archive_write_data(e->a, bytes, len) == (la_ssize_t)len, "pack the data of",
		     err);
}

int dm_emit_hole(struct dm_emit *e, uint64_t len, struct dm_err *err)
{
	static const unsigned char zeros[1 << 20];

	while (len > 0) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		if (dm_emit_data(e, zeros, n, err))
			return -1;
		len -= n;
	}
	return 0;
}

int dm_emit_end(struct dm_emit *e, struct dm_err *err)
{
	return check(e, archive_write_close(e->a) == ARCHIVE_OK, "end the archive after", err);
}
