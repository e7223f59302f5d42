/* SPDX-License-Identifier: Apache-2.0 */
#include "files/meta.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/xattr.h"

int dm_meta_write(int fd, const char *path, enum dm_tree_kind kind, struct archive_entry *e,
		  struct dm_err *err)
{
	int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
	char proc[32];

	/* The highest number means "leave it as it is". */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return dm_fail(err, DM_BAD_STREAM, "archive: bad owner of %s", path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", (uid_t)uid, (gid_t)gid, AT_EMPTY_PATH))
		return dm_fail_errno(err, "change the owner of %s", path);
	if (archive_entry_filetype(e) != AE_IFLNK && chmod(proc, archive_entry_perm(e)))
		return dm_fail_errno(err, "change the mode of %s", path);
	return dm_xattr_write(fd, path, kind, e, err);
}

void dm_meta_times(struct archive_entry *e, struct timespec times[2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (archive_entry_atime_is_set(e))
		times[0] = (struct timespec){archive_entry_atime(e), archive_entry_atime_nsec(e)};
	times[1] = (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
}

int dm_meta_set_times(int fd, const char *path, const struct timespec times[2], struct dm_err *err)
{
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (utimensat(AT_FDCWD, proc, times, 0))
		return dm_fail_errno(err, "set the times of %s", path);
	return 0;
}
