/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration stream into the page store, and what the store wrote read back as CRIU reads it:
 * every page of the final state must be the last one that came. The digest of the final state is
 * taken for right when its first byte is even, since no mutation would hit it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <xxhash.h>

#include "../unit/image_tool.h"
#include "base/dir.h"
#include "memory/state.h"
#include "records.h"
#include "restore/store.h"
#include "stream/reader.h"

FUZZ_FORMAT(fuzz_records)

enum { MODEL = 4096, MEMORY = 8 << 20 };

struct page {
	struct dm_object o;
	uint64_t addr, sum;
};

/* A stream on its way into a store; pages and wanted are what it told of. */
struct taker {
	struct dm_store *store;
	enum dm_segment_kind kind;
	struct page page[MODEL], wanted[MODEL];
	size_t pages, n_wanted;
	bool whole; /* the model holds all of it */
};

static struct taker t;
static const uint8_t *right; /* the digest that is taken for right */
static uint64_t right_pages;

/* The linker's --wrap puts these in the place of the real ones. */
int __wrap_sysinfo(struct sysinfo *i);
uint64_t __real_dm_state_finish(struct dm_state *s, uint8_t out[DM_DIGEST]);
uint64_t __wrap_dm_state_finish(struct dm_state *s, uint8_t out[DM_DIGEST]);

/* A host with little memory, so that no input takes long. */
int __wrap_sysinfo(struct sysinfo *i)
{
	*i = (struct sysinfo){.totalram = MEMORY, .mem_unit = 1};
	return 0;
}

uint64_t __wrap_dm_state_finish(struct dm_state *s, uint8_t out[DM_DIGEST])
{
	uint64_t n = __real_dm_state_finish(s, out);

	if (!right)
		return n;
	memcpy(out, right, DM_DIGEST);
	return right_pages;
}

static int on_segment(void *ctx, const struct dm_segment *s, struct dm_err *err)
{
	(void)ctx;
	(void)err;
	t.kind = s->kind;
	return 0;
}

static int on_round_begin(void *ctx, uint32_t number, struct dm_err *err)
{
	(void)ctx;
	(void)number;
	return dm_store_round(t.store, t.kind == DM_FINAL, err);
}

static struct page *find(struct dm_object o, uint64_t addr)
{
	for (size_t i = 0; i < t.pages; i++)
		if (t.page[i].o.kind == o.kind && t.page[i].o.id == o.id && t.page[i].addr == addr)
			return &t.page[i];
	return NULL;
}

static int on_pages(void *ctx, struct dm_object o, uint64_t addr, uint32_t count, const void *bytes,
		    struct dm_err *err)
{
	static const uint8_t zeros[DM_PAGE];

	(void)ctx;
	if (dm_store_pages(t.store, o, addr, count, bytes, err))
		return -1;
	HOLDS(count <= 8 * MEMORY / DM_PAGE);
	if (count > MODEL - t.pages)
		t.whole = false;
	for (uint32_t i = 0; t.whole && i < count; i++, addr += DM_PAGE) {
		const uint8_t *p = bytes ? (const uint8_t *)bytes + (size_t)i * DM_PAGE : zeros;
		struct page *known = find(o, addr);

		if (!known)
			known = &t.page[t.pages++];
		*known = (struct page){o, addr, XXH3_64bits(p, DM_PAGE)};
	}
	return 0;
}

static int on_file(void *ctx, const char *name, uint64_t offset, const void *bytes, size_t len,
		   struct dm_err *err)
{
	(void)ctx;
	return dm_store_file(t.store, name, offset, bytes, len, err);
}

static int on_object(void *ctx, struct dm_object o, const struct dm_run *runs, size_t n,
		     struct dm_err *err)
{
	(void)ctx;
	if (dm_store_object(t.store, o, runs, n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (runs[i].pages > MODEL - t.n_wanted)
			t.whole = false;
		for (uint32_t k = 0; t.whole && k < runs[i].pages; k++)
			t.wanted[t.n_wanted++] =
				(struct page){o, runs[i].addr + (uint64_t)k * DM_PAGE, 0};
	}
	return 0;
}

/* Read back what is wanted; of many pages, some. */
static void compare(void)
{
	size_t step = t.n_wanted > 64 ? 17 : 1;
	uint8_t got[DM_PAGE];
	char images[300];

	snprintf(images, sizeof(images), "%s/stage/images", fuzz_folder());
	for (size_t i = 0; i < t.n_wanted; i += step) {
		const struct page *w = &t.wanted[i], *sent = find(w->o, w->addr);

		HOLDS(sent);
		HOLDS(image_page(images, w->o, w->addr, got));
		HOLDS(XXH3_64bits(got, DM_PAGE) == sent->sum);
	}
}

static int on_digest(void *ctx, const uint8_t digest[DM_DIGEST], uint64_t pages, struct dm_err *err)
{
	int ret;

	(void)ctx;
	right = digest[0] % 2 ? NULL : digest;
	right_pages = pages;
	ret = dm_store_finish(t.store, digest, pages, err);
	if (ret == 0 && t.whole)
		compare();
	return ret;
}

static const struct dm_stream_ops ops = {
	.segment = on_segment,
	.round_begin = on_round_begin,
	.pages = on_pages,
	.file = on_file,
	.object = on_object,
	.digest = on_digest,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int folder = -1;
	struct dm_err err = {0};
	int stage;

	if (folder < 0)
		folder = open(fuzz_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(mkdirat(folder, "stage", 0700) == 0);
	stage = openat(folder, "stage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.store = dm_store_new(stage, 7, &err);
	t.pages = t.n_wanted = 0;
	t.whole = true;
	HOLDS(stage >= 0 && t.store);
	if (dm_stream_read(fuzz_fd(data, size), &ops, NULL, &err))
		HOLDS(err.msg[0]);
	dm_store_free(t.store);
	close(stage);
	HOLDS(fuzz_lent == 0 && dm_dir_remove(folder, "stage", &err) == 0);
	return 0;
}
