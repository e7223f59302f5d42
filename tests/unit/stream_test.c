/* SPDX-License-Identifier: Apache-2.0 */
/* The stream's writer against its reader. */
#include "test.h"

#include <errno.h>

#include "base/io.h"
#include "stream/dump.h"
#include "stream/writer.h"
#include "stream_tool.h"

static struct dm_err err;
static struct heard heard;

/* A whole migration by the library's writer, with every type of record; what a reader shall hear
 * of it is in *want. Each segment's end in the file is in ends[]. */
enum { SEGMENTS = 5 };

struct writing {
	int fd;
	struct dm_segment s;
	struct dm_writer *w;
	uint64_t records;
	struct heard *want;
	off_t ends[SEGMENTS];
};

static void begin(struct writing *x, enum dm_segment_kind kind)
{
	x->s.kind = kind;
	x->records = 0;
	x->w = dm_writer_open(x->fd, &x->s, &err);
	MUST(x->w);
	hear_segment(x->want, &x->s, &err);
}

static void end(struct writing *x, bool last)
{
	/* the END record, of 48 bytes, is not counted */
	uint64_t bytes = dm_writer_bytes(x->w);

	MUST(dm_writer_end(x->w, last, x->s.before, &err) == 0);
	CHECK_INT(dm_writer_bytes(x->w), bytes + 48);
	hear_end(x->want, &x->s, &(struct dm_counts){x->records, bytes}, last, &err);
	dm_writer_close(x->w);
	x->ends[x->s.number++] = lseek(x->fd, 0, SEEK_CUR);
}

static void data(struct writing *x, enum dm_record_type type, const char *text)
{
	MUST(dm_writer_data(x->w, type, text, strlen(text), &err) == 0);
	x->records++;
	if (type == DM_CONFIG)
		hear_config(x->want, text, strlen(text), &err);
	else
		hear_group(x->want, type, text, strlen(text), &err);
}

static void pages(struct writing *x, struct dm_object o, uint64_t addr, uint32_t count, int seed)
{
	static uint8_t bytes[DM_PAGES_MAX * DM_PAGE];

	fill(bytes, (size_t)count % (DM_PAGES_MAX + 1) * DM_PAGE, (uint64_t)seed);
	MUST(dm_writer_pages(x->w, o, addr, count, seed ? bytes : NULL, &err) == 0);
	x->records++;
	hear_pages(x->want, o, addr, count, seed ? bytes : NULL, &err);
}

static void round_begin(struct writing *x, uint32_t n)
{
	MUST(dm_writer_round_begin(x->w, n, &err) == 0);
	x->records++;
	hear_round_begin(x->want, n, &err);
}

static void round_end(struct writing *x, uint64_t seen, uint64_t sent)
{
	MUST(dm_writer_round_end(x->w, seen, sent, &err) == 0);
	x->records++;
	hear_round_end(x->want, &(struct dm_counts){seen, sent}, &err);
}

static void file(struct writing *x, const char *name, uint64_t at, const char *text)
{
	MUST(dm_writer_file(x->w, name, at, text, strlen(text), &err) == 0);
	x->records++;
	hear_file(x->want, name, at, text, strlen(text), &err);
}

static void object(struct writing *x, struct dm_object o, const struct dm_run *runs, size_t n)
{
	MUST(dm_writer_object(x->w, o, runs, n, &err) == 0);
	x->records++;
	hear_object(x->want, o, runs, n, &err);
}

static void write_all(struct writing *x)
{
	static const struct dm_run runs[] = {{0x1000, 3, 4}, {0x8000, 1, 1}};
	static const uint8_t digest[DM_DIGEST] = {1, 2, [15] = 0xff};
	struct dm_object one = {DM_PROCESS, 1}, shm = {DM_SHMEM, UINT64_MAX};

	begin(x, DM_SETUP);
	data(x, DM_CONFIG, "{\"inspect\": {}}");
	data(x, DM_IMAGE_BEGIN, "{\"id\":1}");
	data(x, DM_IMAGE_DATA, "bytes of an image");
	data(x, DM_IMAGE_END, "");
	data(x, DM_TREE_BEGIN, "{\"tree\":\"layer\"}");
	data(x, DM_TREE_DATA, "bytes of a tree");
	data(x, DM_TREE_END, "");
	data(x, DM_TREE_BEGIN, "{}");
	data(x, DM_TREE_END, "");
	end(x, false);
	begin(x, DM_ROUNDS);
	round_begin(x, 1);
	pages(x, one, 0x1000, 2, 1);
	pages(x, one, UINT64_C(0x7ffffffff000), 1, 2);
	pages(x, shm, 0, DM_PAGES_MAX, 3);
	pages(x, shm, UINT64_C(1) << 50, 1000000, 0);
	round_end(x, 1000, 900);
	round_begin(x, 2);
	round_end(x, UINT64_MAX, 0);
	end(x, false);
	begin(x, DM_DELTA);
	end(x, false);
	begin(x, DM_FINAL);
	file(x, "core-1.img", 0, "content");
	file(x, "core-1.img", 7, "");
	file(x, "Some_name.1-2", INT64_MAX - DM_DATA_MAX, "x");
	round_begin(x, 0);
	pages(x, one, 0x3000, 1, 4);
	round_end(x, 4, 1);
	object(x, one, runs, 2);
	object(x, shm, NULL, 0);
	MUST(dm_writer_digest(x->w, digest, 4, &err) == 0);
	x->records++;
	hear_digest(x->want, digest, 4, &err);
	end(x, false);
	begin(x, DM_DELTA);
	data(x, DM_TREE_BEGIN, "{\"delta\":true}");
	data(x, DM_TREE_DATA, "last bytes");
	data(x, DM_TREE_END, "");
	end(x, true);
}

/* The whole migration in a file, to be read from its start. */
static struct writing whole(struct heard *want)
{
	struct writing x = {.fd = memory_file("", 0), .want = want};

	*want = (struct heard){0};
	snprintf(x.s.id, sizeof(x.s.id), "m-1.a_B");
	x.s.seed = UINT64_C(0xfedcba9876543210);
	x.s.flags = DM_SAVED;
	write_all(&x);
	MUST(lseek(x.fd, 0, SEEK_SET) == 0);
	return x;
}

TEST(every_record_comes_back)
{
	static struct heard want;
	struct writing x = whole(&want);

	heard = (struct heard){0};
	CHECK_INT(dm_stream_read(x.fd, &hearing, &heard, &err), 0);
	CHECK_STR(heard.text, want.text);
	close(x.fd);
}

TEST(every_record_comes_back_through_a_pipe_in_pieces)
{
	static struct heard want;
	struct writing x = whole(&want);
	size_t len, n;
	char *all = take_all(x.fd, &len);
	int fds[2];
	pid_t pid;

	REQUIRE(pipe(fds) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		for (size_t at = 0; at < len; at += n) {
			n = 1 + pick(at < 3000 ? 40 : 90000);
			n = n < len - at ? n : len - at;
			if (write(fds[1], all + at, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[1]);
	heard = (struct heard){0};
	CHECK_INT(dm_stream_read(fds[0], &hearing, &heard, &err), 0);
	CHECK_STR(heard.text, want.text);
	CHECK_INT(exit_code(pid), 0);
	close(fds[0]);
	free(all);
}

TEST(a_stream_by_hand_is_read_and_a_written_one_is_the_same)
{
	struct raw r = raw_new("by-hand", 7);
	struct dm_segment s = {.kind = DM_SETUP, .id = "by-hand", .seed = 7};
	int fd = memory_file("", 0);
	struct dm_writer *w;
	char *p;
	size_t n;

	raw_letters(&r, "ScijktuvE");
	w = dm_writer_open(fd, &s, &err);
	REQUIRE(w);
	dm_writer_data(w, DM_CONFIG, "{}", 2, &err);
	dm_writer_data(w, DM_IMAGE_BEGIN, "{}", 2, &err);
	dm_writer_data(w, DM_IMAGE_DATA, "data", 4, &err);
	dm_writer_data(w, DM_IMAGE_END, NULL, 0, &err);
	dm_writer_data(w, DM_TREE_BEGIN, "{}", 2, &err);
	dm_writer_data(w, DM_TREE_DATA, "data", 4, &err);
	dm_writer_data(w, DM_TREE_END, NULL, 0, &err);
	CHECK_INT(dm_writer_end(w, false, s.before, &err), 0);
	dm_writer_close(w);
	p = take_all(fd, &n);
	CHECK_INT(n, r.b.len);
	CHECK(n == r.b.len && !memcmp(p, r.b.data, n));
	CHECK(!memcmp(s.before, r.before, DM_DIGEST));
	raw_letters(&r, "RrpzqEDEFfrqogEDL");
	CHECK_INT(read_bytes(r.b.data, r.b.len, &nothing_heard, NULL, &err), 0);
	dm_buf_free(&r.b);
	free(p);
}

TEST(long_data_and_long_lists_are_split)
{
	enum { LONG = 3 * DM_DATA_MAX + 17, MANY = 2 * DM_RUNS_MAX + 5 };
	struct dm_segment s = {.kind = DM_SETUP, .id = "x"};
	struct dm_run *runs = calloc(MANY, sizeof(*runs));
	char *bytes = malloc(LONG), *p;
	int fd = memory_file("", 0);
	struct dm_writer *w;
	static struct heard want;
	size_t n;

	REQUIRE(runs && bytes);
	fill(bytes, LONG, 5);
	w = dm_writer_open(fd, &s, &err);
	dm_writer_data(w, DM_CONFIG, "{}", 2, &err);
	dm_writer_data(w, DM_TREE_BEGIN, "{}", 2, &err);
	CHECK_INT(dm_writer_data(w, DM_TREE_DATA, bytes, LONG, &err), 0);
	dm_writer_data(w, DM_TREE_END, NULL, 0, &err);
	CHECK_INT(dm_writer_end(w, false, s.before, &err), 0);
	dm_writer_close(w);
	s.number = 1;
	s.kind = DM_FINAL;
	w = dm_writer_open(fd, &s, &err);
	dm_writer_round_begin(w, 0, &err);
	dm_writer_round_end(w, 0, 0, &err);
	for (size_t i = 0; i < MANY; i++)
		runs[i] = (struct dm_run){i * 2 * DM_PAGE, 1, 4};
	CHECK_INT(dm_writer_object(w, (struct dm_object){DM_PROCESS, 9}, runs, MANY, &err), 0);
	dm_writer_abort(w, "that is all");
	dm_writer_close(w);
	p = take_all(fd, &n);
	heard = want = (struct heard){0};
	CHECK_INT(read_bytes(p, n, &hearing, &heard, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_STR(err.msg, "the sender gave up: that is all");
	for (size_t at = 0; at < LONG; at += DM_DATA_MAX)
		hear_group(&want, DM_TREE_DATA, bytes + at,
			   LONG - at < DM_DATA_MAX ? LONG - at : DM_DATA_MAX, &err);
	hear_group(&want, DM_TREE_END, "", 0, &err);
	CHECK(strstr(heard.text, want.text));
	want = (struct heard){0};
	for (size_t at = 0; at < MANY; at += DM_RUNS_MAX)
		hear_object(&want, (struct dm_object){DM_PROCESS, 9}, runs + at,
			    MANY - at < DM_RUNS_MAX ? MANY - at : DM_RUNS_MAX, &err);
	CHECK(strstr(heard.text, want.text));
	free(p);
	free(runs);
	free(bytes);
}

TEST(what_is_too_long_is_not_written)
{
	struct dm_segment s = {.kind = DM_SETUP, .id = "x"};
	struct dm_writer *w = dm_writer_open(1, &s, &err);
	char name[DM_NAME_MAX + 2], *much = calloc(1, DM_PAYLOAD_MAX + 1);
	uint64_t before = dm_writer_bytes(w);

	REQUIRE(much);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK_INT(dm_writer_file(w, name, 0, "", 0, &err), -1);
	CHECK_INT(dm_writer_file(w, "", 0, "", 0, &err), -1);
	CHECK_INT(dm_writer_data(w, DM_CONFIG, much, DM_PAYLOAD_MAX + 1, &err), -1);
	CHECK_INT(dm_writer_bytes(w), before);
	dm_writer_close(w);
	dm_writer_close(NULL);
	free(much);
}

TEST(a_sink_that_fails_is_told)
{
	struct dm_segment s = {.kind = DM_SETUP, .id = "x"};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct dm_writer *w = dm_writer_open(full, &s, &err);
	char *much = calloc(1, DM_DATA_MAX);

	REQUIRE(w && much);
	CHECK_INT(dm_writer_flush(w, &err), -1);
	CHECK_STR(err.msg, "write stream: No space left on device");
	CHECK_INT(dm_writer_data(w, DM_IMAGE_DATA, much, DM_DATA_MAX, &err), -1);
	CHECK_INT(dm_writer_end(w, false, s.before, &err), -1);
	dm_writer_abort(w, "no use");
	dm_writer_close(w);
	free(much);
	close(full);
}

static int count_down(void *ctx, const struct dm_segment *s, const struct dm_counts *c, bool last,
		      struct dm_err *e)
{
	int *left = ctx;

	(void)s;
	(void)c;
	(void)last;
	return (*left)-- ? 0 : dm_fail(e, DM_UNFIT, "enough");
}

TEST(a_consumer_ends_the_reading)
{
	static const struct dm_stream_ops ops = {.end = count_down};
	static struct heard want;
	struct writing x = whole(&want);
	int left = 2;

	CHECK_INT(dm_stream_read(x.fd, &ops, &left, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "enough");
	CHECK_INT(left, -1);
	/* the one after has not been read */
	CHECK_INT(lseek(x.fd, 0, SEEK_CUR), x.ends[2]);
	close(x.fd);
}

TEST(the_dump_names_every_part_and_no_content)
{
	static const char *const kinds[] = {"setup", "rounds", "delta", "final", "delta"};
	static struct heard want;
	struct writing x = whole(&want);
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	REQUIRE(out);
	CHECK_INT(dm_stream_dump(x.fd, out, &err), 0);
	fclose(out);
	for (int i = 0; i < SEGMENTS; i++) {
		char line[64];

		snprintf(line, sizeof(line), "segment %d %s id m-1.a_B saved after ", i, kinds[i]);
		CHECK(strstr(text, line));
		snprintf(line, sizeof(line), "\nend %d: ", i);
		CHECK(strstr(text, line));
	}
	CHECK(strstr(text, "  end of round: 1000 pages seen, 900 sent (259 with bytes, 1000000 of "
			   "zeros)\n"));
	CHECK(strstr(text, "  file core-1.img 7 bytes\n"));
	CHECK(strstr(text, "  object process 1: 4 pages in 2 runs\n"));
	CHECK(strstr(text, "  object shmem 18446744073709551615: 0 pages in 0 runs\n"));
	CHECK(strstr(text, "  final state: 4 pages, digest 010200000000000000000000000000ff\n"));
	CHECK(strstr(text, ", last\n"));
	CHECK(!strstr(text, "bytes of") && !strstr(text, "content"));
	free(text);
	close(x.fd);
}
