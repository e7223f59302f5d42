/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds over the memory of a child whose content is known: what goes out is what is there. */
#include "test.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/uio.h>

#include "live_child.h"
#include "memory/live.h"
#include "stream/reader.h"
#include "stream/writer.h"

static struct dm_err err;
static volatile sig_atomic_t stop;

enum { SEED = 42 };

/* What a round sent, page by page. */
static struct sent {
	bool came;
	uint8_t bytes[DM_PAGE];
} * sent[AREAS];
static size_t n_sent, n_zeros, n_other; /* pages of the areas; those of zeros; others */
static pid_t still;			/* a process that waits: others must be as in it */

static bool of_area(struct dm_object o, uint64_t addr, enum what *a)
{
	for (*a = 0; *a < AREAS; (*a)++)
		if (*a < SHARED ? o.kind == DM_PROCESS && addr >= base(*a) &&
					  addr < base(*a) + size[*a] * DM_PAGE
				: o.kind == DM_SHMEM && o.id == inode[*a])
			return true;
	return false;
}

/* Whether a page is as it stands in the process that waits. */
static bool as_it_stands(uint64_t addr, const void *bytes)
{
	static const uint8_t zeros[DM_PAGE];
	uint8_t page[DM_PAGE];
	struct iovec to = {page, DM_PAGE}, from = {(void *)(uintptr_t)addr, DM_PAGE};

	return process_vm_readv(still, &to, 1, &from, 1, 0) == DM_PAGE &&
	       !memcmp(page, bytes ? bytes : zeros, DM_PAGE);
}

static int on_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count, const void *bytes,
		    struct dm_err *e)
{
	enum what a;

	(void)ctx;
	(void)e;
	for (uint32_t i = 0; i < count; i++, addr += DM_PAGE) {
		size_t page;

		if (!of_area(o, addr, &a)) {
			n_other++;
			if (still &&
			    !as_it_stands(addr, bytes ? (const uint8_t *)bytes + (size_t)i * DM_PAGE
						      : NULL))
				TEST_BAD("the page at %" PRIx64 " came with other bytes", addr);
			continue;
		}
		page = (addr - (a < SHARED ? base(a) : 0)) / DM_PAGE;
		if (page >= size[a] || sent[a][page].came) {
			TEST_BAD("page %zu of area %d comes out of turn", page, a);
			continue;
		}
		sent[a][page].came = true;
		n_sent++;
		n_zeros += !bytes;
		if (bytes)
			memcpy(sent[a][page].bytes, (const uint8_t *)bytes + (size_t)i * DM_PAGE,
			       DM_PAGE);
		else
			memset(sent[a][page].bytes, 0, DM_PAGE);
	}
	return 0;
}

/* Do a round over the tasks, and take in what it sent. Returns what dm_live_round() did. */
static int round_over(struct dm_task *list, size_t n, struct dm_held *held)
{
	static const struct dm_stream_ops ops = {.pages = on_pages};
	struct dm_segment s = {.kind = DM_SETUP, .id = "live"};
	struct dm_tasks tasks = {list, n};
	int fd = memory_file("", 0), ret;
	struct dm_sender_count count;
	struct dm_sender *sender;
	struct dm_err other;
	struct dm_writer *w;

	for (enum what a = 0; a < AREAS; a++) {
		free(sent[a]);
		sent[a] = calloc(size[a], sizeof(*sent[a]));
		MUST(sent[a]);
	}
	n_sent = n_zeros = n_other = 0;
	w = dm_writer_open(fd, &s, &err);
	MUST(w && dm_writer_data(w, DM_CONFIG, "{}", 2, &err) == 0 &&
	     dm_writer_end(w, false, s.before, &err) == 0);
	dm_writer_close(w);
	s.kind = DM_ROUNDS;
	s.number = 1;
	w = dm_writer_open(fd, &s, &err);
	sender = dm_sender_new(w, held, SEED, &err);
	MUST(w && sender && dm_writer_round_begin(w, 1, &err) == 0);
	ret = dm_live_round(&tasks, sender, &stop, &err);
	count = dm_sender_count(sender);
	MUST(dm_writer_round_end(w, 0, 0, &other) == 0 &&
	     dm_writer_end(w, false, s.before, &other) == 0);
	dm_sender_free(sender);
	dm_writer_close(w);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	CHECK_INT(dm_stream_read(fd, &ops, NULL, &other), -1); /* it has no end, but all else */
	CHECK(strstr(other.msg, "it ends before its last segment"));
	close(fd);
	CHECK_INT(count.sent, n_sent + n_other);
	CHECK(count.sent <= count.seen && count.zeros <= count.sent);
	return ret;
}

static int round_of(const struct child *c, struct dm_held *held)
{
	struct dm_task t = {c->pid, c->pid, getpid(), 1};

	return round_over(&t, 1, held);
}

/* Compare what came with what was to come: all[] of the model, or only pages that were changed. */
static void compare(const int was[AREAS][PAGES])
{
	uint8_t want[DM_PAGE];

	for (enum what a = 0; a < AREAS; a++)
		for (size_t i = 0; i < size[a]; i++) {
			int v = model[a][i];
			bool expected = v != NONE && (!was || was[a][i] != v);

			if (sent[a][i].came != expected)
				TEST_BAD("page %zu of area %d: %s, version %d", i, a,
					 expected ? "did not come" : "came", v);
			if (!sent[a][i].came)
				continue;
			memset(want, 0, sizeof(want));
			content(want, bytes_of(a, i), a, i, v);
			if (memcmp(want, sent[a][i].bytes, DM_PAGE) != 0)
				TEST_BAD("page %zu of area %d came with other bytes", i, a);
		}
}

/* Pages by chance, runs of them, and the first and last ones, in all areas. */
static void scatter(const struct child *c, int version, int n)
{
	for (enum what a = 0; a < AREAS; a++) {
		tell(c, 'w', a, 0, version);
		tell(c, 'w', a, size[a] - 1, version);
		for (int i = 0; i < n; i++) {
			size_t from = pick(size[a]), run = 1 + pick(i % 5 ? 3 : 300);

			for (size_t k = from; k < from + run && k < size[a]; k++)
				tell(c, 'w', a, k, i % 7 == 3 ? ZEROS : version + i % 3);
		}
	}
}

TEST(all_that_was_touched_comes_and_nothing_else)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);
	struct child c = start();

	alarm(60);
	settled(&c);
	still = c.pid;
	CHECK_INT(round_of(&c, held), 0);
	compare(NULL);
	CHECK_INT(n_sent, 0);
	CHECK(n_other > 10); /* its stack and so on */
	CHECK_INT(round_of(&c, held), 0);
	CHECK_INT(n_other, 0);
	still = 0;
	scatter(&c, 1, 10);
	CHECK_INT(round_of(&c, held), 0);
	compare(NULL);
	CHECK(n_sent > 500 && n_zeros > 0);
	CHECK_INT(round_of(&c, held), 0);
	CHECK_INT(n_sent, 0);
	dm_held_free(held);
	end(&c);
	alarm(0);
}

TEST(later_rounds_bring_what_has_changed)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	static int was[AREAS][PAGES];
	struct dm_held *held = dm_held_new(&err);
	struct child c = start();

	alarm(60);
	tell(&c, 't', 0, 0, 0);
	for (int i = 0; i < 12; i++) {
		memcpy(was, model, sizeof(was));
		scatter(&c, 10 * (i % 2), 3);
		CHECK_INT(round_of(&c, held), 0);
		compare(was);
	}
	dm_held_free(held);
	end(&c);
	alarm(0);
}

TEST(pages_that_were_unmapped_or_closed_do_not_come)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);
	struct child c = start();

	alarm(60);
	for (size_t i = 0; i < 100; i++)
		tell(&c, 'w', ANON, i, 1);
	for (size_t i = 0; i < 100; i += 3)
		tell(&c, i % 2 ? 'u' : 'c', ANON, i, 0);
	CHECK_INT(round_of(&c, held), 0);
	compare(NULL);
	dm_held_free(held);
	end(&c);
	alarm(0);
}

TEST(memory_that_two_share_comes_once)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);
	struct child c = start();
	struct dm_task t[2] = {{c.pid, 1, 0, 1}, {c.pid, 2, 1, 1}}; /* it, seen as two */

	alarm(60);
	tell(&c, 'w', SMALL, 5, 1);
	tell(&c, 'w', SMALL, 299, 2);
	CHECK_INT(round_over(t, 2, held), 0);
	compare(NULL); /* a page that comes twice is told */
	CHECK_INT(n_sent, 2);
	dm_held_free(held);
	end(&c);
	alarm(0);
}

TEST(mappings_that_come_and_go_do_no_harm)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);
	struct child c = start();

	alarm(60);
	tell(&c, 'x', 0, 0, 0);
	for (int i = 0; i < 60; i++) {
		if (i < 8)
			scatter(&c, i, 1);
		REQUIRE(round_of(&c, held) == 0);
	}
	dm_held_free(held);
	end(&c);
	alarm(0);
}

TEST(processes_that_go_do_no_harm)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);

	alarm(60);
	for (int i = 0; i < 30; i++) {
		struct child c = start();
		pid_t killer;

		scatter(&c, 1, 4);
		killer = fork();
		MUST(killer >= 0);
		if (killer == 0) {
			usleep((useconds_t)i * 100);
			kill(c.pid, SIGKILL);
			_exit(0);
		}
		CHECK_INT(round_of(&c, held), 0);
		exit_code(killer);
		end(&c);
	}
	dm_held_free(held);
	alarm(0);
}

TEST(an_interrupt_ends_the_round)
{
	if (TOO_LARGE)
		SKIP("too large with this sanitizer");

	struct dm_held *held = dm_held_new(&err);
	struct child c = start();

	stop = SIGINT;
	CHECK_INT(round_of(&c, held), -1);
	CHECK_STR(err.msg, "interrupted");
	stop = 0;
	CHECK_INT(round_of(&c, held), 0);
	dm_held_free(held);
	end(&c);
}
