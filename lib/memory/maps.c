/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "stream/format.h"

enum { ENTRIES = 8192 };

/* /proc/PID/pagemap: bit 63 present, 62 swapped, 61 a file's page or shared memory. */
#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_FILE (UINT64_C(1) << 61)

static bool is_hugetlb(pid_t pid, uint64_t start, uint64_t end)
{
	char link[96];
	struct statfs s;

	snprintf(link, sizeof(link), "/proc/%ld/map_files/%" PRIx64 "-%" PRIx64, (long)pid, start,
		 end);
	return statfs(link, &s) == 0 && s.f_type == HUGETLBFS_MAGIC;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Shared memory that has no file: MAP_SHARED|MAP_ANONYMOUS, with or without a name given by
 * prctl(2), System V, memfd. */
static bool is_shmem(const char *name)
{
	return begins(name, "/dev/zero (deleted)") || begins(name, "[anon_shmem:") ||
	       begins(name, "/SYSV") || begins(name, "/memfd:");
}

static enum dm_map_kind kind_of(pid_t pid, const struct dm_map *m, const char *perms,
				const char *name)
{
	if (perms[0] != 'r' || begins(name, "[vvar") || begins(name, "[vsyscall]") ||
	    begins(name, "[uprobes]") || begins(name, "anon_inode:"))
		return DM_MAP_OTHER;
	if (begins(name, "/[aio]"))
		return DM_MAP_LAST;
	if (m->inode && is_hugetlb(pid, m->start, m->end))
		return DM_MAP_LAST;
	if (perms[3] == 's')
		return is_shmem(name) ? DM_MAP_SHMEM : DM_MAP_OTHER;
	return m->inode ? DM_MAP_PRIVATE : DM_MAP_ANON;
}

static int add_line(pid_t pid, const char *line, struct dm_maps *out, size_t *size)
{
	struct dm_map m = {0}, *bigger;
	char perms[8];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*x:%*x %" SCNu64 " %n", &m.start, &m.end,
		   perms, &m.inode, &at) < 4 ||
	    !at)
		return 0;
	m.kind = kind_of(pid, &m, perms, line + at);
	if (out->n == *size) {
		*size = *size ? 2 * *size : 64;
		bigger = realloc(out->m, *size * sizeof(*bigger));
		if (!bigger)
			return -1;
		out->m = bigger;
	}
	out->m[out->n++] = m;
	return 0;
}

int dm_maps_read(pid_t pid, struct dm_maps *out, struct dm_err *err)
{
	size_t size = 0, room = 0;
	char path[64], *line = NULL;
	int ret = 1;
	FILE *f;

	*out = (struct dm_maps){0};
	snprintf(path, sizeof(path), "/proc/%ld/maps", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT || errno == ESRCH ? 0 : dm_fail_errno(err, "open %s", path);
	while (ret == 1 && getline(&line, &room, f) > 0)
		if (add_line(pid, line, out, &size))
			ret = dm_fail_errno(err, "read %s", path);
	if (ret == 1 && ferror(f) && errno != ESRCH)
		ret = dm_fail_errno(err, "read %s", path);
	free(line);
	fclose(f);
	if (ret == 1 && out->n == 0)
		ret = 0;
	if (ret != 1)
		dm_maps_free(out);
	return ret;
}

void dm_maps_free(struct dm_maps *m)
{
	free(m->m);
	*m = (struct dm_maps){0};
}

enum dm_map_kind dm_maps_kind(const struct dm_maps *m, uint64_t addr)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m->m[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n && m->m[lo].start <= addr ? m->m[lo].kind : DM_MAP_OTHER;
}

int dm_maps_present(int fd, enum dm_map_kind kind, uint64_t addr, size_t n, uint8_t *here)
{
	uint64_t e[ENTRIES];

	while (n > 0) {
		size_t k = n < ENTRIES ? n : ENTRIES;
		ssize_t got = pread(fd, e, k * 8, (off_t)(addr / DM_PAGE * 8));

		if (got < 0)
			return -1;
		if ((size_t)got < k * 8)
			memset((char *)e + got, 0, k * 8 - (size_t)got);
		for (size_t i = 0; i < k; i++)
			here[i] = (e[i] & PM_PRESENT) &&
				  (kind != DM_MAP_PRIVATE || !(e[i] & PM_FILE));
		here += k;
		addr += k * DM_PAGE;
		n -= k;
	}
	return 0;
}
