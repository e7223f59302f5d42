/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (PAGES_SIZE / 8)
#define STEP 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	x = (x ^ (x >> 29)) * 0xa0761d6478bd642fu;
	return x ^ (x >> 32);
}

uint64_t pages_random(uint64_t *state)
{
	return mix(*state += STEP);
}

/* id is what the page says of itself: region and page number. */
static void content(uint64_t seed, uint64_t id, uint64_t gen, uint64_t *out)
{
	uint64_t x = mix(seed + mix(id + mix(gen)));

	for (unsigned i = 0; i < WORDS / 2; i += 2) {
		out[i] = id;
		out[i + 1] = gen;
	}
	for (unsigned i = WORDS / 2; i < WORDS; i++)
		out[i] = mix(x + i * STEP);
}

static uint64_t page_id(const struct pages *r, uint64_t page)
{
	return r->id << 48 | page;
}

static void write_page(struct pages *r, uint64_t page, uint32_t gen)
{
	uint64_t now[WORDS];

	content(r->seed, page_id(r, page), gen, now);
	memcpy(r->mem + page * PAGES_SIZE, now, PAGES_SIZE);
}

static bool take(struct pages *r, uint64_t page)
{
	return !atomic_exchange_explicit(&r->table->lock[page % PAGES_LOCKS], 1,
					 memory_order_acquire);
}

static void drop(struct pages *r, uint64_t page)
{
	atomic_store_explicit(&r->table->lock[page % PAGES_LOCKS], 0, memory_order_release);
}

static void describe(const uint64_t *want, const uint64_t *have, struct pages_bad *bad)
{
	const uint8_t *w = (const uint8_t *)want, *h = (const uint8_t *)have;
	uint64_t as_said[WORDS];

	bad->found_page = have[0] & 0xffffffffffffu;
	bad->found = have[1];
	content(bad->region->seed, have[0], have[1], as_said);
	bad->whole = !memcmp(as_said, have, PAGES_SIZE);
	for (unsigned i = PAGES_SIZE; i-- > 0;) {
		if (w[i] == h[i])
			continue;
		bad->bytes++;
		bad->first_byte = i;
	}
}

/* With the page's lock held. */
static void verify(struct pages *r, uint64_t page, pages_report *report)
{
	struct pages_bad bad = {.region = r, .page = page, .expected = r->table->gen[page]};
	uint64_t want[WORDS], have[WORDS];

	content(r->seed, page_id(r, page), bad.expected, want);
	if (!memcmp(want, r->mem + page * PAGES_SIZE, PAGES_SIZE))
		return;
	memcpy(have, r->mem + page * PAGES_SIZE, PAGES_SIZE);
	describe(want, have, &bad);
	atomic_fetch_add(&r->table->bad, 1);
	write_page(r, page, bad.expected);
	report(&bad);
}

int pages_open(struct pages *r, const char *name, uint64_t id, uint64_t seed, uint64_t count,
	       uint64_t set, bool shared, struct dm_err *err)
{
	int flags = MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE);
	size_t table = sizeof(*r->table) + count * sizeof(r->table->gen[0]);
	void *mem, *tab;

	mem = mmap(NULL, count * PAGES_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (mem == MAP_FAILED)
		return dm_fail_errno(err, "map %s memory", name);
	tab = mmap(NULL, table, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (tab == MAP_FAILED) {
		munmap(mem, count * PAGES_SIZE);
		return dm_fail_errno(err, "map the table of %s memory", name);
	}
	*r = (struct pages){name, count, set, mem, tab, id, mix(seed)};
	for (uint64_t p = 0; p < count; p++) {
		r->table->gen[p] = 1;
		write_page(r, p, 1);
	}
	atomic_store(&r->table->writes, count);
	return 0;
}

bool pages_dirty(struct pages *r, uint64_t rnd, pages_report *report)
{
	uint64_t page = rnd % r->set;

	if (!take(r, page))
		return false;
	verify(r, page, report);
	write_page(r, page, ++r->table->gen[page]);
	atomic_fetch_add(&r->table->writes, 1);
	drop(r, page);
	return true;
}

void pages_glance(struct pages *r, uint64_t rnd, pages_report *report)
{
	uint64_t page = rnd % r->count;

	if (!take(r, page))
		return;
	verify(r, page, report);
	drop(r, page);
}

bool pages_check(struct pages *r, pages_report *report)
{
	uint64_t before = atomic_load(&r->table->writes), sum = 0, after;

	for (uint64_t p = 0; p < r->count; p++) {
		while (!take(r, p))
			sched_yield();
		verify(r, p, report);
		sum += r->table->gen[p];
		drop(r, p);
	}
	/* Writes before the check are all in the sum, and none that came after it. */
	after = atomic_load(&r->table->writes);
	if (before <= sum && sum <= after)
		return true;
	atomic_fetch_add(&r->table->bad, 1);
	return false;
}
