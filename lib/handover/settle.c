/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/settle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/io.h"
#include "base/json.h"
#include "handover/figures.h"
#include "handover/freeze.h"
#include "handover/receipt.h"

/* A stage of ours may be in the middle of a dump: it is waited for. */
enum { LINE_MAX_BYTES = 64 << 10, LOCK_SECONDS = 900, ASK_SECONDS = 60 };

/* Let it run on, and say what there is of it now, with why. */
static int thaw(struct dm_settle *s, const char *why, struct dm_err *err)
{
	static const char *const now[] = {
		[DM_GONE] = "is gone here",
		[DM_STOPPED] = "is stopped here (docker start starts it)",
		[DM_RUNS] = "runs on here",
		[DM_PAUSED] = "is paused here, but not by this migration",
	};
	char standing[DM_WORD_MAX];
	enum dm_presence p;

	/* if nothing is decided yet, a stage to come must not freeze it again */
	if (dm_record_decide(s->record, "thaw", standing, err) < 0 ||
	    dm_record_lock(s->record, LOCK_SECONDS, false, err) ||
	    dm_thaw(s->engine, s->container, s->record, err))
		return -1;
	dm_record_event(s->record, "settled", json_pack("{s:s, s:s}", "as", "thawed", "why", why),
			err);
	p = dm_presence(s->engine, s->container, err);
	if (p == DM_PRESENCE_ERROR)
		return -1;
	return dm_fail(err, DM_ROLLED_BACK, "container %s %s: %s", s->container->name, now[p], why);
}

/* Whether it was settled before. Returns 1 when there is nothing to do: then *ret is the answer. */
static int settled(struct dm_settle *s, int *ret, struct dm_err *err)
{
	json_t *o = NULL;
	int n = dm_record_find(s->record, "settled", &o, err);

	if (n < 0)
		*ret = -1;
	else if (n > 0 && !strcmp(dm_json_str(o, "as", ""), "released"))
		*ret = 0;
	else if (n > 0)
		*ret = dm_fail(err, DM_ROLLED_BACK, "container %s was thawed here before: %s",
			       s->container->name, dm_json_str(o, "why", "it is not known why"));
	snprintf(s->released, sizeof(s->released), "%s", s->container->name);
	json_decref(o);
	return n != 0;
}

static int release(struct dm_settle *s, struct dm_err *err)
{
	if (dm_record_lock(s->record, LOCK_SECONDS, false, err) ||
	    dm_release(s->engine, s->container, s->record, s->released, err))
		return -1;
	return dm_record_event(s->record, "settled", json_pack("{s:s}", "as", "released"), err);
}

int dm_settle_thaw(struct dm_settle *s, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int ret;

	if (settled(s, &ret, err))
		return ret;
	if (dm_record_decide(s->record, "thaw", standing, err) < 0)
		return -1;
	return thaw(s, "the operator said so", err);
}

int dm_settle_release(struct dm_settle *s, struct dm_err *err)
{
	int ret;

	return settled(s, &ret, err) ? ret : release(s, err);
}

/* Act on a result. Returns 1 when it settles nothing (another's, or no result), else as above. */
static int on_result(struct dm_settle *s, const json_t *receipt, struct dm_err *err)
{
	const char *state = dm_json_str(receipt, "state", "");
	const char *reason = dm_json_str(receipt, "reason", "the target did not take it");
	char standing[DM_WORD_MAX];
	int known = dm_receipt_known(s->record, receipt, err);

	if (known < 0)
		return -1;
	if (known == 0) {
		dm_say("%s", err->msg);
		return 1;
	}
	if (!strcmp(state, "running")) {
		s->resumed = dm_clock() - json_number_value(json_object_get(receipt, "since"));
		/* LAST was sent, or it could not run; a stream that was saved has no such record */
		if (dm_record_decide(s->record, "last", standing, err) < 0)
			return -1;
		if (strcmp(standing, "last"))
			return dm_fail(
				err, DM_UNKNOWN,
				"container %s was thawed here, and the target says that it runs "
				"there, too: stop one of them",
				s->container->name);
		return release(s, err);
	}
	if (!strcmp(state, "failed") || !strcmp(state, "refused"))
		return thaw(s, reason, err);
	return 1;
}

/* Append text to a command line for a shell, as one word. */
static void add_word(char *line, size_t size, const char *text)
{
	size_t n = strlen(line);

	n += (size_t)snprintf(line + n, size - n, " '");
	for (; *text && n + 8 < size; text++)
		n += (size_t)snprintf(line + n, size - n, *text == '\'' ? "'\\''" : "%c", *text);
	snprintf(line + n, size - n, "'");
}

static int unknown(struct dm_settle *s, struct dm_err *err)
{
	char line[768] = "dm-rollback --settle";

	if (s->ask) {
		strcat(line, " --ask");
		add_word(line, sizeof(line), s->ask);
	}
	return dm_fail(err, DM_UNKNOWN,
		       "container %s: the outcome is unknown, and it stays frozen here; once the "
		       "target can be asked, this settles it: %s --id %s %s",
		       s->container->name, line, strrchr(dm_record_path(s->record), '/') + 1,
		       s->container->name);
}

/* Ask once. Returns as on_result(), and 1 when there was no answer. */
static int ask(struct dm_settle *s, struct dm_err *err)
{
	const char *const argv[] = {"sh", "-c", s->ask, NULL};
	struct dm_buf out = {0};
	char *line, *save = NULL;
	json_t *receipt;
	int ret = 1;

	if (dm_child_run(argv, ASK_SECONDS, &out, err)) {
		dm_say("%s", err->msg);
		return 1;
	}
	for (line = strtok_r(out.data, "\n", &save); ret == 1 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		receipt = line[0] == '{' ? dm_json_parse(line, strlen(line), "answer", err) : NULL;
		if (receipt)
			ret = on_result(s, receipt, err);
		json_decref(receipt);
	}
	dm_buf_free(&out);
	return ret;
}

int dm_settle_now(struct dm_settle *s, struct dm_err *err)
{
	double end = dm_now() + s->patience;
	char standing[DM_WORD_MAX];
	struct timespec nap = {.tv_sec = 1};
	int ret = 1;

	if (settled(s, &ret, err))
		return ret;
	if (dm_record_decide(s->record, "thaw", standing, err) < 0)
		return -1;
	if (!strcmp(standing, "thaw"))
		return thaw(s, "the move did not come to its end", err);
	while (s->ask && (ret = ask(s, err)) == 1 && dm_now() < end)
		nanosleep(&nap, NULL);
	return ret == 1 ? unknown(s, err) : ret;
}

/* One line of the target. Returns as on_result(). */
static int on_line(struct dm_settle *s, const char *line, struct dm_err *err)
{
	json_t *receipt = dm_json_parse(line, strlen(line), "receipt", err);
	struct dm_err ignored;
	const char *kind;
	int ret = 1;

	if (!receipt) {
		dm_say("%s", err->msg);
		return 1;
	}
	if (s->echo)
		dm_receipt_print(receipt, &ignored); /* that nobody reads it must not stop us */
	dm_figures_parse(line, "target", s->figures);
	kind = dm_json_str(receipt, "receipt", "");
	if (!strcmp(kind, "hello") &&
	    !strcmp(dm_json_str(receipt, "id", ""), strrchr(dm_record_path(s->record), '/') + 1)) {
		if (dm_record_find(s->record, "target", NULL, err) == 0 &&
		    dm_record_event(s->record, "target", json_copy(receipt), err))
			ret = -1;
	} else if (!strcmp(kind, "result")) {
		ret = on_result(s, receipt, err);
	}
	json_decref(receipt);
	return ret;
}

int dm_settle_receipts(struct dm_settle *s, int fd, struct dm_err *err)
{
	char buf[LINE_MAX_BYTES], *nl;
	size_t used = 0;
	int ret = 1;
	ssize_t n;

	while (ret == 1) {
		n = read(fd, buf + used, sizeof(buf) - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
		buf[used] = '\0';
		while (ret == 1 && (nl = memchr(buf, '\n', used))) {
			*nl = '\0';
			ret = on_line(s, buf, err);
			used -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, used + 1);
		}
		if (used == sizeof(buf) - 1)
			used = 0; /* no receipt is that long */
	}
	return ret == 1 ? dm_settle_now(s, err) : ret;
}
