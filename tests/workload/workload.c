/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload: a process that clocks its own pauses and knows what every byte of its memory should
 * be. One thread beats each millisecond, dirties pages in small slices and verifies pages at
 * random; others dirty too, write a file, and verify everything on demand.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "gaps.h"
#include "lines.h"
#include "pace.h"
#include "pages.h"
#include "peer.h"
#include "report.h"

#define TICK_NS 1000000
#define SLICE_NS 400000	   /* of dirtying in a tick, for each region */
#define WORKER_NS 5000000  /* the same for threads that do not beat */
#define MOST_BAD_LINES 100 /* of the single wrong pages; the rest is only counted */
#define WRONG 3		   /* exit code */

struct options {
	uint64_t size, shm, set, rate, threads, seed;
	const char *log, *file;
};

enum region { PRIVATE, SHARED, REGIONS };

static struct options opt = {.size = 64 << 20, .rate = 10 << 20, .threads = 1};
static struct pages pages[REGIONS]; /* .count is 0 if there is none */
static struct peer peer;
static struct lines lines;
static struct gaps gaps;
static pthread_mutex_t gaps_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t bad_others; /* wrong things that are not pages */
static _Atomic uint64_t bad_lines;
static sem_t wanted; /* posted for each of these */
static _Atomic unsigned want_check, want_reset, want_end;

static const char usage[] =
	"usage: workload [options]\n"
	"  --size BYTES    memory (64M)\n"
	"  --shm BYTES     of it in a segment shared with a child (0)\n"
	"  --set BYTES     the part that is dirtied (all)\n"
	"  --rate BYTES    dirtied in a second (10M)\n"
	"  --threads N     threads that dirty (1)\n"
	"  --file PATH     write numbered lines there, one each 10 ms\n"
	"  --log PATH      reports go there, too\n"
	"  --seed N        of the content (random)\n"
	"SIGUSR1: verify everything and report. SIGUSR2: forget the longest gap.\n"
	"SIGTERM, SIGINT: report and end; with 3 if anything was ever wrong.\n";

static void report_bad(const struct pages_bad *b)
{
	if (atomic_fetch_add(&bad_lines, 1) >= MOST_BAD_LINES)
		return;
	report_line("{\"event\":\"bad\",\"region\":\"%s\",\"page\":%" PRIu64
		    ",\"expected\":%" PRIu32 ",\"found_page\":%" PRIu64 ",\"found\":%" PRIu64
		    ",\"whole\":%s,\"first_byte\":%u,\"bytes\":%u}",
		    b->region->name, b->page, b->expected, b->found_page, b->found,
		    b->whole ? "true" : "false", b->first_byte, b->bytes);
}

static uint64_t count_bad(void)
{
	uint64_t n = atomic_load(&bad_others);

	for (int i = 0; i < REGIONS; i++)
		if (pages[i].count)
			n += atomic_load(&pages[i].table->bad);
	return n;
}

/* One line on everything; more is what only this event says. */
static void report_state(const char *event, const char *more)
{
	uint64_t generations = 0;
	char text[GAPS_JSON];
	struct gaps now;

	pthread_mutex_lock(&gaps_lock);
	now = gaps;
	pthread_mutex_unlock(&gaps_lock);
	gaps_json(&now, text, sizeof(text));
	for (int i = 0; i < REGIONS; i++)
		if (pages[i].count)
			generations += atomic_load(&pages[i].table->writes);
	report_line("{\"event\":\"%s\",\"at\":%.3f,\"seed\":%" PRIu64 ",\"pages\":%" PRIu64
		    ",\"bad\":%" PRIu64 ",\"generations\":%" PRIu64 ",\"ticks\":%" PRIu64 ",%s%s}",
		    event, (double)gaps_clock(CLOCK_REALTIME) / 1e9, opt.seed,
		    pages[PRIVATE].count + pages[SHARED].count, count_bad(), generations, now.beats,
		    text, more);
}

static void other_bad(const struct dm_err *err)
{
	atomic_fetch_add(&bad_others, 1);
	dm_say("%s", err->msg);
}

static void check(unsigned number)
{
	uint64_t count = 0;
	struct dm_err err;
	char more[64];
	int n;

	for (int i = 0; i < REGIONS; i++)
		if (pages[i].count && !pages_check(&pages[i], report_bad))
			dm_say("%s: the generations do not add up", pages[i].name);
	if (pages[SHARED].count && peer_check(&peer, &err) < 0)
		other_bad(&err);
	n = snprintf(more, sizeof(more), ",\"check\":%u", number);
	if (opt.file) {
		if (lines_check(&lines, &count, &err) < 0)
			other_bad(&err);
		snprintf(more + n, sizeof(more) - (size_t)n, ",\"lines\":%" PRIu64, count);
	}
	report_state("check", more);
}

/* Answers signals, so that the beating thread never does anything slow. */
static void *clerk(void *arg)
{
	unsigned checks = 0, resets = 0;

	(void)arg;
	for (;;) {
		while (sem_wait(&wanted) < 0)
			;
		if (atomic_load(&want_end))
			return NULL;
		if (resets < atomic_load(&want_reset)) {
			resets++;
			report_state("reset", "");
		}
		if (checks < atomic_load(&want_check))
			check(++checks);
	}
}

/* Shares of the rate, in pages: each region by its size, the shared one half to the child. */
static double share(int which)
{
	double part = (double)opt.shm / (double)opt.size;

	return (double)opt.rate / PAGES_SIZE * (which == SHARED ? part / 2 : 1 - part);
}

static void make_paces(struct pace *paces)
{
	for (int i = 0; i < REGIONS; i++) {
		paces[i] = (struct pace){.rate = share(i) / (double)opt.threads};
		if (pages[i].count)
			paces[i].region = &pages[i];
		if (getrandom(&paces[i].random, sizeof(paces[i].random), 0) < 0)
			paces[i].random = (uint64_t)gaps_clock(CLOCK_REALTIME);
	}
}

static void *worker(void *arg)
{
	static const struct timespec pause = {0, TICK_NS};
	struct pace paces[REGIONS];

	(void)arg;
	make_paces(paces);
	while (!atomic_load(&want_end)) {
		for (int i = 0; i < REGIONS; i++)
			pace_run(&paces[i], WORKER_NS, report_bad);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void want(_Atomic unsigned *what)
{
	atomic_fetch_add(what, 1);
	sem_post(&wanted);
}

static void serve(int sig)
{
	switch (sig) {
	case SIGUSR1:
		want(&want_check);
		break;
	case SIGUSR2:
		pthread_mutex_lock(&gaps_lock);
		gaps_reset(&gaps);
		pthread_mutex_unlock(&gaps_lock);
		want(&want_reset);
		break;
	case SIGTERM:
	case SIGINT:
		want(&want_end);
		break;
	default:
		break;
	}
}

/* Wait until *next, or for a signal, which is returned; then *next is a tick later. */
static int wait_tick(const sigset_t *set, int64_t *next)
{
	int64_t wait = *next - gaps_clock(CLOCK_MONOTONIC);
	struct timespec ts = {0, 0};
	int sig;

	if (wait < -TICK_NS || wait > TICK_NS) { /* late, or on another host's clock */
		*next += TICK_NS / 2 - wait;
		wait = TICK_NS / 2;
	}
	ts.tv_nsec = wait > 0 ? wait : 0;
	sig = sigtimedwait(set, NULL, &ts);
	if (sig < 0)
		*next += TICK_NS;
	return sig;
}

static void beat(const sigset_t *set)
{
	int64_t next = gaps_clock(CLOCK_MONOTONIC);
	struct pace paces[REGIONS];
	int sig;

	make_paces(paces);
	while (!atomic_load(&want_end)) {
		sig = wait_tick(set, &next);
		pthread_mutex_lock(&gaps_lock);
		gaps_beat(&gaps);
		pthread_mutex_unlock(&gaps_lock);
		serve(sig);
		for (int i = 0; i < REGIONS; i++) {
			if (!pages[i].count)
				continue;
			pace_run(&paces[i], SLICE_NS, report_bad);
			pages_glance(&pages[i], pages_random(&paces[i].random), report_bad);
		}
	}
}

static int open_region(int which, uint64_t bytes, struct dm_err *err)
{
	double part = opt.set && opt.set < opt.size ? (double)opt.set / (double)opt.size : 1;
	uint64_t count = bytes / PAGES_SIZE, set = (uint64_t)((double)count * part);

	return pages_open(&pages[which], which == SHARED ? "shared" : "private",
			  (uint64_t)which + 1, opt.seed, count, set ? set : 1, which == SHARED,
			  err);
}

/* The child comes before the private memory, of which it shall have none. */
static int open_memory(struct dm_err *err)
{
	if (opt.size < PAGES_SIZE || opt.shm > opt.size)
		return dm_fail(err, DM_USAGE, "--size is less than a page, or than --shm");
	if (opt.shm >= PAGES_SIZE) {
		if (open_region(SHARED, opt.shm, err) < 0 ||
		    peer_start(&peer, &pages[SHARED], share(SHARED), opt.seed, report_bad, err) < 0)
			return -1;
	}
	return opt.size - opt.shm < PAGES_SIZE ? 0 : open_region(PRIVATE, opt.size - opt.shm, err);
}

static int parse(int argc, char **argv, struct dm_err *err)
{
	static const struct option names[] = {
		{"size", 1, 0, 's'}, {"shm", 1, 0, 'm'},     {"set", 1, 0, 'w'},
		{"rate", 1, 0, 'r'}, {"threads", 1, 0, 't'}, {"file", 1, 0, 'f'},
		{"log", 1, 0, 'l'},  {"seed", 1, 0, 'e'},    {0, 0, 0, 0}};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 's')
			ret = dm_num_size(optarg, "--size", &opt.size, err);
		else if (c == 'm')
			ret = dm_num_size(optarg, "--shm", &opt.shm, err);
		else if (c == 'w')
			ret = dm_num_size(optarg, "--set", &opt.set, err);
		else if (c == 'r')
			ret = dm_num_size(optarg, "--rate", &opt.rate, err);
		else if (c == 't')
			ret = dm_num_u64(optarg, "--threads", 1, 64, &opt.threads, err);
		else if (c == 'e')
			ret = dm_num_u64(optarg, "--seed", 1, UINT32_MAX, &opt.seed, err);
		else if (c == 'f')
			opt.file = optarg;
		else if (c == 'l')
			opt.log = optarg;
		else
			ret = dm_fail(err, DM_USAGE, "see --help");
	}
	if (!ret && optind < argc)
		ret = dm_fail(err, DM_USAGE, "%s: not an option", argv[optind]);
	return ret;
}

static int start_threads(pthread_t *threads, struct dm_err *err)
{
	for (uint64_t i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], NULL, i ? worker : clerk, NULL))
			return dm_fail(err, DM_FAILURE, "start a thread");
	return 0;
}

/* Where things are, for a test that spoils them through /proc/PID/mem. */
static void describe_self(char *out, size_t size)
{
	int n = snprintf(out, size, ",\"pid\":%d", (int)getpid());

	for (int i = 0; i < REGIONS; i++)
		if (pages[i].count)
			n += snprintf(out + n, size - (size_t)n,
				      ",\"%s\":%" PRIuPTR ",\"%s_table\":%" PRIuPTR, pages[i].name,
				      (uintptr_t)pages[i].mem, pages[i].name,
				      (uintptr_t)pages[i].table->gen);
}

static int run(const sigset_t *set, struct dm_err *err)
{
	pthread_t threads[64];
	char more[256];

	if (report_open(opt.log, err) < 0 || open_memory(err) < 0)
		return -1;
	sem_init(&wanted, 0, 0);
	if (start_threads(threads, err) < 0)
		return -1;
	if (opt.file && lines_start(&lines, opt.file, err) < 0)
		return -1;
	describe_self(more, sizeof(more));
	report_state("ready", more);
	beat(set);
	for (uint64_t i = 0; i < opt.threads; i++)
		pthread_join(threads[i], NULL);
	if (pages[SHARED].count)
		peer_stop(&peer);
	report_state("final", "");
	return count_bad() ? WRONG : 0;
}

int main(int argc, char **argv)
{
	struct dm_err err;
	uint32_t seed;
	sigset_t set;
	int ret;

	dm_set_program("workload");
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return fputs(usage, stdout) < 0;
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		opt.seed = seed;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (parse(argc, argv, &err) < 0 || (ret = run(&set, &err)) < 0) {
		dm_say("%s", err.msg);
		return (int)err.code;
	}
	return ret;
}
