/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/rounds.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"
#include "base/num.h"
#include "memory/live.h"
#include "memory/sender.h"

void dm_rounds_say(const char *name, const struct dm_round *r, const char *why)
{
	char size[32];

	dm_num_human(r->bytes, size, sizeof(size));
	dm_say("%s: %" PRIu64 " pages, %" PRIu64 " sent, %s in %.2f s%s%s", name, r->seen, r->sent,
	       size, r->seconds, why ? "; " : "", why ? why : "");
}

/* One round; its figures in *r. */
static int run_one(const struct dm_cgroup *cgroup, struct dm_writer *w, struct dm_sender *sender,
		   uint32_t number, volatile sig_atomic_t *stop, struct dm_round *r,
		   struct dm_err *err)
{
	uint64_t before = dm_writer_bytes(w);
	struct dm_sender_count c;
	struct dm_tasks tasks;
	double start = dm_now();
	int ret;

	if (dm_tasks_list(cgroup, &tasks, err))
		return -1;
	if (tasks.n == 0) {
		dm_tasks_free(&tasks);
		return dm_fail(err, DM_UNFIT, "the container has ended");
	}
	ret = dm_writer_round_begin(w, number, err);
	if (ret == 0)
		ret = dm_live_round(&tasks, sender, stop, err);
	dm_tasks_free(&tasks);
	if (ret)
		return -1;
	c = dm_sender_count(sender);
	if (dm_writer_round_end(w, c.seen, c.sent, err) || dm_writer_flush(w, err))
		return -1;
	*r = (struct dm_round){.seen = c.seen,
			       .sent = c.sent,
			       .bytes = dm_writer_bytes(w) - before,
			       .seconds = dm_now() - start};
	return 0;
}

int dm_rounds_run(const struct dm_cgroup *cgroup, struct dm_writer *w, struct dm_held *held,
		  uint64_t seed, struct dm_stop *s, struct dm_round list[DM_ROUNDS_MAX],
		  volatile sig_atomic_t *stop, struct dm_err *err)
{
	struct dm_sender *sender = dm_sender_new(w, held, seed, err);
	const char *why = NULL;
	struct dm_round *last;
	char name[32];
	int ret = sender ? 0 : -1;

	while (ret == 0 && !why) {
		snprintf(name, sizeof(name), "round %u", s->rounds + 1);
		last = &list[s->rounds];
		ret = run_one(cgroup, w, sender, s->rounds + 1, stop, last, err);
		if (ret)
			break;
		why = dm_stop_round(s, last);
		dm_rounds_say(name, last, why);
		if (why)
			dm_say("predicted blackout: %.2f s", last->predicted);
	}
	dm_sender_free(sender);
	return ret;
}
