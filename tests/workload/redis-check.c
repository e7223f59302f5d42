/* SPDX-License-Identifier: Apache-2.0 */
#include "redis-check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gaps.h"
#include "report.h"

#define BATCH 128  /* keys in one MGET */
#define AHEAD 2048 /* keys asked for and not yet answered */

struct check {
	struct resp *r;
	const struct numbered *keys;
	uint64_t upto, asked, checked;
	uint64_t missing, wrong, first_missing, first_wrong;
	char *value; /* what is expected */
};

static void ask(struct check *c)
{
	char key[NUMBERED_KEY_MAX];
	uint64_t n;

	while (c->asked < c->upto && c->asked - c->checked < AHEAD) {
		n = c->upto - c->asked < BATCH ? c->upto - c->asked : BATCH;
		resp_command(c->r, n + 1);
		resp_word(c->r, "MGET", 4);
		while (n--)
			resp_word(c->r, key, numbered_key(c->keys, ++c->asked, key));
	}
}

static void compare(struct check *c, const struct resp_item *item)
{
	uint64_t n = ++c->checked;

	if (item->nil) {
		if (!c->missing++)
			c->first_missing = n;
		return;
	}
	numbered_value(c->keys, n, c->value);
	if (item->len == c->keys->size && !memcmp(item->text, c->value, item->len))
		return;
	if (!c->wrong++)
		c->first_wrong = n;
}

static int answers(struct check *c, struct dm_err *err)
{
	struct resp_item item;
	int got;

	while ((got = resp_take(c->r, &item, err)) == 1) {
		if (item.type == '-')
			return dm_fail(err, DM_FAILURE, "the server says: %.*s", (int)item.len,
				       item.text);
		if (item.type == '$')
			compare(c, &item);
	}
	return got;
}

static int run(struct check *c, int timeout_ms, struct dm_err *err)
{
	int64_t last = gaps_clock(CLOCK_MONOTONIC), now;
	uint64_t before;

	while (c->checked < c->upto) {
		before = c->checked;
		ask(c);
		if (resp_pump(c->r, 100000000, err) < 0 || answers(c, err) < 0)
			return -1;
		now = gaps_clock(CLOCK_MONOTONIC);
		if (c->checked > before)
			last = now;
		if (now - last > (int64_t)timeout_ms * 1000000)
			return dm_fail(err, DM_FAILURE, "no answer in %d ms", timeout_ms);
	}
	return 0;
}

int redis_check(struct resp *r, const struct numbered *keys, uint64_t upto, int timeout_ms,
		struct dm_err *err)
{
	struct check c = {.r = r, .keys = keys, .upto = upto};
	int ret;

	c.value = malloc(keys->size);
	if (!c.value)
		return dm_fail_errno(err, "memory for a value");
	ret = run(&c, timeout_ms, err);
	free(c.value);
	if (ret < 0)
		return -1;
	report_line("{\"checked\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"wrong\":%" PRIu64
		    ",\"first_missing\":%" PRIu64 ",\"first_wrong\":%" PRIu64 "}",
		    c.checked, c.missing, c.wrong, c.first_missing, c.first_wrong);
	return c.missing || c.wrong;
}
