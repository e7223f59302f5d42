/* SPDX-License-Identifier: Apache-2.0 */
/* What of many only one gets: the decision, the lock, the claim to a container. */
#include "test.h"

#include <signal.h>

#include "base/io.h"
#include "handover/record.h"
#include "handover/unborn.h"
#include "tool.h"

static struct dm_err err;
static const char *state;

/* A state folder of its own, and a record in it. */
static struct dm_record *fresh(const char *id)
{
	struct dm_record *r;

	state = fresh_folder();
	setenv("DM_STATE", state, 1);
	r = dm_record_open(DM_TARGET, id, true, &err);
	MUST(r);
	return r;
}

TEST(a_decision_falls_once)
{
	struct dm_record *r = fresh("one"), *again;
	char standing[DM_WORD_MAX] = "untouched";

	CHECK_INT(dm_record_decision(r, standing, &err), 0);
	CHECK_STR(standing, "untouched");
	CHECK_INT(dm_record_decide(r, "running", standing, &err), 1);
	CHECK_STR(standing, "running");
	CHECK_INT(dm_record_decide(r, "failed", standing, &err), 0);
	CHECK_STR(standing, "running");
	CHECK_INT(dm_record_decide(r, "running", standing, &err), 1);
	dm_record_close(r);
	again = dm_record_open(DM_TARGET, "one", false, &err);
	CHECK_INT(dm_record_decision(again, standing, &err), 1);
	CHECK_STR(standing, "running");
	CHECK_INT(count_names(dm_record_path(again)), 1); /* no rests of the choice */
	dm_record_close(again);
}

TEST(a_decision_without_a_word_is_an_error)
{
	static const char *const bad[] = {"", "\n", " running", "a-word-that-is-too-long\n"};
	char standing[DM_WORD_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct dm_record *r = fresh("one");

		MUST(dm_write_file(dm_record_dir(r), "decision", bad[i], strlen(bad[i]), &err) ==
		     0);
		CHECK_INT(dm_record_decision(r, standing, &err), -1);
		CHECK_INT(dm_record_decide(r, "failed", standing, &err), -1);
		dm_record_close(r);
	}
}

/* Many processes race for it with different words; all must come to know the same winner. */
TEST(between_many_there_is_one_winner)
{
	enum { MANY = 12 };

	for (int round = 0; round < 15; round++) {
		struct dm_record *r = fresh("one");
		int go[2], tell[2], winners = 0;
		char winner[DM_WORD_MAX] = "", heard[DM_WORD_MAX];
		pid_t pids[MANY];

		MUST(pipe(go) == 0 && pipe(tell) == 0);
		for (int i = 0; i < MANY; i++) {
			pids[i] = fork();
			MUST(pids[i] >= 0);
			if (pids[i] == 0) {
				char word[DM_WORD_MAX], standing[DM_WORD_MAX] = {0};
				int won;

				snprintf(word, sizeof(word), "word-%d", i);
				close(go[1]);
				if (read(go[0], standing, 1) != 0) /* until all are let go */
					_exit(99);
				won = dm_record_decide(r, word, standing, &err);
				if (won < 0 || won != !strcmp(word, standing) ||
				    write(tell[1], standing, DM_WORD_MAX) != DM_WORD_MAX)
					_exit(99);
				_exit(won);
			}
		}
		close(go[1]);
		for (int i = 0; i < MANY; i++) {
			int code = exit_code(pids[i]);

			CHECK(code == 0 || code == 1);
			winners += code == 1;
			MUST(read(tell[0], heard, DM_WORD_MAX) == DM_WORD_MAX);
			if (!winner[0])
				strcpy(winner, heard);
			CHECK_STR(heard, winner);
		}
		CHECK_INT(winners, 1);
		CHECK_INT(dm_record_decision(r, heard, &err), 1);
		CHECK_STR(heard, winner);
		CHECK_INT(count_names(dm_record_path(r)), 1);
		close(go[0]);
		close(tell[0]);
		close(tell[1]);
		dm_record_close(r);
	}
}

/* Whether another process gets the lock at once. */
static bool free_for_others(void)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0) {
		struct dm_record *r = dm_record_open(DM_TARGET, "one", false, &err);

		_exit(r && dm_record_lock(r, 0, false, &err) == 0 ? 0 : 1);
	}
	return exit_code(pid) == 0;
}

TEST(the_lock_keeps_others_out)
{
	struct dm_record *r = fresh("one"), *other;
	double from;

	CHECK_INT(dm_record_lock(r, 0, false, &err), 0);
	CHECK(!free_for_others());
	CHECK_INT(dm_record_lock(r, 0, false, &err), 0); /* it is ours */
	other = dm_record_open(DM_TARGET, "one", false, &err);
	from = dm_now();
	CHECK_INT(dm_record_lock(other, 0.3, false, &err), -1);
	CHECK(dm_now() - from > 0.29 && dm_now() - from < 2);
	CHECK(strstr(err.msg, "another step still holds it"));
	dm_record_unlock(r);
	CHECK(free_for_others());
	CHECK_INT(dm_record_lock(other, 0, false, &err), 0);
	CHECK_INT(dm_record_lock(r, 0, false, &err), -1);
	dm_record_close(other);
	CHECK(free_for_others());
	dm_record_unlock(r);
	dm_record_close(r);
}

TEST(the_lock_is_waited_for)
{
	struct dm_record *r = fresh("one");
	pid_t pid;

	MUST(dm_record_lock(r, 0, false, &err) == 0);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		struct dm_record *mine = dm_record_open(DM_TARGET, "one", false, &err);

		dm_record_close(r); /* the parent's, which it was born with */
		_exit(dm_record_lock(mine, 20, false, &err) ? 1 : 0);
	}
	usleep(100000);
	CHECK_INT(waitpid(pid, NULL, WNOHANG), 0);
	dm_record_unlock(r);
	CHECK_INT(exit_code(pid), 0);
	dm_record_close(r);
}

/* Start a program that holds what it inherits, give back the lock, and see who has it. */
static bool held_by_program(bool inherit)
{
	struct dm_record *r = fresh("one");
	bool held;
	pid_t pid;

	MUST(dm_record_lock(r, 0, inherit, &err) == 0);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0)
		_exit(execlp("sleep", "sleep", "1000", (char *)NULL));
	usleep(200000);
	dm_record_close(r);
	held = !free_for_others();
	kill(pid, SIGKILL);
	exit_code(pid);
	CHECK(free_for_others());
	return held;
}

TEST(a_container_is_claimed_by_one_migration)
{
	static const char one[] = "aa11", two[] = "bb22";
	struct dm_record *r = fresh("m-1"), *s = dm_record_open(DM_SOURCE, "m-2", true, &err);

	CHECK_INT(dm_record_claim(r, one, &err), 0);
	CHECK_INT(dm_record_claim(r, one, &err), 0);
	CHECK_INT(dm_record_claim(s, one, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK(strstr(err.msg, "held by migration m-1"));
	CHECK_INT(dm_record_claim(s, two, &err), 0);
	CHECK_INT(dm_record_unclaim(s, one, &err), 0); /* it is not its own */
	CHECK_INT(dm_record_claim(s, one, &err), -1);
	CHECK_INT(dm_record_unclaim(r, one, &err), 0);
	CHECK_INT(dm_record_unclaim(r, one, &err), 0);
	CHECK_INT(dm_record_claim(s, one, &err), 0);
	CHECK_INT(dm_record_claim(r, two, &err), -1);
	dm_record_close(r);
	dm_record_close(s);
}

TEST(of_many_that_claim_a_container_one_gets_it)
{
	enum { MANY = 10 };
	struct dm_record *r = fresh("m-0");
	pid_t pids[MANY];
	int go[2], got = 0;

	MUST(pipe(go) == 0);
	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		MUST(pids[i] >= 0);
		if (pids[i] == 0) {
			char id[16], none;
			struct dm_record *mine;

			snprintf(id, sizeof(id), "m-%d", i + 1);
			mine = dm_record_open(DM_SOURCE, id, true, &err);
			close(go[1]);
			if (!mine || read(go[0], &none, 1) != 0)
				_exit(99);
			_exit(dm_record_claim(mine, "aa11", &err) == 0 ? 1
			      : err.code == DM_UNFIT		       ? 0
								       : 98);
		}
	}
	close(go[1]);
	for (int i = 0; i < MANY; i++) {
		int code = exit_code(pids[i]);

		CHECK(code == 0 || code == 1);
		got += code == 1;
	}
	CHECK_INT(got, 1);
	close(go[0]);
	dm_record_close(r);
}

TEST(what_was_never_restored_is_marked)
{
	char standing[DM_WORD_MAX];
	struct dm_record *r = fresh("m-1");

	CHECK(!dm_unborn_is("aa11"));
	CHECK_INT(dm_unborn_clear("aa11", &err), 0);
	CHECK_INT(dm_unborn_mark("aa11", "m-1", &err), 0);
	CHECK(dm_unborn_is("aa11"));
	CHECK(!dm_unborn_is("bb22"));
	CHECK(!dm_unborn_is("../target/m-1"));
	CHECK_INT(dm_unborn_clear("aa11", &err), 0);
	CHECK(!dm_unborn_is("aa11"));
	CHECK_INT(dm_unborn_mark("aa11", "m-1", &err), 0);
	CHECK_INT(dm_unborn_mark("cc33", "m-9", &err), 0); /* nothing is known of m-9 */
	dm_record_decide(r, "running", standing, &err);
	CHECK(!dm_unborn_is("aa11")); /* the marker was left behind */
	CHECK(dm_unborn_is("cc33"));
	dm_record_close(r);
	r = fresh("m-1");
	dm_unborn_mark("aa11", "m-1", &err);
	dm_record_decide(r, "failed", standing, &err);
	CHECK(dm_unborn_is("aa11"));
	dm_record_close(r);
}

TEST(children_hold_the_lock_on_demand)
{
	CHECK(held_by_program(true));
	CHECK(!held_by_program(false));
}
