/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the target answers, as dm-rollback reads it. The first line is a letter, whose bits say what
 * has been before; all others are the target's. Whatever they say: the container is released only
 * on the word of the target that is journalled, and never both released and thawed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/child.h"
#include "handover/freeze.h"
#include "handover/settle.h"
#include "lines.h"

FUZZ_FORMAT(fuzz_lines)

enum {
	MET = 1,      /* the target has said hello before */
	FOREIGN = 2,  /* that was another one than who answers now */
	LAST = 4,     /* LAST was sent */
	ASKED = 8,    /* the lines are the answer to --ask */
	SETTLED = 16, /* it has been released before */
	THAWED = 32,  /* "thaw" has won; not with LAST */
};

static const char container_id[] =
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const uint8_t *answer;
static size_t answer_size;
static bool thawed, released;

/* The linker's --wrap puts these in the place of the real ones. */
int __wrap_dm_thaw(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
		   struct dm_err *err);
int __wrap_dm_release(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
		      char name[256], struct dm_err *err);
enum dm_presence __wrap_dm_presence(struct dm_engine *e, const struct dm_container *c,
				    struct dm_err *err);
int __wrap_dm_child_run(const char *const *argv, double seconds, struct dm_buf *out,
			struct dm_err *err);

int __wrap_dm_thaw(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
		   struct dm_err *err)
{
	(void)e;
	(void)c;
	(void)r;
	(void)err;
	HOLDS(!released && !thawed);
	thawed = true;
	return 0;
}

int __wrap_dm_release(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
		      char name[256], struct dm_err *err)
{
	(void)e;
	(void)c;
	(void)r;
	(void)err;
	HOLDS(!released && !thawed);
	released = true;
	snprintf(name, 256, "box.moved");
	return 0;
}

enum dm_presence __wrap_dm_presence(struct dm_engine *e, const struct dm_container *c,
				    struct dm_err *err)
{
	(void)e;
	(void)c;
	(void)err;
	return DM_RUNS;
}

int __wrap_dm_child_run(const char *const *argv, double seconds, struct dm_buf *out,
			struct dm_err *err)
{
	(void)argv;
	(void)seconds;
	HOLDS(dm_buf_add(out, answer, answer_size, err) == 0 && dm_buf_add(out, "", 1, err) == 0);
	out->len--;
	return 0;
}

/* The record of migration m-1 as it was before the answers came. */
static struct dm_record *record(unsigned what, struct dm_err *err)
{
	static struct dm_record *r;
	static char secret[33];
	char standing[DM_WORD_MAX];
	uint64_t random[2];

	if (!r) {
		setenv("DM_STATE", fuzz_folder(), 1);
		r = dm_record_open(DM_SOURCE, "m-1", true, err);
		HOLDS(r && getrandom(random, sizeof(random), 0) == sizeof(random));
		snprintf(secret, sizeof(secret), "%016llx%016llx", (unsigned long long)random[0],
			 (unsigned long long)random[1]);
	}
	dm_record_unlock(r);
	unlinkat(dm_record_dir(r), "journal", 0);
	unlinkat(dm_record_dir(r), "decision", 0);
	if (what & MET)
		HOLDS(dm_record_event(r, "target",
				      json_pack("{s:s, s:s, s:s, s:s}", "id", "m-1", "machine", "M",
						"boot", "B", "nonce",
						what & FOREIGN ? secret : "N"),
				      err) == 0);
	if (what & (LAST | THAWED))
		HOLDS(dm_record_decide(r, what & LAST ? "last" : "thaw", standing, err) == 1);
	if (what & SETTLED)
		HOLDS(dm_record_event(r, "settled", json_pack("{s:s}", "as", "released"), err) ==
		      0);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dm_container c = {.id = container_id, .name = "box"};
	struct dm_err err = {0};
	struct dm_settle s = {.container = &c};
	char *first = fuzz_line(&data, &size);
	unsigned what = first ? (unsigned char)first[0] : 0;
	int ret;

	free(first);
	answer = data;
	answer_size = size;
	thawed = released = false;
	s.record = record(what, &err);
	if (what & ASKED) {
		s.ask = "it's a command";
		ret = dm_settle_now(&s, &err);
	} else {
		ret = dm_settle_receipts(&s, fuzz_fd(data, size), &err);
	}
	if (ret == 0)
		HOLDS(released || what & SETTLED);
	else
		HOLDS(err.msg[0] && err.code == (thawed ? DM_ROLLED_BACK : DM_UNKNOWN));
	if (what & MET && what & FOREIGN)
		HOLDS(!released && !(thawed && what & LAST));
	if (what & THAWED && !(what & LAST))
		HOLDS(!released);
	return 0;
}
