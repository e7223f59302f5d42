/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a migration on disk, and its journal. */
#include "test.h"

#include <errno.h>

#include "base/io.h"
#include "base/json.h"
#include "handover/record.h"
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

TEST(ids_are_plain_names)
{
	static const char *const good[] = {"a", "A-b_c.9", "0", "m-1", "x.", "x-", "_"};
	static const char *const bad[] = {"",	  ".",	 "..",	 ".x",	"-x",	       "a/b",
					  "a b",  "a\n", "\x7f", "a:b", "caf\xc3\xa9", "/",
					  "../x", "a*",	 "a'b"};
	char name[DM_ID_MAX + 2];
	struct dm_record *r;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK(dm_record_id_ok(good[i]));
	state = fresh_folder();
	setenv("DM_STATE", state, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (dm_record_id_ok(bad[i]))
			TEST_BAD("\"%s\" is taken", bad[i]);
		r = dm_record_open(DM_SOURCE, bad[i], true, &err);
		CHECK(!r && err.code == DM_USAGE);
	}
	CHECK_INT(count_names(state), 0);
	memset(name, 'x', sizeof(name) - 1);
	name[DM_ID_MAX + 1] = '\0';
	CHECK(!dm_record_id_ok(name));
	name[DM_ID_MAX] = '\0';
	CHECK(dm_record_id_ok(name));
	r = dm_record_open(DM_SOURCE, name, true, &err);
	CHECK(r);
	dm_record_close(r);
}

TEST(records_lie_by_side_and_id)
{
	struct dm_record *r = fresh("one"), *s;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/target/one", state);
	CHECK_STR(dm_record_path(r), path);
	CHECK(stat(path, &st) == 0 && st.st_mode == (S_IFDIR | 0700));
	CHECK(fstat(dm_record_dir(r), &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(!dm_record_open(DM_SOURCE, "one", false, &err));
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "no migration one is known on this host as source");
	CHECK(!dm_record_open(DM_TARGET, "two", false, &err));
	CHECK_INT(count_names(state), 1);
	s = dm_record_open(DM_TARGET, "one", false, &err);
	CHECK(s);
	dm_record_close(s);
	dm_record_close(r);
	dm_record_close(NULL);
}

TEST(a_record_that_others_can_read_is_refused)
{
	struct dm_record *r = fresh("one");

	dm_record_event(r, "e", NULL, &err);
	fchmod(dm_record_dir(r), 0755);
	dm_record_close(r);
	CHECK(!dm_record_open(DM_TARGET, "one", true, &err));
	CHECK_INT(err.code, DM_UNFIT);
	CHECK(!dm_record_open(DM_TARGET, "one", false, &err));
	CHECK_INT(err.code, DM_UNFIT);
}

TEST(the_journal_gives_the_last_event_of_a_name)
{
	struct dm_record *r = fresh("one");
	json_t *o = NULL;
	char *text, *line, *save = NULL;
	struct stat st;
	int n = 0;

	CHECK_INT(dm_record_find(r, "begin", NULL, &err), 0);
	CHECK_INT(dm_record_event(r, "begin", json_pack("{s:s}", "name", "x\ny \xc3\xa9"), &err),
		  0);
	CHECK_INT(dm_record_event(r, "stage", json_pack("{s:i}", "number", 0), &err), 0);
	CHECK_INT(dm_record_event(r, "stage", json_pack("{s:i}", "number", 1), &err), 0);
	CHECK_INT(dm_record_event(r, "last", NULL, &err), 0);
	CHECK_INT(dm_record_find(r, "stage", &o, &err), 1);
	CHECK_INT(dm_json_int(o, "number", -1), 1);
	CHECK_STR(dm_json_str(o, "event", "?"), "stage");
	CHECK(json_is_real(json_object_get(o, "time")));
	json_decref(o);
	CHECK_INT(dm_record_find(r, "begin", &o, &err), 1);
	CHECK_STR(dm_json_str(o, "name", "?"), "x\ny \xc3\xa9");
	json_decref(o);
	CHECK_INT(dm_record_find(r, "last", NULL, &err), 1);
	CHECK_INT(dm_record_find(r, "stag", NULL, &err), 0);
	CHECK(fstatat(dm_record_dir(r), "journal", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	text = dm_read_file(dm_record_dir(r), "journal", 1 << 20, NULL, &err);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
		o = dm_json_parse(line, strlen(line), "line", &err);
		CHECK(o);
		json_decref(o);
	}
	CHECK_INT(n, 4);
	free(text);
	dm_record_close(r);
}

static void append(struct dm_record *r, const void *p, size_t n)
{
	int fd = openat(dm_record_dir(r), "journal", O_WRONLY | O_APPEND | O_CREAT, 0600);

	MUST(fd >= 0 && dm_write_full(fd, p, n) == 0);
	close(fd);
}

/* What a crash in the middle of a write may leave: part of a line, or zeros. */
TEST(a_torn_line_is_passed_over)
{
	static const char whole[] = "{\"event\":\"torn\",\"time\":1.5}\n";
	static const struct {
		const char *p;
		size_t n;
	} torn[] = {{"{", 1},
		    {"{\"event\":\"torn\"", 15},
		    {"\n\n", 2},
		    {"\0\0\0\0\0\0", 6},
		    {"{\"ev\0\0\0\0", 8},
		    {"rubbish\nmore", 12},
		    {"[]\n", 3},
		    {"\xff\xfe", 2}};

	for (size_t i = 0; i < sizeof(torn) / sizeof(*torn) + sizeof(whole); i++) {
		struct dm_record *r = fresh("one");
		size_t k = i - sizeof(torn) / sizeof(*torn);
		json_t *o = NULL;

		dm_record_event(r, "before", NULL, &err);
		if (i < sizeof(torn) / sizeof(*torn))
			append(r, torn[i].p, torn[i].n);
		else
			append(r, whole, k); /* a cut at every byte */
		CHECK_INT(dm_record_find(r, "before", NULL, &err), 1);
		if (i < sizeof(torn) / sizeof(*torn) || k < sizeof(whole) - 2)
			CHECK_INT(dm_record_find(r, "torn", NULL, &err), 0);
		CHECK_INT(dm_record_event(r, "after", json_pack("{s:i}", "n", (int)i), &err), 0);
		if (dm_record_find(r, "after", &o, &err) != 1 || dm_json_int(o, "n", -1) != (int)i)
			TEST_BAD("the event behind torn line %zu is not found", i);
		CHECK_INT(dm_record_find(r, "before", NULL, &err), 1);
		json_decref(o);
		dm_record_close(r);
	}
}

TEST(events_of_many_processes_are_all_there)
{
	enum { MANY = 8, EACH = 25 };
	struct dm_record *r = fresh("one");
	pid_t pids[MANY];
	char name[32];

	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		MUST(pids[i] >= 0);
		if (pids[i] == 0) {
			struct dm_record *mine = dm_record_open(DM_TARGET, "one", false, &err);

			for (int k = 0; k < EACH; k++) {
				snprintf(name, sizeof(name), "e-%d-%d", i, k);
				if (!mine || dm_record_event(mine, name, NULL, &err))
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < MANY; i++)
		CHECK_INT(exit_code(pids[i]), 0);
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < EACH; k++) {
			snprintf(name, sizeof(name), "e-%d-%d", i, k);
			CHECK_INT(dm_record_find(r, name, NULL, &err), 1);
		}
	dm_record_close(r);
}

TEST(a_journal_that_cannot_be_written_or_read_is_an_error)
{
	struct dm_record *r = fresh("one");

	MUST(symlinkat("/dev/full", dm_record_dir(r), "journal") == 0);
	CHECK_INT(dm_record_event(r, "e", NULL, &err), -1);
	CHECK(strstr(err.msg, "/journal"));
	MUST(unlinkat(dm_record_dir(r), "journal", 0) == 0 &&
	     mkdirat(dm_record_dir(r), "journal", 0700) == 0);
	CHECK_INT(dm_record_event(r, "e", NULL, &err), -1);
	CHECK_INT(dm_record_find(r, "e", NULL, &err), -1);
	dm_record_close(r);
}
