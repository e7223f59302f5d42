/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU's pagemap images: made by hand, parsed, written, damaged. */
#include "test.h"

#include <stdbool.h>

#include "base/le.h"
#include "memory/pagemap.h"
#include "tool.h"

static struct dm_err err;

/* An image under construction. */
static uint8_t image[1 << 16];
static size_t len;

static void varint(uint8_t *m, size_t *n, uint64_t v)
{
	do
		m[(*n)++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
	while (v >>= 7);
}

static void field(uint8_t *m, size_t *n, unsigned number, uint64_t v)
{
	varint(m, n, number << 3);
	varint(m, n, v);
}

static void message(const uint8_t *m, size_t n)
{
	dm_put32(image + len, (uint32_t)n);
	memcpy(image + len + 4, m, n);
	len += 4 + n;
}

static void head(uint32_t id)
{
	uint8_t m[16];
	size_t n = 0;

	dm_put32(image, 0x54564319);
	dm_put32(image + 4, 0x56084025);
	len = 8;
	field(m, &n, 1, id);
	message(m, n);
}

enum { NONE = -1 };

/* An entry; fields of NONE are left out. */
static void entry(int64_t addr, int64_t old_pages, int64_t in_parent, int64_t flags, int64_t pages)
{
	const int64_t f[] = {0, addr, old_pages, in_parent, flags, pages};
	uint8_t m[64];
	size_t n = 0;

	for (unsigned i = 1; i < 6; i++)
		if (f[i] != NONE)
			field(m, &n, i, (uint64_t)f[i]);
	message(m, n);
}

static int parse(struct dm_pagemap *p)
{
	err = (struct dm_err){0};
	return dm_pagemap_parse(image, len, "it", p, &err);
}

/* Whether what is in image is refused, with the name in the message. */
static bool refused(void)
{
	struct dm_pagemap p;

	if (parse(&p) == 0) {
		dm_pagemap_free(&p);
		return false;
	}
	CHECK(!strncmp(err.msg, "it: ", 4));
	CHECK(!p.runs && !p.n);
	return true;
}

TEST(entries_of_today_and_of_old)
{
	struct dm_pagemap p;

	head(300);
	entry(0x1000, 2, NONE, DM_PE_PRESENT, NONE);	       /* CRIU before 4.0 */
	entry(0x8000, 1, NONE, DM_PE_PRESENT | DM_PE_LAZY, 1); /* today */
	entry(0x9000, 7, NONE, DM_PE_PARENT, 3);	       /* the newer count counts */
	entry(0x20000, 1, 1, NONE, NONE);		       /* the oldest: in_parent alone */
	entry(0x21000, 1, 0, NONE, NONE);		       /* ... and present */
	entry(0x22000, 1, NONE, NONE, NONE);		       /* ... without any flag */
	entry(0x30000, 1, 1, DM_PE_PARENT, 1);		       /* both ways, as we write it */
	entry(0x31000, 1, 1, DM_PE_PRESENT, NONE);	       /* in_parent speaks louder */
	entry(0x7ffffffff000, 1, NONE, 0, 1);
	REQUIRE(parse(&p) == 0);
	CHECK_INT(p.pages_id, 300);
	REQUIRE(p.n == 9);
	CHECK(p.runs[0].addr == 0x1000 && p.runs[0].pages == 2 && p.runs[0].flags == DM_PE_PRESENT);
	CHECK_INT(p.runs[1].flags, DM_PE_PRESENT | DM_PE_LAZY);
	CHECK_INT(p.runs[2].pages, 3);
	CHECK_INT(p.runs[2].flags, DM_PE_PARENT);
	CHECK_INT(p.runs[3].flags, DM_PE_PARENT);
	CHECK_INT(p.runs[4].flags, DM_PE_PRESENT);
	CHECK_INT(p.runs[5].flags, DM_PE_PRESENT);
	CHECK_INT(p.runs[6].flags, DM_PE_PARENT);
	CHECK_INT(p.runs[7].flags, DM_PE_PARENT);
	CHECK_INT(p.runs[8].flags, 0);
	CHECK(p.runs[8].addr == 0x7ffffffff000);
	dm_pagemap_free(&p);
	CHECK(!p.runs && !p.n);
	dm_pagemap_free(&p);
}

TEST(what_is_put_is_parsed)
{
	struct dm_buf b = {0};
	struct dm_run runs[500];
	struct dm_pagemap p;
	uint64_t at = 0;

	CHECK_INT(dm_pagemap_put_head(&b, 4000000000u, &err), 0);
	for (size_t i = 0; i < 500; i++) {
		static const uint32_t flags[] = {DM_PE_PRESENT, DM_PE_PARENT, DM_PE_LAZY | 4};

		at += (chance() >> (40 + pick(20))) * DM_PAGE;
		runs[i] = (struct dm_run){at, 1 + (uint32_t)(chance() >> (40 + pick(24))),
					  flags[pick(3)]};
		at += (uint64_t)runs[i].pages * DM_PAGE;
		REQUIRE(dm_pagemap_put(&b, &runs[i], &err) == 0);
	}
	REQUIRE(dm_pagemap_parse(b.data, b.len, "it", &p, &err) == 0);
	CHECK_INT(p.pages_id, 4000000000u);
	REQUIRE(p.n == 500);
	for (size_t i = 0; i < 500; i++)
		CHECK(p.runs[i].addr == runs[i].addr && p.runs[i].pages == runs[i].pages &&
		      p.runs[i].flags == runs[i].flags);
	dm_pagemap_free(&p);
	dm_buf_free(&b);
}

/* Byte for byte what CRIU 4 writes, but for "in parent", which only older readers need. */
TEST(what_is_put_is_what_criu_reads)
{
	static const uint8_t want[] = "\x19\x43\x56\x54\x25\x40\x08\x56"
				      "\x02\0\0\0\x08\x05"
				      "\x09\0\0\0\x08\x80\x20\x10\x03\x20\x04\x28\x03";
	struct dm_run run = {0x1000, 3, DM_PE_PRESENT};
	struct dm_buf b = {0};

	dm_pagemap_put_head(&b, 5, &err);
	dm_pagemap_put(&b, &run, &err);
	CHECK(b.len == sizeof(want) - 1 && !memcmp(b.data, want, b.len));
	run.flags = DM_PE_PARENT;
	b.len = 14;
	dm_pagemap_put(&b, &run, &err);
	head(5);
	entry(0x1000, 3, 1, DM_PE_PARENT, 3);
	CHECK(b.len == len && !memcmp(b.data, image, len));
	dm_buf_free(&b);
}

TEST(a_cut_at_every_byte)
{
	size_t ends[16], n = 0, all;
	struct dm_pagemap p;

	head(3);
	ends[n++] = len;
	for (int i = 0; i < 5; i++) {
		entry((i * 9 + 1) * DM_PAGE, 1 + i, i % 2 ? 1 : NONE, i % 3 ? 4 : NONE, 1 + i);
		ends[n++] = len;
	}
	all = len;
	for (size_t cut = 0, k = 0; cut <= all; cut++) {
		/* a copy of just that size, so that a read behind it is seen */
		uint8_t *copy = malloc(cut + 1);

		MUST(copy);
		memcpy(copy, image, cut);
		err = (struct dm_err){0};
		if (dm_pagemap_parse(copy, cut, "it", &p, &err)) {
			if (k < n && cut == ends[k])
				TEST_BAD("the cut behind entry %zu is refused", k);
		} else {
			/* between two entries nothing tells of the cut; the final state will */
			if (k == n || cut != ends[k] || p.n != k)
				TEST_BAD("the cut at byte %zu is taken", cut);
			dm_pagemap_free(&p);
		}
		k += k < n && cut == ends[k];
		free(copy);
	}
}

TEST(a_change_of_every_byte_is_refused_or_read_safely)
{
	struct dm_pagemap p;
	size_t all;

	head(3);
	for (int i = 0; i < 5; i++)
		entry((i * 9 + 1) * DM_PAGE, 1 + i, i % 2 ? 1 : NONE, i % 3 ? 4 : NONE, 1 + i);
	all = len;
	for (size_t at = 0; at < all; at++)
		for (int v = 1; v < 256; v++) {
			image[at] ^= (uint8_t)v;
			if (parse(&p) == 0) {
				for (size_t i = 0; i < p.n; i++)
					CHECK(p.runs[i].pages > 0 &&
					      p.runs[i].addr % DM_PAGE == 0 &&
					      (i == 0 ||
					       p.runs[i].addr >=
						       p.runs[i - 1].addr +
							       (uint64_t)p.runs[i - 1].pages *
								       DM_PAGE));
				CHECK(at >= 8);
				dm_pagemap_free(&p);
			}
			image[at] ^= (uint8_t)v;
		}
}

TEST(heads_that_are_wrong)
{
	head(0);
	CHECK(refused());
	head(1);
	image[0] ^= 1;
	CHECK(refused());
	head(1);
	image[7] ^= 1;
	CHECK(refused());
	head(1);
	len = 8; /* no message at all */
	CHECK(refused());
	head(1);
	len = 8;
	message((const uint8_t *)"", 0);
	CHECK(refused());
	head(1);
	len = 8;
	message((const uint8_t *)"\x10\x05", 2); /* field 2 only */
	CHECK(refused());
	len = 0;
	CHECK(refused());
}

TEST(entries_that_are_wrong)
{
	static const struct {
		int64_t f[5];
	} bad[] = {
		{{NONE, 1, NONE, 4, 1}},      /* no address */
		{{0x1000, NONE, NONE, 4, 1}}, /* no count of old */
		{{0x1001, 1, NONE, 4, 1}},    /* in the middle of a page */
		{{0x1800, 1, NONE, 4, 1}},
		{{0x1000, 0, NONE, 4, NONE}}, /* no pages */
		{{0x1000, 1, NONE, 4, 0}},
		{{0x1000, 1, NONE, 4, 0x100000000}}, /* too many */
		{{0x1000, 0x100000000, NONE, 4, NONE}},
		{{0x1000, 1, NONE, 5, 1}},  /* here, and in the parent, too */
		{{-0x1000, 2, NONE, 4, 2}}, /* over the end of all addresses */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const int64_t *f = bad[i].f;

		head(1);
		entry(f[0], f[1], f[2], f[3], f[4]);
		if (!refused())
			TEST_BAD("entry %zu is taken", i);
	}
	head(1);
	entry(0x1000, 2, NONE, 4, 2);
	entry(0x2000, 1, NONE, 4, 1); /* over the one before */
	CHECK(refused());
	head(1);
	entry(0x2000, 1, NONE, 4, 1);
	entry(0x1000, 1, NONE, 4, 1); /* before it */
	CHECK(refused());
	head(1);
	entry(0x1000, 1, NONE, 4, 1);
	entry(0x1000, 1, NONE, 4, 1); /* the same */
	CHECK(refused());
}

/* One entry, as these bytes, behind a good head. */
static bool bytes_refused(const char *m, size_t n)
{
	head(1);
	message((const uint8_t *)m, n);
	return refused();
}

#define REFUSED(text) bytes_refused(text, sizeof(text) - 1)
#define GOOD "\x08\x80\x20\x10\x01"

TEST(messages_that_are_malformed)
{
	char big[300] = GOOD;

	CHECK(!REFUSED(GOOD));
	CHECK(REFUSED(""));
	CHECK(REFUSED(GOOD "\x20"));	 /* a key without its value */
	CHECK(REFUSED(GOOD "\x20\x80")); /* a varint that does not end */
	CHECK(REFUSED(GOOD "\x80"));	 /* as a key */
	CHECK(!REFUSED(GOOD "\x20\x84\x80\x80\x80\x80\x80\x80\x80\x80\x00")); /* ten bytes */
	CHECK(REFUSED(GOOD "\x20\x84\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
	CHECK(!REFUSED(GOOD "\x78\x05"));	      /* field 15: of the future */
	CHECK(!REFUSED(GOOD "\x7a\x03\x61\x62\x63")); /* bytes */
	CHECK(REFUSED(GOOD "\x7a\x04\x61\x62\x63"));
	CHECK(REFUSED(GOOD "\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	CHECK(!REFUSED(GOOD "\x79\x01\x02\x03\x04\x05\x06\x07\x08"));
	CHECK(REFUSED(GOOD "\x79\x01\x02\x03\x04\x05\x06\x07"));
	CHECK(!REFUSED(GOOD "\x7d\x01\x02\x03\x04"));
	CHECK(REFUSED(GOOD "\x7d\x01\x02\x03"));
	CHECK(REFUSED(GOOD "\x7b")); /* groups */
	CHECK(REFUSED(GOOD "\x7c"));
	CHECK(REFUSED(GOOD "\x7e"));
	CHECK(REFUSED(GOOD "\x7f"));
	CHECK(bytes_refused(big, sizeof(big))); /* longer than any message */
	head(1);
	dm_put32(image + len, UINT32_MAX);
	len += 4;
	CHECK(refused());
}

TEST(names_of_pagemaps)
{
	static const char *const no[] = {"pagemap-.img",
					 "pagemap-1.im",
					 "pagemap-1.imgx",
					 "pagemap-x.img",
					 "pagemap-shmem-.img",
					 "pages-1.img",
					 "pagemap-1",
					 "xpagemap-1.img",
					 "pagemap-1.img ",
					 "pagemap-shmem-x.img",
					 "pagemap--1.img",
					 "pagemap-+1.img",
					 "pagemap- 1.img",
					 "pagemap-01.img",
					 "",
					 "pagemap-shmem- 1.img",
					 "pagemap-18446744073709551616.img"};
	struct dm_object o;
	char out[DM_NAME_MAX + 1];

	CHECK(dm_pagemap_name("pagemap-1.img", &o) && o.kind == DM_PROCESS && o.id == 1);
	CHECK(dm_pagemap_name("pagemap-0.img", &o) && o.kind == DM_PROCESS && o.id == 0);
	CHECK(dm_pagemap_name("pagemap-shmem-77.img", &o) && o.kind == DM_SHMEM && o.id == 77);
	CHECK(dm_pagemap_name("pagemap-shmem-18446744073709551615.img", &o) && o.id == UINT64_MAX);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (dm_pagemap_name(no[i], &o))
			TEST_BAD("\"%s\" is taken", no[i]);
	dm_pagemap_file((struct dm_object){DM_PROCESS, 12}, out);
	CHECK_STR(out, "pagemap-12.img");
	dm_pagemap_file((struct dm_object){DM_SHMEM, UINT64_MAX}, out);
	CHECK_STR(out, "pagemap-shmem-18446744073709551615.img");
}
