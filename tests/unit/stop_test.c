/* SPDX-License-Identifier: Apache-2.0 */
/* When the rounds end: sequences of rounds against both rule sets. */
#include "test.h"

#include "memory/stop.h"
#include "stream/format.h"
#include "tool.h"

/* Feed rounds of these sent pages, until one ends it. Returns its number, from 1; 0: none did. */
static int ends(struct dm_stop *s, const uint64_t *sent, int n, const char **why)
{
	for (int i = 0; i < n; i++) {
		struct dm_round r = {.seen = 100000, .sent = sent[i], .bytes = sent[i] * DM_PAGE};

		r.seconds = (double)r.bytes / 100e6;
		*why = dm_stop_round(s, &r);
		if (*why)
			return i + 1;
	}
	return 0;
}

#define ENDS(s, why, ...)                                                                          \
	ends(s, (const uint64_t[]){__VA_ARGS__},                                                   \
	     (int)(sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)), why)

static struct dm_stop seed(uint32_t max_rounds)
{
	struct dm_stop s = {.opts = dm_stop_defaults};

	s.opts.rule = DM_STOP_SEED;
	s.opts.max_rounds = max_rounds;
	return s;
}

/* With a budget, in seconds. */
static struct dm_stop budget(double seconds, uint32_t max_rounds)
{
	struct dm_stop s = {.opts = dm_stop_defaults};

	s.opts.budget = seconds;
	s.opts.max_rounds = max_rounds;
	return s;
}

TEST(the_defaults_are_those_of_the_manual)
{
	CHECK_INT(dm_stop_defaults.rule, DM_STOP_BUDGET);
	CHECK_INT(dm_stop_defaults.budget * 1000, 300);
	CHECK_INT(dm_stop_defaults.max_rounds, 7);
	CHECK_INT(dm_stop_defaults.min_pages, 500);
	CHECK_INT(dm_stop_defaults.max_growth, 10);
}

TEST(seed_goes_on_while_rounds_shrink_and_ends_when_few_pages_are_left)
{
	struct dm_stop s = seed(60);
	const char *why = NULL;

	CHECK_INT(ENDS(&s, &why, 100000, 50000, 20000, 8000, 2000, 499, 1), 6);
	CHECK_STR(why, "few pages are left");
	s = seed(60);
	CHECK_INT(ENDS(&s, &why, 100000, 500, 500, 500, 500), 0); /* 500 are not fewer than 500 */
	s = seed(60);
	CHECK_INT(ENDS(&s, &why, 499), 1);
	s = seed(60);
	s.opts.min_pages = 0;
	CHECK_INT(ENDS(&s, &why, 100, 0, 0, 0), 0); /* never fewer than none */
}

TEST(seed_ends_when_rounds_grow_by_more_than_it_allows)
{
	struct dm_stop s = seed(60);
	const char *why = NULL;

	CHECK_INT(ENDS(&s, &why, 1000, 1100, 1210, 1331, 1465), 5); /* 10.07 percent at last */
	CHECK_STR(why, "the rounds grow");
	s = seed(60);
	CHECK_INT(ENDS(&s, &why, 1000, 1100, 1210, 1331, 1464), 0);
	s = seed(60);
	CHECK_INT(ENDS(&s, &why, 100000, 1000, 1101), 3);
	s = seed(60);
	s.opts.max_growth = 0;
	CHECK_INT(ENDS(&s, &why, 1000, 1000, 1001), 3);
	s = seed(60);
	s.opts.max_growth = 100;
	CHECK_INT(ENDS(&s, &why, 1000, 2000, 4000, 8001), 4);
	s = seed(60); /* the first round has none to be compared with */
	CHECK_INT(ENDS(&s, &why, 10000000, 9000000), 0);
	s = seed(60);
	CHECK_INT(ENDS(&s, &why, UINT64_C(1) << 50, UINT64_C(1) << 51), 2);
}

TEST(each_rule_ends_with_the_last_round_allowed)
{
	static const uint64_t sent[] = {100000, 90000, 80000, 70000, 60000, 50000, 40000, 30000};
	const char *why;

	for (int n = 1; n <= 8; n++) {
		struct dm_stop s = seed((uint32_t)n);

		CHECK_INT(ends(&s, sent, 8, &why), n);
		CHECK_STR(why, "the last round allowed");
		CHECK_INT(s.rounds, n);
		s = budget(0.001, (uint32_t)n);
		CHECK_INT(ends(&s, sent, 8, &why), n);
		CHECK_INT(s.rounds, n);
	}
}

TEST(budget_ends_when_the_predicted_blackout_fits)
{
	struct dm_stop s = budget(dm_stop_predict(100000, 25000, 100e6), 60);
	const char *why = NULL;

	CHECK_INT(ENDS(&s, &why, 100000, 60000, 40000, 20000), 4);
	CHECK_STR(why, "the budget is met");
	s = budget(1000, 60);
	CHECK_INT(ENDS(&s, &why, 100000), 1);
}

TEST(budget_ends_when_two_rounds_bring_no_gain)
{
	struct dm_stop s = budget(0.3, 60);
	const char *why = NULL;

	CHECK_INT(ENDS(&s, &why, 100000, 50000, 50000, 50000), 4);
	CHECK_STR(why, "two rounds brought no gain");
	s = budget(0.3, 60); /* 9 in 10 is no gain, less is */
	CHECK_INT(ENDS(&s, &why, 100000, 90000, 81000), 3);
	s = budget(0.3, 60);
	CHECK_INT(ENDS(&s, &why, 100000, 89999, 80999, 72898, 65607), 0);
	s = budget(0.3, 60); /* one idle round and then a gain begin anew */
	CHECK_INT(ENDS(&s, &why, 100000, 50000, 50000, 40000, 40000, 30000, 30000, 30000), 8);
	s = budget(0.3, 60); /* growth is no gain */
	CHECK_INT(ENDS(&s, &why, 50000, 60000, 70000), 3);
	s = budget(0.3, 60); /* the first round gains whatever it sends */
	CHECK_INT(ENDS(&s, &why, 50000, 50000), 0);
}

TEST(budget_ends_when_what_is_left_costs_little)
{
	struct dm_stop s = budget(0.3, 60);
	const char *why = NULL;

	/* a tenth of the budget is 0.03 s, which at 100 MB/s is 732 pages */
	CHECK_INT(ENDS(&s, &why, 100000, 10000, 733, 732), 4);
	CHECK_STR(why, "what is left costs little");
	s = budget(0.3, 60); /* but there is always a second round */
	CHECK_INT(ENDS(&s, &why, 732), 0);
	s = budget(0.3, 60);
	CHECK_INT(ENDS(&s, &why, 100000, 0), 2);
}

TEST(the_rate_is_that_of_the_fastest_large_round)
{
	struct dm_stop s = budget(0.3, 60);
	struct dm_round r = {.seen = 1000, .sent = 1000, .bytes = (4 << 20) - 1, .seconds = 0.001};

	dm_stop_round(&s, &r);
	CHECK(s.rate == 0); /* too small to tell */
	CHECK(r.predicted == dm_stop_predict(1000, 1000, 0));
	r = (struct dm_round){.seen = 1000, .sent = 1000, .bytes = 8 << 20, .seconds = 2};
	dm_stop_round(&s, &r);
	CHECK(s.rate == (4 << 20));
	CHECK(r.predicted == dm_stop_predict(1000, 1000, 4 << 20));
	r = (struct dm_round){.seen = 1000, .sent = 1000, .bytes = 8 << 20, .seconds = 4};
	dm_stop_round(&s, &r);
	CHECK(s.rate == (4 << 20));
	r = (struct dm_round){.seen = 1000, .sent = 1000, .bytes = 8 << 20, .seconds = 1};
	dm_stop_round(&s, &r);
	CHECK(s.rate == (8 << 20));
	r = (struct dm_round){.seen = 1000, .sent = 1000, .bytes = 8 << 20, .seconds = 0};
	dm_stop_round(&s, &r);
	CHECK(s.rate == (8 << 20));
}

TEST(the_prediction_grows_with_memory_and_with_what_is_to_go)
{
	CHECK(dm_stop_predict(0, 0, 0) > 0);
	CHECK(dm_stop_predict(1 << 20, 0, 0) > dm_stop_predict(1 << 10, 0, 0));
	CHECK(dm_stop_predict(0, 1 << 20, 0) > dm_stop_predict(0, 1 << 10, 0));
	CHECK(dm_stop_predict(0, 1 << 20, 1e6) > dm_stop_predict(0, 1 << 20, 1e9));
	/* 1 GiB at 1 GiB a second is a second */
	CHECK_INT((dm_stop_predict(0, 1 << 18, 1 << 30) - dm_stop_predict(0, 0, 1 << 30)) * 1000 +
			  0.5,
		  1000);
}

/* However the rounds go, both rules end, and not before the second round unless all is well. */
TEST(sequences_by_chance_end)
{
	for (int i = 0; i < 5000; i++) {
		struct dm_stop s =
			i % 2 ? seed(1 + (uint32_t)pick(20))
			      : budget(0.1 + (double)pick(30) / 10, 1 + (uint32_t)pick(20));
		uint32_t rounds = 0;
		const char *why = NULL;

		while (!why) {
			struct dm_round r = {.seen = pick(1000000), .sent = pick(100000)};

			r.bytes = r.sent * DM_PAGE;
			r.seconds = (double)pick(100) / 10;
			why = dm_stop_round(&s, &r);
			rounds++;
			if (!why && rounds > 20)
				break;
		}
		CHECK(why && rounds <= s.opts.max_rounds && rounds == s.rounds);
	}
}
