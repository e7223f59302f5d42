/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int dm_num_u64(const char *text, const char *what, uint64_t lo, uint64_t hi, uint64_t *out,
	       struct dm_err *err)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || v < lo || v > hi)
		return dm_fail(err, DM_USAGE, "%s: \"%s\" is not a number from %llu to %llu", what,
			       text, (unsigned long long)lo, (unsigned long long)hi);
	*out = v;
	return 0;
}

int dm_num_size(const char *text, const char *what, uint64_t *out, struct dm_err *err)
{
	static const char units[] = "KMGT";
	unsigned long long v;
	unsigned shift = 0;
	const char *u;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		goto bad;
	if (*end) {
		u = strchr(units, toupper((unsigned char)*end));
		if (!u || end[1])
			goto bad;
		shift = 10 * (unsigned)(u - units + 1);
	}
	if (v > UINT64_MAX >> shift)
		goto bad;
	*out = v << shift;
	return 0;

bad:
	return dm_fail(err, DM_USAGE, "%s: \"%s\" is not a size (a number, then K, M, G or T)",
		       what, text);
}

void dm_num_human(uint64_t n, char *out, size_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double v = (double)n / 1024;
	int u = 0;

	if (n < 1024) {
		snprintf(out, size, "%u B", (unsigned)n);
		return;
	}
	while (v >= 1023.95 && u < 3) {
		v /= 1024;
		u++;
	}
	snprintf(out, size, "%.1f %s", v, units[u]);
}
