/* SPDX-License-Identifier: Apache-2.0 */
#include "files/xattr.h"

#include <archive.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "files/pack.h"

/* The kernel's limits are 64 KiB each. */
enum { LIST_MAX = 64 << 10, VALUE_MAX = 64 << 10, NAME_ROOM = 300 };

#define OVERLAY "trusted.overlay."
#define OPAQUE OVERLAY "opaque"
/* A name in an upper directory under which overlayfs keeps the container's own OVERLAY name. */
#define ESCAPED OVERLAY "overlay."

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void proc_path(int fd, char out[32])
{
	snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* Fill list with the names fd has. Returns their length; -1 with err. */
static ssize_t list_names(const char *proc, const char *path, char list[LIST_MAX],
			  struct dm_err *err)
{
	ssize_t n = listxattr(proc, list, LIST_MAX);

	if (n < 0 && errno == ENOTSUP)
		return 0;
	if (n < 0)
		dm_fail_errno(err, "list the extended attributes of %s", path);
	return n;
}

/*
 * What to do with an attribute of overlayfs in an upper directory. Returns 1: carry it as it is,
 * 0: it is done with; -1 with err.
 */
static int read_overlay(const char *name, const char *value, size_t n, const char *path,
			struct archive_entry *e, struct dm_err *err)
{
	static const char *const dropped[] = {"origin", "impure", "nlink", "uuid"};

	if (begins(name, ESCAPED))
		return 1;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (!strcmp(name + strlen(OVERLAY), dropped[i]))
			return 0;
	if (!strcmp(name, OPAQUE) && n == 1 && value[0] == 'y' &&
	    archive_entry_filetype(e) == AE_IFDIR) {
		archive_entry_xattr_add_entry(e, DM_PACK_OPAQUE, "y", 1);
		return 0;
	}
	return dm_fail(err, DM_UNFIT, "%s: its attribute %s cannot be carried", path, name);
}

int dm_xattr_read(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		  struct dm_err *err)
{
	char list[LIST_MAX], value[VALUE_MAX], proc[32];
	size_t total = 0, left;
	ssize_t n;
	int ret;

	proc_path(fd, proc);
	n = list_names(proc, path, list, err);
	if (n < 0)
		return -1;
	left = (size_t)n;
	for (char *name = list; left > 0; left -= strlen(name) + 1, name += strlen(name) + 1) {
		n = getxattr(proc, name, value, sizeof(value));
		if (n < 0 && errno == ENODATA)
			continue; /* removed meanwhile */
		if (n < 0)
			return dm_fail_errno(err, "read attribute %s of %s", name, path);
		if (begins(name, DM_PACK_PREFIX))
			return dm_fail(err, DM_UNFIT, "%s: its attribute %s cannot be carried",
				       path, name);
		ret = kind == DM_TREE_UPPER && begins(name, OVERLAY)
			      ? read_overlay(name, value, (size_t)n, path, e, err)
			      : 1;
		if (ret < 0)
			return -1;
		if (ret == 0)
			continue;
		total += strlen(name) + (size_t)n;
		if (total > DM_XATTR_MAX)
			return dm_fail(err, DM_UNFIT,
				       "%s: it has more than %d bytes of extended attributes", path,
				       DM_XATTR_MAX);
		archive_entry_xattr_add_entry(e, name, value, (size_t)n);
	}
	return 0;
}

/*
 * The name under which an entry's attribute is to be set, in out. Returns 1; 0 when it is only a
 * mark; -1 with err.
 */
static int target_name(const char *name, enum dm_tree_kind kind, const char *path,
		       char out[NAME_ROOM], struct dm_err *err)
{
	const char *as = name;

	if (!strcmp(name, DM_PACK_OPAQUE)) {
		if (kind == DM_TREE_MERGED)
			return 0;
		if (kind == DM_TREE_PLAIN)
			goto bad;
		as = OPAQUE;
	} else if (!strcmp(name, DM_PACK_WHITEOUT) || !strcmp(name, DM_PACK_PATCH) ||
		   !strcmp(name, DM_PACK_PATH)) {
		return 0;
	} else if (begins(name, DM_PACK_PREFIX) || strlen(name) >= NAME_ROOM ||
		   (kind != DM_TREE_PLAIN && begins(name, OVERLAY) && !begins(name, ESCAPED))) {
		goto bad;
	}
	if (kind == DM_TREE_MERGED && begins(name, ESCAPED)) {
		/* A mounted overlay puts the escape back by itself. */
		snprintf(out, NAME_ROOM, OVERLAY "%s", name + strlen(ESCAPED));
		return 1;
	}
	snprintf(out, NAME_ROOM, "%s", as);
	return 1;

bad:
	return dm_fail(err, DM_BAD_STREAM, "archive: attribute %.300s of %s", name, path);
}

/* Whether an attribute that the entry does not have is to be taken away. */
static bool is_extra(const char *name, enum dm_tree_kind kind)
{
	if (begins(name, "security."))
		return !strcmp(name, "security.capability");
	if (kind == DM_TREE_UPPER && begins(name, OVERLAY))
		return begins(name, ESCAPED) || !strcmp(name, OPAQUE);
	return begins(name, "user.") || begins(name, "trusted.") ||
	       begins(name, "system.posix_acl_");
}

/* Whether e sets the attribute name. */
static bool entry_has(struct archive_entry *e, enum dm_tree_kind kind, const char *name)
{
	char as[NAME_ROOM];
	struct dm_err ignored;
	const char *have;
	const void *value;
	size_t n;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &have, &value, &n) == ARCHIVE_OK)
		if (target_name(have, kind, "", as, &ignored) > 0 && !strcmp(as, name))
			return true;
	return false;
}

int dm_xattr_write(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		   struct dm_err *err)
{
	char list[LIST_MAX], proc[32], as[NAME_ROOM];
	const char *name;
	const void *value;
	size_t left, len;
	ssize_t n;
	int ret;

	proc_path(fd, proc);
	n = list_names(proc, path, list, err);
	if (n < 0)
		return -1;
	left = (size_t)n;
	for (char *have = list; left > 0; left -= strlen(have) + 1, have += strlen(have) + 1)
		if (is_extra(have, kind) && !entry_has(e, kind, have) && removexattr(proc, have) &&
		    errno != ENODATA)
			return dm_fail_errno(err, "remove attribute %s of %s", have, path);
	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		ret = target_name(name, kind, path, as, err);
		if (ret < 0)
			return -1;
		if (ret > 0 && setxattr(proc, as, value, len, 0))
			return dm_fail_errno(err, "set attribute %s of %s", as, path);
	}
	return 0;
}
