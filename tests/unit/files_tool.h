/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FILES_TOOL_H
#define DM_FILES_TOOL_H

/* What the tests of lib/files share: a source and a target tree, and ways to compare them. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "files/apply.h"
#include "files/pack.h"
#include "test.h"

struct trees {
	char base[64]; /* a fresh folder with src, dst and whatever a test adds */
	int src, dst;
	struct dm_manifest *old; /* of the pass before, or NULL */
	struct dm_pack_opts opts;
	enum dm_tree_kind kind; /* of dst */
	struct dm_buf archive;	/* of the last pass */
	struct dm_pack_stats packed;
	struct dm_apply_stats applied;
	struct dm_err err;
};

/* Run a shell command. Returns its exit status. */
__attribute__((format(printf, 1, 2))) static inline int sh(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	fflush(stdout);
	return system(cmd);
}

/* Run a shell command in the source tree. Returns its exit status. */
static inline int in_src(const struct trees *t, const char *cmd)
{
	return sh("CAP=0x0100000200200000000000000000000000000000; cd %s/src && set -e && { %s\n}",
		  t->base, cmd);
}

/* Make the folders below the folder where (NULL: $TMPDIR or /tmp). Returns 0; -1. */
static inline int trees_open(struct trees *t, const char *where)
{
	char path[96];

	*t = (struct trees){.src = -1, .dst = -1};
	if (!where)
		where = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(t->base, sizeof(t->base), "%s/files.XXXXXX", where);
	if (!mkdtemp(t->base))
		return -1;
	snprintf(path, sizeof(path), "%s/src", t->base);
	if (mkdir(path, 0755))
		return -1;
	t->src = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/dst", t->base);
	if (mkdir(path, 0755))
		return -1;
	t->dst = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->src < 0 || t->dst < 0 ? -1 : 0;
}

static inline void trees_close(struct trees *t)
{
	if (t->src >= 0)
		close(t->src);
	if (t->dst >= 0)
		close(t->dst);
	dm_manifest_free(t->old);
	dm_buf_free(&t->archive);
	if (t->base[0] && !(test_failed && getenv("DM_KEEP")))
		sh("umount %s/m? 2>/dev/null; rm -rf %s", t->base, t->base);
}

static inline int to_buf(void *ctx, const void *bytes, size_t len, struct dm_err *err)
{
	return dm_buf_add(ctx, bytes, len, err);
}

/* Pack src into t->archive; the manifest takes the place of the old one. Returns 0; -1. */
static inline int trees_pack(struct trees *t)
{
	struct dm_manifest *now;

	t->archive.len = 0;
	if (dm_pack_tree(&t->opts, t->src, t->old, &now, to_buf, &t->archive, &t->packed, &t->err))
		return -1;
	dm_manifest_free(t->old);
	t->old = now;
	return 0;
}

/* Apply len bytes to dst, in pieces of step bytes. Returns 0; -1. */
static inline int trees_feed(struct trees *t, const char *bytes, size_t len, size_t step)
{
	struct dm_apply *a = dm_apply_new(t->dst, t->kind, &t->err);

	if (!a)
		return -1;
	for (size_t at = 0; at < len; at += step) {
		if (dm_apply_data(a, bytes + at, len - at < step ? len - at : step, &t->err)) {
			dm_apply_abort(a);
			return -1;
		}
	}
	return dm_apply_end(a, &t->applied, &t->err);
}

/* Pack and apply. Returns 0; -1 after printing why. */
static inline int trees_pass(struct trees *t)
{
	if (trees_pack(t) == 0 && trees_feed(t, t->archive.data, t->archive.len, 65521) == 0)
		return 0;
	printf("# %s\n", t->err.msg);
	return -1;
}

/*
 * Compare the trees a and b below t->base with tools that know nothing of ours: names, types,
 * modes, owners, times, sizes, devices, link targets, which names are one file, contents,
 * attributes. Sockets are passed over, and where is another command to narrow it down ("" for
 * none). Returns 0 when they are alike; prints the difference.
 */
static inline int same_trees(const struct trees *t, const char *a, const char *b, const char *where)
{
	static const char script[] =
		"look() { cd $1 && export LC_ALL=C && %s"
		"all() { find . ! -type s -print0 | sort -z; };"
		"all | xargs -0 stat -c '%%N %%f %%u %%g %%.9Y %%t:%%T';"
		"find . -type f -print0 | sort -z | xargs -0r stat -c '%%N %%s';"
		"find . -type f -print0 | sort -z | xargs -0r sha256sum;"
		"find . ! -type d ! -type s -links +1 -printf '%%i %%p\\0' | sort -z -k2 |"
		" awk -v RS='\\0' '{ i = $1; $1 = \"\"; if (!(i in f)) f[i] = $0; print f[i], $0 "
		"}';"
		"all | xargs -0 getfattr -h -d -m - -e hex --absolute-names;"
		"};"
		"cd %s; look %s >look.a; cd %s; look %s >look.b; cd %s; diff look.a look.b |"
		" sed 's/^/# /' | head -n 40; cmp -s look.a look.b";

	return sh(script, where, t->base, a, t->base, b, t->base);
}

/* Whether dst is like src. */
static inline int alike(const struct trees *t)
{
	return same_trees(t, "src", "dst", "") == 0;
}

/* Wait until what was changed so far counts as old. */
static inline void settle(void)
{
	usleep(260 * 1000);
}

#endif
