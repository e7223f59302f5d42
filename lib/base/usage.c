/* SPDX-License-Identifier: Apache-2.0 */
#include "base/usage.h"

#include <sys/resource.h>

#include "base/err.h"
#include "base/io.h"

/* As it was when the program began: a shell that executes it in its own place has used some, too. */
static struct {
	double time;
	struct rusage self, children;
} begin;

void dm_usage_begin(void)
{
	begin.time = dm_now();
	getrusage(RUSAGE_SELF, &begin.self);
	getrusage(RUSAGE_CHILDREN, &begin.children);
}

static double cpu(const struct rusage *now, const struct rusage *then)
{
	return (double)(now->ru_utime.tv_sec - then->ru_utime.tv_sec + now->ru_stime.tv_sec -
			then->ru_stime.tv_sec) +
	       (double)(now->ru_utime.tv_usec - then->ru_utime.tv_usec + now->ru_stime.tv_usec -
			then->ru_stime.tv_usec) /
		       1e6;
}

json_t *dm_usage(void)
{
	struct rusage self = {0}, children = {0};
	json_t *below = NULL;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	if (cpu(&children, &begin.children) > 0)
		below = json_pack("{s:f, s:I}", "cpu", cpu(&children, &begin.children), "memory",
				  (json_int_t)children.ru_maxrss << 10);
	return json_pack("{s:s, s:f, s:f, s:I, s:o*}", "tool", dm_program(), "seconds",
			 dm_now() - begin.time, "cpu", cpu(&self, &begin.self), "memory",
			 (json_int_t)self.ru_maxrss << 10, "children", below);
}
