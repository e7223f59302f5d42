/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/usage.h"
#include "ship/codec.h"
#include "ship/decode.h"
#include "ship/encode.h"
#include "ship/list.h"
#include "ship/progress.h"
#include "stream/dump.h"

enum { KEY_CODEC = 256, KEY_LIMIT_RATE, KEY_LIST, KEY_PROGRESS, KEY_REPORT };

static const struct dm_opt opts[] = {
	{'d', "decode", NULL, "unwrap; without it: wrap"},
	{KEY_CODEC, "codec", "CODEC", "none, zlib[:LEVEL] or zstd[:LEVEL]; zstd:1 if not given"},
	{KEY_LIMIT_RATE, "limit-rate", "SIZE", "write at most SIZE bytes a second (K, M, G)"},
	{KEY_PROGRESS, "progress", NULL, "tell on stderr how far it is"},
	{KEY_REPORT, "report-fd", "N",
	 "write figures to descriptor N at the end, as a line of JSON"},
	{KEY_LIST, "list", NULL, "print what a migration stream holds, wrapped or not"},
	{0},
};

static const struct dm_tool tool = {
	"dm-ship",
	"[-d] [--codec CODEC] [--limit-rate SIZE] [--progress] [--report-fd N] | --list",
	"Wrap stdin into checked, packed frames on stdout, or unwrap it.",
	opts,
};

struct settings {
	bool decode, list, progress, codec_given;
	struct dm_codec_choice codec;
	uint64_t limit_rate; /* bytes per second; 0: none */
	uint64_t report_fd;  /* 0: none */
};

static int set(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct settings *s = ctx;

	switch (key) {
	case 'd':
		s->decode = true;
		return 0;
	case KEY_CODEC:
		s->codec_given = true;
		return dm_codec_parse(arg, "--codec", &s->codec, err);
	case KEY_LIMIT_RATE:
		if (dm_num_size(arg, "--limit-rate", &s->limit_rate, err))
			return -1;
		return s->limit_rate ? 0 : dm_fail(err, DM_USAGE, "--limit-rate: must not be 0");
	case KEY_REPORT:
		if (dm_num_u64(arg, "--report-fd", 3, 1000000, &s->report_fd, err))
			return -1;
		if (fcntl((int)s->report_fd, F_GETFD) < 0)
			return dm_fail(err, DM_USAGE, "--report-fd: %s is not open", arg);
		return 0;
	case KEY_LIST:
		s->list = true;
		return 0;
	default:
		s->progress = true;
		return 0;
	}
}

static int check(const struct settings *s, int operands, struct dm_err *err)
{
	if (operands > 0)
		return dm_fail(err, DM_USAGE, "takes no operands: it reads stdin");
	if (s->list &&
	    (s->decode || s->codec_given || s->limit_rate || s->progress || s->report_fd))
		return dm_fail(err, DM_USAGE, "--list goes with no other option");
	if (s->decode && s->codec_given)
		return dm_fail(err, DM_USAGE, "--codec does not go with --decode");
	if (!s->decode && !s->list && isatty(STDOUT_FILENO))
		return dm_fail(err, DM_USAGE, "will not write a wrapped stream to a terminal");
	return 0;
}

/* A closed stdin or stdout must not become the next file that is opened. */
static int check_descriptors(struct dm_err *err)
{
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return dm_fail_errno(err, "read standard input");
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		return dm_fail_errno(err, "write standard output");
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/null", O_WRONLY) < 0)
		return dm_fail_errno(err, "open /dev/null");
	return 0;
}

/* Before stdout is closed: whoever has read all of it finds the figures there. */
static int report(const struct settings *s, uint64_t in, uint64_t out, struct dm_err *err)
{
	json_t *o = dm_usage();
	char *text;
	int ret = -1;

	json_object_set_new(o, "stage", json_string(s->decode ? "unwrap" : "wrap"));
	json_object_set_new(o, "in", json_integer((json_int_t)in));
	json_object_set_new(o, "out", json_integer((json_int_t)out));
	text = dm_json_text(o, err);
	if (text && dprintf((int)s->report_fd, "%s\n", text) < 0)
		dm_fail_errno(err, "write figures to descriptor %d", (int)s->report_fd);
	else if (text)
		ret = 0;
	free(text);
	json_decref(o);
	return ret;
}

static int ship(const struct settings *s, struct dm_source *in, struct dm_err *err)
{
	struct dm_progress *progress = NULL;
	struct dm_sink out;
	int rc;

	dm_sink_open(&out, STDOUT_FILENO, s->limit_rate);
	if (s->progress) {
		progress = dm_progress_start(STDERR_FILENO, s->decode, &in->bytes, &out.bytes, err);
		if (!progress)
			return -1;
	}
	rc = s->decode ? dm_decode_run(in, &out, err) : dm_encode_run(in, &out, &s->codec, err);
	dm_progress_stop(progress);
	if (rc == 0 && s->report_fd)
		rc = report(s, in->bytes, out.bytes, err);
	return rc;
}

int main(int argc, char **argv)
{
	struct settings s = {.codec = {DM_FRAME_ZSTD, 1}};
	struct dm_source in = {.stop = -1};
	struct dm_err err;
	int at, rc;

	/* A reader that has gone is a write that fails (EPIPE), which is told: exit code 1. */
	signal(SIGPIPE, SIG_IGN);

	at = dm_opt_parse(&tool, argc, argv, set, &s, &err);
	if (at < 0 || check(&s, argc - at, &err) || check_descriptors(&err) ||
	    dm_source_open(&in, STDIN_FILENO, &err))
		return dm_opt_die(&tool, &err);
	rc = s.list ? dm_list_run(&in, dm_stream_dump, stdout, &err) : ship(&s, &in, &err);
	dm_source_close(&in);
	if (rc || dm_close_stdout(&err))
		return dm_opt_die(&tool, &err);
	return DM_OK;
}
