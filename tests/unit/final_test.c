/* SPDX-License-Identifier: Apache-2.0 */
/* The final pass over a dump made by hand: which pages go out, and what is told of them. */
#include "test.h"

#include <inttypes.h>

#include "base/io.h"
#include "memory/final.h"
#include "memory/pagemap.h"
#include "memory/state.h"
#include "stream_tool.h"

static struct dm_err err;
static struct heard heard;

enum { SEED = 9, RW = PROT_READ | PROT_WRITE };

static int images;

static void put_file(const char *name, const void *p, size_t n)
{
	int fd = openat(images, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	MUST(fd >= 0 && dm_write_full(fd, p, n) == 0);
	close(fd);
}

/* The content of a page by its version; 0: zeros. */
static void content(uint8_t *page, int version)
{
	memset(page, 0, DM_PAGE);
	if (version)
		fill(page, DM_PAGE, (uint64_t)version);
}

/* One object of the dump: its runs, and the version of each page. */
struct part {
	struct dm_object o;
	uint32_t pages_id;
	size_t n;
	struct dm_run runs[8];
	const int *versions;
};

/* Write its two images; short: so many bytes are missing of the pages (or too many, if less than
 * zero). */
static void put_part(const struct part *p, int lack)
{
	char name[DM_NAME_MAX + 1];
	struct dm_buf map = {0};
	uint8_t *pages;
	size_t n = 0;

	dm_pagemap_put_head(&map, p->pages_id, &err);
	for (size_t i = 0; i < p->n; i++) {
		dm_pagemap_put(&map, &p->runs[i], &err);
		n += p->runs[i].pages;
	}
	dm_pagemap_file(p->o, name);
	put_file(name, map.data, map.len);
	dm_buf_free(&map);
	pages = calloc(n + 2, DM_PAGE);
	MUST(pages);
	for (size_t i = 0; i < n; i++)
		content(pages + i * DM_PAGE, p->versions[i]);
	snprintf(name, sizeof(name), "pages-%u.img", p->pages_id);
	put_file(name, pages, (size_t)((int)(n * DM_PAGE) - lack));
	free(pages);
}

/* Send the dump. The stream that comes of it is heard. Returns what dm_final_send() did. */
static int send_dump(const struct dm_tasks *tasks, struct dm_held *held,
		     struct dm_sender_count *count)
{
	struct dm_segment s = {.kind = DM_SETUP, .id = "final"};
	int fd = memory_file("", 0), ret;
	struct dm_writer *w;
	struct dm_err other;

	w = dm_writer_open(fd, &s, &err);
	MUST(w && dm_writer_data(w, DM_CONFIG, "{}", 2, &err) == 0 &&
	     dm_writer_end(w, false, s.before, &err) == 0);
	dm_writer_close(w);
	s.kind = DM_FINAL;
	s.number = 1;
	w = dm_writer_open(fd, &s, &err);
	MUST(w);
	ret = dm_final_send(images, tasks, held, SEED, 0, w, count, &err);
	if (ret == 0)
		MUST(dm_writer_end(w, false, s.before, &other) == 0);
	dm_writer_close(w);
	heard = (struct heard){0};
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	CHECK_INT(dm_stream_read(fd, &hearing, &heard, &other), -1);
	if (ret == 0)
		CHECK(strstr(other.msg, "it ends before its last segment"));
	close(fd);
	return ret;
}

/* The line heard for pages from addr on, of these versions. */
static const char *pages_line(struct dm_object o, uint64_t addr, const int *versions, uint32_t n)
{
	static struct heard h;
	static uint8_t bytes[8 * DM_PAGE];
	bool zeros = true;

	for (uint32_t i = 0; i < n; i++) {
		content(bytes + i * DM_PAGE, versions[i]);
		zeros = zeros && !versions[i];
	}
	h = (struct heard){0};
	hear_pages(&h, o, addr, n, zeros ? NULL : bytes, &err);
	return h.text;
}

static size_t count_lines(const char *begin)
{
	size_t n = 0;

	for (const char *p = heard.text; (p = strstr(p, begin)); p++)
		n++;
	return n;
}

/* The digest that must come of these parts, which are in order. */
static const char *digest_line(const struct part *parts, size_t n)
{
	struct dm_state *s = dm_state_new(&err);
	uint8_t page[DM_PAGE], digest[DM_DIGEST];
	static struct heard h;
	uint64_t pages;

	for (size_t i = 0; i < n; i++)
		for (size_t r = 0, k = 0; r < parts[i].n; r++)
			for (uint32_t j = 0; j < parts[i].runs[r].pages; j++, k++) {
				content(page, parts[i].versions[k]);
				dm_state_add(s, parts[i].o, parts[i].runs[r].addr + j * DM_PAGE,
					     dm_fingerprint_of(page, SEED));
			}
	pages = dm_state_finish(s, digest);
	h = (struct heard){0};
	hear_digest(&h, digest, pages, &err);
	return h.text;
}

/* A process whose pages lie where this program has mapped: so their mappings are known. */
static struct part process(const int *versions)
{
	static uint8_t *p;
	struct part part = {{DM_PROCESS, 7}, 3, 2, {{0}}, versions};
	uint64_t addr;

	if (!p)
		p = mmap(NULL, 100 * DM_PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	addr = (uint64_t)(uintptr_t)p;
	part.runs[0] = (struct dm_run){addr, 3, DM_PE_PRESENT};
	part.runs[1] = (struct dm_run){addr + 10 * DM_PAGE, 2, DM_PE_PRESENT | DM_PE_LAZY};
	return part;
}

static struct dm_task self;
static struct dm_tasks tasks = {&self, 1};

static void fresh(void)
{
	images = open_folder(fresh_folder());
	self = (struct dm_task){getpid(), 7, 1, 1};
}

TEST(only_pages_that_differ_from_what_is_held_go_out)
{
	int first[] = {1, 2, 3, 4, 0}, then[] = {1, 9, 3, 4, 5}, shm[] = {6, 0};
	struct part parts[2] = {process(first),
				{{DM_SHMEM, 4}, 5, 1, {{0, 2, DM_PE_PRESENT}}, shm}};
	struct dm_held *held = dm_held_new(&err);
	struct dm_sender_count count;

	fresh();
	for (int i = 0; i < 2; i++)
		put_part(&parts[i], 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK(count.seen == 7 && count.sent == 7 && count.zeros == 2);
	CHECK(strstr(heard.text, pages_line(parts[0].o, parts[0].runs[0].addr, first, 3)));
	CHECK(strstr(heard.text, pages_line(parts[0].o, parts[0].runs[1].addr, first + 3, 1)));
	CHECK(strstr(heard.text,
		     pages_line(parts[0].o, parts[0].runs[1].addr + DM_PAGE, first + 4, 1)));
	CHECK(strstr(heard.text, pages_line(parts[1].o, 0, shm, 1)));
	CHECK(strstr(heard.text, "round 0\n") && strstr(heard.text, "round end 7 7\n"));
	CHECK(strstr(heard.text, digest_line(parts, 2)));

	parts[0] = process(then);
	put_part(&parts[0], 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK(count.seen == 7 && count.sent == 2 && count.zeros == 0);
	CHECK_INT(count_lines("pages of "), 2);
	CHECK(strstr(heard.text,
		     pages_line(parts[0].o, parts[0].runs[0].addr + DM_PAGE, then + 1, 1)));
	CHECK(strstr(heard.text,
		     pages_line(parts[0].o, parts[0].runs[1].addr + DM_PAGE, then + 4, 1)));
	CHECK(strstr(heard.text, digest_line(parts, 2)));

	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK_INT(count.sent, 0);
	CHECK(strstr(heard.text, digest_line(parts, 2)));
	dm_held_free(held);
	close(images);
}

TEST(objects_are_told_with_their_runs_in_order)
{
	static const int versions[20] = {0};
	struct part parts[] = {{{DM_SHMEM, 3}, 1, 1, {{0, 1, 4}}, versions},
			       {{DM_PROCESS, 20}, 2, 1, {{0x3000, 2, 4}}, versions},
			       {{DM_PROCESS, 3}, 3, 0, {{0}}, versions},
			       {{DM_SHMEM, 1}, 4, 2, {{0, 1, 4}, {0x5000, 3, 6}}, versions}};
	struct dm_held *held = dm_held_new(&err);
	struct dm_sender_count count;

	fresh();
	for (int i = 0; i < 4; i++)
		put_part(&parts[i], 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK(strstr(heard.text, "object 1:3 0:\n"
				 "object 1:20 1: 3000+2(4)\n"
				 "object 2:1 2: 0+1(4) 5000+3(6)\n"
				 "object 2:3 1: 0+1(4)\n"
				 "digest "));
	dm_held_free(held);
	close(images);
}

TEST(pages_of_unknown_processes_and_special_mappings_always_go_out)
{
	int versions[] = {1, 2, 3, 4, 5};
	struct part part = process(versions);
	struct dm_held *held = dm_held_new(&err);
	struct dm_sender_count count;
	uint8_t *huge = mmap(NULL, 1 << 21, RW,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	fresh();
	put_part(&part, 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK_INT(count.sent, 0);
	self.vpid = 8; /* nobody has the dump's pid */
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK_INT(count.sent, 5);
	self.vpid = 7;
	if (huge != MAP_FAILED) {
		part.runs[1].addr = (uint64_t)(uintptr_t)huge;
		if (part.runs[1].addr < part.runs[0].addr) {
			struct dm_run r = part.runs[0];

			part.runs[0] = part.runs[1];
			part.runs[1] = r;
		}
		put_part(&part, 0);
		CHECK_INT(send_dump(&tasks, held, &count), 0);
		CHECK_INT(send_dump(&tasks, held, &count), 0);
		CHECK_INT(count.sent, 2); /* those in the huge page */
	}
	dm_held_free(held);
	close(images);
}

TEST(other_images_go_as_they_are)
{
	enum { LONG = 2 * DM_DATA_MAX + 5 };
	struct dm_held *held = dm_held_new(&err);
	struct dm_sender_count count;
	static struct heard want;
	char *big = malloc(LONG);

	REQUIRE(big);
	fresh();
	fill(big, LONG, 8);
	put_file("pstree.img", "the tree", 8);
	put_file("empty.img", "", 0);
	put_file("tmpfs-dev-1.img", big, LONG);
	put_file("exact.img", big, DM_DATA_MAX);
	put_file("pages-77.img", "stays", 5);
	put_file("stats-dump", "stays", 5);
	put_file(".hidden", "stays", 5);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	CHECK_INT(count_lines("file "), 1 + 1 + 3 + 1);
	CHECK(strstr(heard.text, "file pstree.img at 0 \"the tree\"\n"));
	CHECK(strstr(heard.text, "file empty.img at 0 \"\"\n"));
	want = (struct heard){0};
	for (size_t at = 0; at < LONG; at += DM_DATA_MAX)
		hear_file(&want, "tmpfs-dev-1.img", at, big + at,
			  LONG - at < DM_DATA_MAX ? LONG - at : DM_DATA_MAX, &err);
	CHECK(strstr(heard.text, want.text));
	want = (struct heard){0};
	hear_file(&want, "exact.img", 0, big, DM_DATA_MAX, &err);
	CHECK(strstr(heard.text, want.text));
	CHECK(!strstr(heard.text, "stays"));
	CHECK(strstr(heard.text, "round 0\nround end 0 0\ndigest "));
	free(big);
	dm_held_free(held);
	close(images);
}

TEST(a_dump_that_is_not_whole_is_refused)
{
	static const int lacks[] = {1, DM_PAGE, 5 * DM_PAGE, -1, -DM_PAGE};
	int versions[] = {1, 2, 3, 4, 5};
	struct part part = process(versions);
	struct dm_held *held = dm_held_new(&err);
	struct dm_sender_count count;

	fresh();
	for (size_t i = 0; i < sizeof(lacks) / sizeof(*lacks); i++) {
		put_part(&part, lacks[i]);
		CHECK_INT(send_dump(&tasks, held, &count), -1);
		CHECK(strstr(err.msg, "pages image of 7: "));
	}
	put_part(&part, 0);
	CHECK_INT(send_dump(&tasks, held, &count), 0);
	part.runs[1].flags = DM_PE_PARENT; /* a dump of ours has no parent */
	put_part(&part, 2 * DM_PAGE);
	CHECK_INT(send_dump(&tasks, held, &count), -1);
	CHECK(strstr(err.msg, "that are not in it"));
	part.runs[1].flags = DM_PE_PRESENT;
	put_part(&part, 0);
	MUST(unlinkat(images, "pages-3.img", 0) == 0);
	CHECK_INT(send_dump(&tasks, held, &count), -1);
	CHECK_STR(err.msg, "open image pages-3.img: No such file or directory");
	put_part(&part, 0);
	put_file("pagemap-9.img", "rubbish", 7);
	CHECK_INT(send_dump(&tasks, held, &count), -1);
	CHECK_STR(err.msg, "pagemap-9.img: not a pagemap image");
	MUST(unlinkat(images, "pagemap-9.img", 0) == 0);
	MUST(symlinkat("/etc/passwd", images, "link.img") == 0);
	CHECK_INT(send_dump(&tasks, held, &count), -1);
	CHECK_STR(err.msg, "open image link.img: Too many levels of symbolic links");
	dm_held_free(held);
	close(images);
}

/* Neighbours share a record of up to DM_PAGES_MAX pages; zeros have one of their own. */
TEST(neighbours_share_a_record)
{
	enum { MANY = 700 };
	struct dm_segment s = {.kind = DM_SETUP, .id = "sender"};
	struct dm_held *held = dm_held_new(&err);
	int fd = memory_file("", 0);
	struct dm_writer *w = dm_writer_open(fd, &s, &err);
	struct dm_sender *sender = dm_sender_new(w, held, SEED, &err);
	struct dm_object o = {DM_PROCESS, 1};
	uint8_t *p = calloc(MANY, DM_PAGE);
	struct dm_sender_count c;
	char *all;
	size_t n;

	REQUIRE(sender && p);
	dm_writer_data(w, DM_CONFIG, "{}", 2, &err);
	dm_writer_end(w, false, s.before, &err);
	dm_writer_close(w);
	s.kind = DM_ROUNDS;
	s.number = 1;
	w = dm_writer_open(fd, &s, &err);
	dm_sender_free(sender);
	sender = dm_sender_new(w, held, SEED, &err);
	dm_writer_round_begin(w, 1, &err);
	fill(p, 600 * DM_PAGE, 1);
	CHECK_INT(dm_sender_begin(sender, o, &err), 0);
	CHECK_INT(dm_sender_pages(sender, 0x1000, p, MANY, false, &err), 0);
	CHECK_INT(dm_sender_finish(sender, &err), 0);
	c = dm_sender_count(sender);
	CHECK(c.seen == MANY && c.sent == MANY && c.zeros == 100);
	c = dm_sender_count(sender);
	CHECK(!c.seen && !c.sent && !c.zeros);
	CHECK_INT(dm_sender_begin(sender, o, &err), 0);
	CHECK_INT(dm_sender_pages(sender, 0x1000, p, MANY, false, &err), 0);
	CHECK_INT(dm_sender_pages(sender, UINT64_C(0x100000000), p, 1, true, &err), 0);
	CHECK_INT(dm_sender_pages(sender, UINT64_C(0x100001000), p, 1, true, &err), 0);
	CHECK_INT(dm_sender_pages(sender, UINT64_C(0x100003000), p, 1, false, &err), 0);
	CHECK_INT(dm_sender_finish(sender, &err), 0);
	dm_writer_round_end(w, 0, 0, &err);
	dm_writer_end(w, false, s.before, &err);
	dm_writer_close(w);
	dm_sender_free(sender);
	dm_held_free(held);
	all = take_all(fd, &n);
	heard = (struct heard){0};
	read_bytes(all, n, &hearing, &heard, &err);
	CHECK(strstr(heard.text, "pages of 1:1 at 1000 256 "));
	CHECK(strstr(heard.text, "pages of 1:1 at 101000 256 "));
	CHECK(strstr(heard.text, "pages of 1:1 at 201000 88 "));
	CHECK(strstr(heard.text, "pages of 1:1 at 259000 100 \"zeros\""));
	CHECK(strstr(heard.text, "pages of 1:1 at 100000000 2 "));
	CHECK(strstr(heard.text, "pages of 1:1 at 100003000 1 "));
	CHECK_INT(count_lines("pages of "), 6);
	free(all);
	free(p);
}
