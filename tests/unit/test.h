/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_TEST_H
#define DM_TEST_H

/*
 * A unit test is one program made of one file tests/unit/NAME_test.c and the library:
 *
 *	#include "test.h"
 *
 *	TEST(three_bytes_come_back)
 *	{
 *		REQUIRE(open_it() == 0);	(ends this test when false)
 *		CHECK(count() == 3);		(goes on)
 *		CHECK_INT(count(), 3);		(shows both numbers)
 *		CHECK_STR(text(), "abc");	(shows both strings)
 *		SKIP("no such thing here");	(ends this test; it counts as skipped)
 *	}
 *
 * It prints "ok - three bytes come back" or "not ok - ...", a line that starts with # for each
 * check that failed, and exits with 0 only when no test failed. An argument picks the tests
 * whose name contains it.
 */

#include <stdio.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_first, **test_end = &test_first;
static int test_failed;
static const char *test_skipped;

#define TEST(what)                                                                                 \
	static void test_##what(void);                                                             \
	__attribute__((constructor)) static void test_add_##what(void)                             \
	{                                                                                          \
		static struct test t = {#what, test_##what, NULL};                                 \
		*test_end = &t;                                                                    \
		test_end = &t.next;                                                                \
	}                                                                                          \
	static void test_##what(void)

#define TEST_BAD(...)                                                                              \
	(test_failed = 1, printf("# %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""))

#define CHECK(cond) ((cond) ? (void)0 : (void)TEST_BAD("%s", #cond))

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			TEST_BAD("%s", #cond);                                                     \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* Ends this test: it cannot be run here, for that reason. */
#define SKIP(reason)                                                                               \
	do {                                                                                       \
		test_skipped = (reason);                                                           \
		return;                                                                            \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long g_ = (long long)(got), w_ = (long long)(want);                           \
		if (g_ != w_)                                                                      \
			TEST_BAD("%s is %lld, not %lld", #got, g_, w_);                            \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *g_ = (got), *w_ = (want);                                              \
		if (!g_ || strcmp(g_, w_) != 0)                                                    \
			TEST_BAD("%s is \"%s\", not \"%s\"", #got, g_ ? g_ : "(null)", w_);        \
	} while (0)

int main(int argc, char **argv)
{
	int bad = 0, ran = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = test_first; t; t = t->next) {
		if (argc > 1 && !strstr(t->name, argv[1]))
			continue;
		test_failed = 0;
		test_skipped = NULL;
		t->run();
		printf("%s - ", test_failed ? "not ok" : test_skipped ? "skip" : "ok");
		for (const char *p = t->name; *p; p++)
			putchar(*p == '_' ? ' ' : *p);
		if (test_skipped && !test_failed)
			printf(": %s", test_skipped);
		putchar('\n');
		bad += test_failed;
		ran++;
	}
	return ran == 0 || bad > 0;
}

#endif
