/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis-writer: writes numbered keys to a Redis server, over broken connections and to wherever
 * the server has gone, and knows at any time, also after kill -9, how many were acknowledged.
 * A write that was sent and not acknowledged may be in the server or not; it is sent again.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"
#include "gaps.h"
#include "numbered.h"
#include "redis-check.h"
#include "report.h"
#include "resp.h"

#define LATE_NS 20000000 /* the most that --rate makes up for */
#define WAIT_NS 10000000 /* for answers, before --timeout is looked at */
#define NAP_NS 5000000	 /* before another attempt to connect */

struct options {
	uint64_t rate, size, timeout, depth, count, seconds, upto;
	const char *state, *prefix;
};

struct writer {
	struct resp r;
	struct numbered keys;
	const struct options *opt;
	uint64_t sent, acked; /* the last number of each; sent is of this connection */
	uint64_t connects, refused;
	struct gaps gaps;		      /* a beat is an acknowledgement */
	int64_t started_ns, due_ns, moved_ns; /* CLOCK_MONOTONIC */
	int state_fd;
	char *value;
};

static const char usage[] =
	"usage: redis-writer [write] ADDR[,ADDR...] [options]\n"
	"       redis-writer check ADDR [--upto N | --state FILE] [--size BYTES] [--prefix P]\n"
	"ADDR is IPV4:PORT, [IPV6]:PORT or the path of a socket.\n"
	"  --rate N      writes in a second (0: as many as go)\n"
	"  --size BYTES  of a value (64)\n"
	"  --depth N     writes on their way at once (1)\n"
	"  --prefix P    of the keys (k:)\n"
	"  --timeout MS  without an answer: connect anew, to the next address (500)\n"
	"  --state FILE  keeps \"acked N\" there\n"
	"  --count N, --seconds N: end after so many (0: never)\n"
	"SIGUSR1: report. SIGUSR2: forget the longest gap. SIGTERM, SIGINT: report and end.\n";

static volatile sig_atomic_t want_report, want_reset, want_end;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		want_report = 1;
	else if (sig == SIGUSR2)
		want_reset = 1;
	else
		want_end = 1;
}

static void report_state(const struct writer *w, const char *event)
{
	char text[GAPS_JSON];
	int64_t now = gaps_clock(CLOCK_REALTIME);

	gaps_json(&w->gaps, text, sizeof(text));
	report_line("{\"event\":\"%s\",\"at\":%.3f,\"acked\":%" PRIu64 ",\"connects\":%" PRIu64
		    ",\"refused\":%" PRIu64 ",\"since_last_ack_ms\":%.1f,%s}",
		    event, (double)now / 1e9, w->acked, w->connects, w->refused,
		    w->acked ? (double)(now - w->gaps.last_ns) / 1e6 : -1.0, text);
}

/* The file is always of one length, so a reader never sees a rest of an older state. */
static int save_state(struct writer *w, struct dm_err *err)
{
	char text[128];
	int n;

	if (w->state_fd < 0)
		return 0;
	n = snprintf(text, sizeof(text),
		     "acked %-20" PRIu64 "\nlongest_gap_ms %-14.1f\nconnects %-10" PRIu64 "\n",
		     w->acked, (double)w->gaps.longest.len_ns / 1e6, w->connects);
	if (dm_pwrite_full(w->state_fd, text, (size_t)n, 0) < 0)
		return dm_fail_errno(err, "write %s", w->opt->state);
	return 0;
}

static int read_state(const char *path, uint64_t *acked, struct dm_err *err)
{
	size_t len;
	char *text = dm_read_file(AT_FDCWD, path, 4096, &len, err);
	int got;

	if (!text)
		return -1;
	got = sscanf(text, "acked %" SCNu64, acked);
	free(text);
	if (got != 1 || !*acked)
		return dm_fail(err, DM_FAILURE, "%s: nothing was acknowledged", path);
	return 0;
}

/* Queue the writes that are due. Returns the time until the next one, in ns. */
static int64_t queue_writes(struct writer *w)
{
	char key[NUMBERED_KEY_MAX];
	int64_t now = gaps_clock(CLOCK_MONOTONIC);

	while (w->sent - w->acked < w->opt->depth) {
		if (w->opt->count && w->sent >= w->opt->count)
			break;
		if (w->opt->rate) {
			if (w->due_ns > now)
				return w->due_ns - now;
			if (w->due_ns < now - LATE_NS)
				w->due_ns = now - LATE_NS;
			w->due_ns += 1000000000 / (int64_t)w->opt->rate;
		}
		if (w->sent == w->acked)
			w->moved_ns = now;
		w->sent++;
		numbered_value(&w->keys, w->sent, w->value);
		resp_command(&w->r, 3);
		resp_word(&w->r, "SET", 3);
		resp_word(&w->r, key, numbered_key(&w->keys, w->sent, key));
		resp_word(&w->r, w->value, w->keys.size);
	}
	return WAIT_NS;
}

/* Returns 0; -1 if the connection is of no more use; -2 with err if the state cannot be kept. */
static int take_answers(struct writer *w, struct dm_err *err)
{
	struct resp_item item;
	uint64_t before = w->acked;
	int got;

	while ((got = resp_take(&w->r, &item, err)) == 1) {
		if (item.type != '+' || item.len != 2 || memcmp(item.text, "OK", 2) ||
		    w->acked == w->sent) {
			w->refused++;
			got = -1;
			break;
		}
		w->acked++;
		gaps_beat(&w->gaps);
	}
	if (w->acked == before)
		return got;
	w->moved_ns = gaps_clock(CLOCK_MONOTONIC);
	return save_state(w, err) < 0 ? -2 : got;
}

static bool stalled(const struct writer *w)
{
	int64_t quiet = gaps_clock(CLOCK_MONOTONIC) - w->moved_ns;

	return w->sent > w->acked && quiet > (int64_t)w->opt->timeout * 1000000;
}

static void take_a_nap(void)
{
	static const struct timespec nap = {0, NAP_NS};

	nanosleep(&nap, NULL);
}

static void connect_anew(struct writer *w)
{
	struct dm_err err;

	if (resp_connect(&w->r, (int)w->opt->timeout, &err) < 0) {
		take_a_nap();
		return;
	}
	w->connects++;
	w->sent = w->acked;
}

static int talk(struct writer *w, struct dm_err *err)
{
	int64_t wait = queue_writes(w);
	int got = resp_pump(&w->r, wait, err);

	if (!got)
		got = take_answers(w, err);
	if (got == -2)
		return -1;
	if (got < 0 || stalled(w)) {
		resp_close(&w->r);
		take_a_nap();
	}
	return 0;
}

static bool finished(const struct writer *w)
{
	int64_t passed = gaps_clock(CLOCK_MONOTONIC) - w->started_ns;

	return want_end || (w->opt->count && w->acked >= w->opt->count) ||
	       (w->opt->seconds && passed >= (int64_t)w->opt->seconds * 1000000000);
}

static int write_all(struct writer *w, struct dm_err *err)
{
	w->started_ns = gaps_clock(CLOCK_MONOTONIC);
	if (save_state(w, err) < 0)
		return -1;
	while (!finished(w)) {
		if (want_reset) {
			want_reset = 0;
			gaps_reset(&w->gaps);
		}
		if (want_report) {
			want_report = 0;
			report_state(w, "progress");
		}
		if (w->r.fd < 0)
			connect_anew(w);
		else if (talk(w, err) < 0)
			return -1;
	}
	report_state(w, "final");
	return save_state(w, err);
}

static int write_keys(struct writer *w, struct dm_err *err)
{
	static const int sigs[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
	struct sigaction act = {.sa_handler = on_signal};
	int ret = -1;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &act, NULL);
	w->value = malloc(w->keys.size);
	if (!w->value)
		return dm_fail_errno(err, "memory for a value");
	if (w->opt->state) {
		w->state_fd = open(w->opt->state, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (w->state_fd < 0) {
			dm_fail_errno(err, "open %s", w->opt->state);
			goto out;
		}
	}
	ret = write_all(w, err);
	resp_close(&w->r);
out:
	if (w->state_fd >= 0)
		close(w->state_fd);
	free(w->value);
	return ret;
}

static int check_keys(struct writer *w, uint64_t upto, struct dm_err *err)
{
	int ret;

	if (!upto && !w->opt->state)
		return dm_fail(err, DM_USAGE, "check needs --upto or --state");
	if (!upto && read_state(w->opt->state, &upto, err) < 0)
		return -1;
	if (resp_connect(&w->r, (int)w->opt->timeout, err) < 0)
		return -1;
	ret = redis_check(&w->r, &w->keys, upto, (int)w->opt->timeout, err);
	resp_close(&w->r);
	return ret;
}

static int parse(int argc, char **argv, struct options *o, struct dm_err *err)
{
	static const struct option names[] = {{"rate", 1, 0, 'r'},    {"size", 1, 0, 's'},
					      {"depth", 1, 0, 'd'},   {"count", 1, 0, 'c'},
					      {"prefix", 1, 0, 'p'},  {"timeout", 1, 0, 't'},
					      {"state", 1, 0, 'f'},   {"upto", 1, 0, 'u'},
					      {"seconds", 1, 0, 'e'}, {0, 0, 0, 0}};
	int c, ret = 0;

	while (!ret && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'r')
			ret = dm_num_u64(optarg, "--rate", 0, 10000000, &o->rate, err);
		else if (c == 's')
			ret = dm_num_u64(optarg, "--size", 1, 1 << 20, &o->size, err);
		else if (c == 'd')
			ret = dm_num_u64(optarg, "--depth", 1, 1000, &o->depth, err);
		else if (c == 'c')
			ret = dm_num_u64(optarg, "--count", 0, INT64_MAX, &o->count, err);
		else if (c == 't')
			ret = dm_num_u64(optarg, "--timeout", 1, 3600000, &o->timeout, err);
		else if (c == 'u')
			ret = dm_num_u64(optarg, "--upto", 1, INT64_MAX, &o->upto, err);
		else if (c == 'e')
			ret = dm_num_u64(optarg, "--seconds", 0, 1000000, &o->seconds, err);
		else if (c == 'p')
			o->prefix = optarg;
		else if (c == 'f')
			o->state = optarg;
		else
			ret = dm_fail(err, DM_USAGE, "see --help");
	}
	if (!ret && strlen(o->prefix) > 100)
		ret = dm_fail(err, DM_USAGE, "--prefix is too long");
	return ret;
}

static int run(int argc, char **argv, struct dm_err *err)
{
	struct options opt = {.size = 64, .timeout = 500, .depth = 1, .prefix = "k:"};
	struct writer w = {.opt = &opt, .state_fd = -1};
	bool check;

	if (parse(argc, argv, &opt, err) < 0)
		return -1;
	argv += optind;
	check = *argv && !strcmp(*argv, "check");
	if (*argv && (check || !strcmp(*argv, "write")))
		argv++;
	if (!argv[0] || argv[1])
		return dm_fail(err, DM_USAGE, "one address, or several with commas; see --help");
	if (resp_init(&w.r, argv[0], err) < 0)
		return -1;
	w.keys = (struct numbered){opt.prefix, opt.size};
	return check ? check_keys(&w, opt.upto, err) : write_keys(&w, err);
}

int main(int argc, char **argv)
{
	struct dm_err err;
	int ret;

	dm_set_program("redis-writer");
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return fputs(usage, stdout) < 0;
	signal(SIGPIPE, SIG_IGN);
	ret = run(argc, argv, &err);
	if (ret < 0) {
		dm_say("%s", err.msg);
		return (int)err.code;
	}
	return ret;
}
