/* SPDX-License-Identifier: Apache-2.0 */
/* The stages on the source, chained by the journal: each in its turn, or not at all. */
#include "test.h"

#include <pty.h>

#include "base/json.h"
#include "handover/stage.h"
#include "stream_tool.h"

static struct dm_err err;
static struct dm_container container = {
	.id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", .name = "it"};

/* Run a stage with fd as stdout: begin, a record or two, end. Returns 0; or the error's code. */
static int stage(int fd, const char *id, enum dm_segment_kind kind, bool last, bool saved)
{
	static const uint8_t digest[DM_DIGEST];
	struct dm_stage s;
	int saved_fd, ret;

	fflush(stdout);
	saved_fd = dup(1);
	MUST(saved_fd >= 0 && dup2(fd, 1) == 1);
	err = (struct dm_err){0};
	ret = dm_stage_begin(&s, id, kind, &container, saved, false, &err);
	if (ret == 0 && kind == DM_SETUP)
		dm_writer_data(s.writer, DM_CONFIG, "{}", 2, &err);
	if (ret == 0 && kind == DM_FINAL) {
		dm_writer_round_begin(s.writer, 0, &err);
		dm_writer_round_end(s.writer, 0, 0, &err);
		dm_writer_digest(s.writer, digest, 0, &err);
	}
	if (ret == 0)
		ret = dm_stage_end(&s, last, &err);
	else
		dm_stage_abort(&s, &err);
	dm_stage_close(&s);
	MUST(dup2(saved_fd, 1) == 1);
	close(saved_fd);
	return ret ? (int)err.code : 0;
}

static void fresh_state(void)
{
	setenv("DM_STATE", fresh_folder(), 1);
}

TEST(stages_in_their_order_make_a_stream)
{
	static struct heard heard;
	int fd = memory_file("", 0);

	fresh_state();
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), 0);
	CHECK_INT(stage(fd, "m-1", DM_DELTA, false, false), 0);
	CHECK_INT(stage(fd, "m-1", DM_FINAL, false, false), 0);
	CHECK_INT(stage(fd, "m-1", DM_DELTA, true, false), 0);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	heard = (struct heard){0};
	CHECK_INT(dm_stream_read(fd, &hearing, &heard, &err), 0);
	CHECK(strstr(heard.text, "segment 0 kind 1 flags 0 id m-1 "));
	CHECK(strstr(heard.text, "segment 4 kind 3 flags 0 id m-1 "));
	close(fd);
}

TEST(a_saved_stream_says_so_in_every_segment)
{
	static struct heard heard;
	int fd = memory_file("", 0);
	char *p = heard.text;
	int n = 0;

	fresh_state();
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, true), 0);
	CHECK_INT(stage(fd, "m-1", DM_FINAL, false, false), 0);
	CHECK_INT(stage(fd, "m-1", DM_DELTA, true, false), 0);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	heard = (struct heard){0};
	CHECK_INT(dm_stream_read(fd, &hearing, &heard, &err), 0);
	for (; (p = strstr(p, " flags 1 id m-1 ")); p++)
		n++;
	CHECK_INT(n, 3);
	close(fd);
}

TEST(seeds_and_so_fingerprints_are_of_one_migration)
{
	static struct heard heard[2];
	char *seed[2];

	for (int i = 0; i < 2; i++) {
		int fd = memory_file("", 0);

		fresh_state();
		stage(fd, "m-1", DM_SETUP, false, false);
		MUST(lseek(fd, 0, SEEK_SET) == 0);
		dm_stream_read(fd, &hearing, &heard[i], &err);
		seed[i] = strstr(heard[i].text, " seed ");
		close(fd);
	}
	CHECK(seed[0] && seed[1] && strncmp(seed[0], seed[1], 12) != 0);
}

TEST(no_stage_goes_before_the_first_or_after_a_failed_one)
{
	int fd = memory_file("", 0), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	fresh_state();
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), DM_UNFIT);
	CHECK_STR(err.msg, "no migration m-1 is known on this host as source");
	CHECK_INT(stage(full, "m-1", DM_SETUP, false, false), DM_FAILURE);
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), DM_UNFIT);
	CHECK_STR(err.msg, "migration m-1: the stage before this one (setup) did not succeed");
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), DM_UNFIT);
	CHECK_STR(err.msg, "migration m-1 has begun before; take another id");
	CHECK_INT(stage(fd, "m-2", DM_SETUP, false, false), 0);
	CHECK_INT(stage(full, "m-2", DM_FINAL, false, false), DM_FAILURE);
	CHECK_INT(stage(fd, "m-2", DM_DELTA, true, false), DM_UNFIT);
	CHECK_STR(err.msg, "migration m-2: the stage before this one (final) did not succeed");
	close(fd);
	close(full);
}

TEST(no_stage_goes_after_the_decision)
{
	static const char *const words[] = {"thaw", "last"};
	int fd = memory_file("", 0);
	char standing[DM_WORD_MAX];

	for (int i = 0; i < 2; i++) {
		struct dm_record *r;
		off_t before;

		fresh_state();
		CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
		r = dm_record_open(DM_SOURCE, "m-1", false, &err);
		CHECK_INT(dm_record_decide(r, words[i], standing, &err), 1);
		dm_record_close(r);
		before = lseek(fd, 0, SEEK_CUR);
		CHECK_INT(stage(fd, "m-1", DM_FINAL, false, false), DM_UNFIT);
		CHECK(strstr(err.msg, "migration m-1 is over: it was decided \""));
		CHECK(strstr(err.msg, words[i]));
		CHECK_INT(lseek(fd, 0, SEEK_CUR), before);
	}
	close(fd);
}

TEST(a_migration_is_of_one_container)
{
	const char *id = container.id;
	int fd = memory_file("", 0);

	fresh_state();
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
	container.id = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), DM_UNFIT);
	CHECK_STR(err.msg, "migration m-1 is of another container, it");
	container.id = id;
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), 0);
	close(fd);
}

/* Nothing may be used up by a slip of the pen: the same id begins afterwards. */
TEST(a_terminal_is_refused_and_leaves_no_trace)
{
	int fd = memory_file("", 0), other, tty;

	MUST(openpty(&other, &tty, NULL, NULL, NULL) == 0);
	fresh_state();
	CHECK_INT(stage(tty, "m-1", DM_SETUP, false, false), DM_USAGE);
	CHECK(strstr(err.msg, "standard output is a terminal"));
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
	CHECK_INT(stage(tty, "m-1", DM_ROUNDS, false, false), DM_USAGE);
	CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), 0);
	close(other);
	close(tty);
	close(fd);
}

TEST(a_damaged_journal_is_told)
{
	static const char *const digests[] = {"",
					      "0",
					      "0123",
					      "zz",
					      "0123456789abcdef0123456789abcde",
					      "0123456789abcdef0123456789abcdeg"};
	int fd = memory_file("", 0);

	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
		struct dm_record *r;

		fresh_state();
		CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
		r = dm_record_open(DM_SOURCE, "m-1", false, &err);
		dm_record_event(r, "segment",
				json_pack("{s:i, s:s}", "number", 0, "digest", digests[i]), &err);
		dm_record_close(r);
		CHECK_INT(stage(fd, "m-1", DM_ROUNDS, false, false), DM_FAILURE);
		CHECK_STR(err.msg, "migration m-1: its journal is damaged");
	}
	close(fd);
}

TEST(one_stage_at_a_time)
{
	struct dm_stage s;
	int fd = memory_file("", 0);
	pid_t pid;

	fresh_state();
	CHECK_INT(stage(fd, "m-1", DM_SETUP, false, false), 0);
	MUST(dm_stage_begin(&s, "m-1", DM_ROUNDS, &container, false, false, &err) == 0);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		struct dm_record *r = dm_record_open(DM_SOURCE, "m-1", false, &err);

		_exit(dm_record_lock(r, 0, false, &err) ? 0 : 1);
	}
	CHECK_INT(exit_code(pid), 0);
	dm_stage_close(&s); /* as if it had died: nothing was written yet, and it is no success */
	CHECK_INT(stage(fd, "m-1", DM_FINAL, false, false), DM_UNFIT);
	close(fd);
}

TEST(an_abort_tells_the_reader_why)
{
	int fd = memory_file("", 0), saved_fd;
	struct dm_err why, got;
	struct dm_stage s;

	fresh_state();
	fflush(stdout);
	saved_fd = dup(1);
	MUST(saved_fd >= 0 && dup2(fd, 1) == 1);
	MUST(dm_stage_begin(&s, "m-1", DM_SETUP, &container, false, false, &err) == 0);
	dm_fail(&why, DM_FAILURE, "the disk is on fire");
	dm_stage_abort(&s, &why);
	dm_stage_abort(&s, &why); /* once is enough */
	dm_stage_close(&s);
	MUST(dup2(saved_fd, 1) == 1);
	close(saved_fd);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	CHECK_INT(dm_stream_read(fd, &nothing_heard, NULL, &got), -1);
	CHECK_STR(got.msg, "the sender gave up: the disk is on fire");
	CHECK_INT(lseek(fd, 0, SEEK_END), DM_HEAD_SIZE + DM_RECORD_HEAD + 19);
	close(fd);
}
