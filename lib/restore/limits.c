/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/limits.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "stream/format.h"

enum { TIMES = 8 };

uint64_t dm_limits_pages(void)
{
	struct sysinfo i;

	if (sysinfo(&i))
		return UINT64_MAX;
	return TIMES * ((i.totalram + i.totalswap) / DM_PAGE * i.mem_unit);
}

void dm_limits_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}
