/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_PAGES_H
#define DM_WORKLOAD_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Memory that knows what it should hold. The content of a page is a function of (seed, region,
 * page, generation):
 *
 *     0                          2048                        4096
 *     | page, generation, ...    | pseudo-random words       |
 *     | (repeated: compresses)   | (do not compress)         |
 *
 * The generation that each page should have is in a table beside the pages, with a count of all
 * writes ever made. So a page that is older than its table, a table older than its page, and
 * tables that are all older than the count are found out. A page is verified before it is written
 * again: what was wrong cannot be written over unseen.
 */

#define PAGES_SIZE 4096
#define PAGES_LOCKS 512 /* page p is under lock p % PAGES_LOCKS */

struct pages_table {
	_Atomic uint64_t writes; /* sum of all generations */
	_Atomic uint64_t bad;	 /* wrong pages found so far */
	_Atomic uint8_t lock[PAGES_LOCKS];
	uint32_t gen[];
};

struct pages {
	const char *name;
	uint64_t count; /* pages */
	uint64_t set;	/* pages of the working set: the first ones */
	uint8_t *mem;
	struct pages_table *table;
	uint64_t id; /* in the pages, so that regions differ */
	uint64_t seed;
};

/* One wrong page. */
struct pages_bad {
	const struct pages *region;
	uint64_t page;
	uint32_t expected;   /* generation */
	uint64_t found_page; /* what the first words of the page say */
	uint64_t found;
	bool whole; /* it is entirely what its first words say: stale, or of another place */
	unsigned first_byte; /* the first wrong byte */
	unsigned bytes;	     /* how many are wrong */
};

/*
 * Called for every wrong page, once; afterwards the page is made right again.
 */
typedef void pages_report(const struct pages_bad *bad);

/*
 * Map count pages and their table, shared with later children if shared, and fill them. The
 * first set pages are the working set. name is kept, not copied.
 * Returns 0; -1 with err. There is no close: the pages live as long as the process.
 */
int pages_open(struct pages *r, const char *name, uint64_t id, uint64_t seed, uint64_t count,
	       uint64_t set, bool shared, struct dm_err *err);

/*
 * Verify a page of the working set chosen by the random number rnd, and write its next
 * generation. Returns whether it was done; false when somebody else holds the page.
 */
bool pages_dirty(struct pages *r, uint64_t rnd, pages_report *report);

/*
 * Verify a page of the region chosen by rnd, unless somebody else holds it.
 */
void pages_glance(struct pages *r, uint64_t rnd, pages_report *report);

/*
 * Verify all pages, then that the generations add up to the writes made; both while others go on
 * writing. Returns whether they add up; false also counts as one bad page.
 */
bool pages_check(struct pages *r, pages_report *report);

/*
 * The next number of a simple generator; *state may start anywhere.
 */
uint64_t pages_random(uint64_t *state);

#endif
