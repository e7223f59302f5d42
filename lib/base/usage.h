/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_BASE_USAGE_H
#define DM_BASE_USAGE_H

#include <jansson.h>

/*
 * Note that the program begins now; dm_opt_parse() does it.
 */
void dm_usage_begin(void);

/*
 * What the program has used so far, as an object: "tool" (its name), "seconds" since it
 * began, "cpu" (seconds, user and system), "memory" (bytes, the most it ever had resident), and
 * the last two of the children that it has waited for, under "children", if it had any.
 * Returns a new reference, or NULL when memory ran out.
 */
json_t *dm_usage(void);

#endif
