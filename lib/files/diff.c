/* SPDX-License-Identifier: Apache-2.0 */
#include "files/diff.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add_index(struct dm_buf *b, uint32_t i, struct dm_err *err)
{
	return dm_buf_add(b, &i, sizeof(i), err);
}

/* Pair the children of folder n of now with those of folder o of old. */
static int pair_children(const struct dm_manifest *old, uint32_t o, const struct dm_manifest *now,
			 uint32_t n, struct dm_diff *d, struct dm_err *err)
{
	const struct dm_file *of = &old->file[o], *nf = &now->file[n];
	uint32_t a = of->first, a_end = a + of->count;
	uint32_t b = nf->first, b_end = b + nf->count;

	while (a < a_end || b < b_end) {
		int c = a == a_end   ? 1
			: b == b_end ? -1
				     : strcmp(dm_manifest_name(old, a), dm_manifest_name(now, b));

		if (c < 0) {
			if (add_index(&d->gone, a, err))
				return -1;
			d->todo[n] |= DM_DIFF_TOUCH;
		}
		if (c == 0)
			d->old[b] = a;
		a += c <= 0;
		b += c >= 0;
	}
	return 0;
}

/*
 * Whether the folder nf may not build on what the target has at its path, for which the old
 * manifest has of (NULL: nothing). Either that is unknown: an earlier folder with files in it,
 * say, when what was then listed in its place could not be read. Or the folder became opaque: what
 * the layers below have in it must not show, even where the target is a mounted overlay.
 */
static bool must_clear(const struct dm_file *of, const struct dm_file *nf)
{
	if (of && of->flags & DM_FILE_UNSURE)
		return true;
	return nf->flags & DM_FILE_OPAQUE &&
	       (!of || !(of->flags & DM_FILE_OPAQUE) || of->ino != nf->ino || of->dev != nf->dev);
}

/* Pair the paths of both manifests. */
static int pair(const struct dm_manifest *old, const struct dm_manifest *now, struct dm_diff *d,
		struct dm_err *err)
{
	d->old[0] = 0;
	for (uint32_t n = 0; n < now->count; n++) {
		uint32_t o = d->old[n];
		const struct dm_file *nf = &now->file[n];
		const struct dm_file *of = o == DM_FILE_NONE ? NULL : &old->file[o];

		if (!S_ISDIR(nf->mode))
			continue;
		if (n > 0 && must_clear(of, nf)) {
			d->old[n] = DM_FILE_NONE;
			if (add_index(&d->cleared, n, err))
				return -1;
		} else if (of && S_ISDIR(of->mode)) {
			d->todo[n] |= DM_DIFF_THERE;
			if (pair_children(old, o, now, n, d, err))
				return -1;
		}
	}
	return 0;
}

bool dm_diff_changed(const struct dm_file *a, const struct dm_file *b)
{
	uint32_t kinds = DM_FILE_WHITEOUT | DM_FILE_OPAQUE;

	if (a->flags & DM_FILE_UNSURE || (a->flags & kinds) != (b->flags & kinds))
		return true;
	/* Overlayfs makes whiteouts as links to one file, which changes with each of them. */
	if (a->flags & DM_FILE_WHITEOUT)
		return false;
	return a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->dev != b->dev ||
	       a->ino != b->ino || a->rdev != b->rdev || a->mtime != b->mtime ||
	       a->mtime_ns != b->mtime_ns || a->ctime != b->ctime || a->ctime_ns != b->ctime_ns ||
	       (!S_ISDIR(a->mode) && (a->size != b->size || a->nlink != b->nlink));
}

/* What to do with a path that has the entries of and nf, by itself. */
static unsigned judge(const struct dm_pack_opts *opts, bool content, const struct dm_file *of,
		      const struct dm_file *nf)
{
	if (dm_diff_changed(of, nf))
		return DM_DIFF_SEND;
	if (nf->flags & DM_FILE_WHITEOUT)
		return 0;
	if (of->flags & DM_FILE_RACY) /* in the same tick, an attribute may have changed again */
		return DM_DIFF_SEND;
	if (!S_ISREG(nf->mode))
		return 0;
	if (!(of->flags & DM_FILE_SUMS))
		return DM_DIFF_SEND;
	if (content || (opts->always && opts->always(opts->always_ctx, nf->dev, nf->ino)))
		return DM_DIFF_CHECK;
	return 0;
}

struct name {
	uint64_t dev, ino;
	uint32_t i;
};

static int by_inode(const void *pa, const void *pb)
{
	const struct name *a = pa, *b = pb;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->i < b->i ? -1 : a->i > b->i;
}

/*
 * Find the files with several names in the tree. If one name of such a file is new or changed,
 * all of them are sent; if its content must tell, it is looked at under its first name.
 */
static int find_links(const struct dm_manifest *now, struct dm_diff *d, struct dm_err *err)
{
	struct dm_buf b = {0};
	struct name *names;
	size_t n, end;

	for (uint32_t i = 0; i < now->count; i++) {
		const struct dm_file *f = &now->file[i];
		struct name one = {f->dev, f->ino, i};

		if (f->nlink < 2 || S_ISDIR(f->mode) || f->flags & DM_FILE_WHITEOUT)
			continue;
		if (dm_buf_add(&b, &one, sizeof(one), err)) {
			dm_buf_free(&b);
			return -1;
		}
	}
	names = (struct name *)(void *)b.data;
	n = b.len / sizeof(*names);
	if (n > 0)
		qsort(names, n, sizeof(*names), by_inode);
	for (size_t i = 0; i < n; i = end) {
		unsigned any = 0;

		for (end = i;
		     end < n && names[end].dev == names[i].dev && names[end].ino == names[i].ino;
		     end++)
			any |= d->todo[names[end].i];
		if (end - i < 2)
			continue;
		for (size_t k = i; k < end; k++) {
			d->first[names[k].i] = names[i].i;
			d->todo[names[k].i] = any & DM_DIFF_SEND ? DM_DIFF_SEND : 0;
		}
		if (!(any & DM_DIFF_SEND))
			d->todo[names[i].i] = (unsigned char)any;
	}
	dm_buf_free(&b);
	return 0;
}

int dm_diff(const struct dm_pack_opts *opts, bool content, const struct dm_manifest *old,
	    const struct dm_manifest *now, struct dm_diff *d, struct dm_err *err)
{
	size_t n = now->count;

	*d = (struct dm_diff){0};
	d->old = malloc(n * sizeof(*d->old));
	d->first = malloc(n * sizeof(*d->first));
	d->sent = malloc(n * sizeof(*d->sent));
	d->todo = calloc(n, 1);
	if (!d->old || !d->first || !d->sent || !d->todo) {
		dm_fail_errno(err, "allocate a comparison of %zu files", n);
		goto fail;
	}
	memset(d->old, 0xff, n * sizeof(*d->old)); /* DM_FILE_NONE */
	memset(d->first, 0xff, n * sizeof(*d->first));
	memset(d->sent, 0xff, n * sizeof(*d->sent));
	d->todo[0] = DM_DIFF_THERE;
	if (old && pair(old, now, d, err))
		goto fail;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t o = d->old[i];

		d->todo[i] |= o == DM_FILE_NONE ? DM_DIFF_SEND
						: (unsigned char)judge(opts, content, &old->file[o],
								       &now->file[i]);
	}
	if (find_links(now, d, err))
		goto fail;
	return 0;

fail:
	dm_diff_free(d);
	return -1;
}

void dm_diff_free(struct dm_diff *d)
{
	free(d->old);
	free(d->first);
	free(d->sent);
	free(d->todo);
	dm_buf_free(&d->gone);
	dm_buf_free(&d->cleared);
}
