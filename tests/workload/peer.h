/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_PEER_H
#define DM_WORKLOAD_PEER_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "pages.h"

/*
 * A child that dirties and verifies the shared region too. Questions and answers go through
 * shared memory themselves: if a move has parted the memory of the two, no answer comes.
 */
struct peer {
	struct {
		_Atomic uint64_t asked;
		_Atomic uint64_t answered;
	} * talk;
	pid_t pid;
};

/*
 * Fork the child, which dirties rate pages a second of region and verifies a page each ms. To be
 * called before any thread is started; SIGTERM must be blocked.
 * Returns 0; -1 with err.
 */
int peer_start(struct peer *p, struct pages *region, double rate, uint64_t seed,
	       pages_report *report, struct dm_err *err);

/*
 * Have the child verify all of the region, as it sees it, and wait for its answer.
 * Returns 0; -1 with err if it is dead or does not answer within 60 s.
 */
int peer_check(struct peer *p, struct dm_err *err);

/*
 * End the child and wait for it.
 */
void peer_stop(struct peer *p);

#endif
