/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"

#define BUDGET_NS 500000
#define PATIENCE 60000 /* ms */

static const struct timespec one_ms = {0, 1000000};

static _Noreturn void live(struct peer *p, struct pace *pace, pages_report *report)
{
	uint64_t asked;
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	while (sigtimedwait(&term, NULL, &one_ms) != SIGTERM) {
		pace_run(pace, BUDGET_NS, report);
		pages_glance(pace->region, pages_random(&pace->random), report);
		asked = atomic_load(&p->talk->asked);
		if (asked == atomic_load(&p->talk->answered))
			continue;
		pages_check(pace->region, report);
		atomic_store(&p->talk->answered, asked);
	}
	_exit(0);
}

int peer_start(struct peer *p, struct pages *region, double rate, uint64_t seed,
	       pages_report *report, struct dm_err *err)
{
	struct pace pace = {.region = region, .rate = rate, .random = seed};

	p->talk = mmap(NULL, sizeof(*p->talk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (p->talk == MAP_FAILED)
		return dm_fail_errno(err, "map memory shared with the child");
	p->pid = fork();
	if (p->pid < 0)
		return dm_fail_errno(err, "fork");
	if (p->pid)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	live(p, &pace, report);
}

int peer_check(struct peer *p, struct dm_err *err)
{
	uint64_t asked = atomic_fetch_add(&p->talk->asked, 1) + 1;

	for (int ms = 0; ms < PATIENCE; ms++) {
		if (atomic_load(&p->talk->answered) == asked)
			return 0;
		if (p->pid < 0 || waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = -1;
			return dm_fail(err, DM_FAILURE, "the child is dead");
		}
		nanosleep(&one_ms, NULL);
	}
	return dm_fail(err, DM_FAILURE, "no answer from the child: is the memory still shared?");
}

void peer_stop(struct peer *p)
{
	if (p->pid <= 0)
		return;
	kill(p->pid, SIGTERM);
	waitpid(p->pid, NULL, 0);
	p->pid = -1;
}
