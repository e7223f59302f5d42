/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_HANDOVER_FIGURES_H
#define DM_HANDOVER_FIGURES_H

/*
 * What the stages of a migration came to: the file "figures" in the source's record, one JSON
 * object a line. They are for people and reports; nothing is decided by them, they are not synced,
 * and a migration does not fail for want of them.
 */

#include <jansson.h>

#include "handover/record.h"

/*
 * Append an object, whose reference is taken over. What goes wrong is said on stderr.
 */
void dm_figures_add(struct dm_record *r, json_t *o);

/*
 * All of them: a new reference to an array, empty when there are none.
 */
json_t *dm_figures_list(struct dm_record *r);

/*
 * Add to list the objects of text, one a line, that have a "tool"; other lines are passed over, and
 * so is all beyond 1000 objects. where is added to each as "host".
 */
void dm_figures_parse(const char *text, const char *where, json_t *list);

#endif
