/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests on disk. */

#include "files/tree.h"
#include "files_tool.h"

/* Save t.old and load it again in its place. Returns 0; -1. */
static int save_and_load(struct trees *t, int dir)
{
	struct dm_manifest *m;

	if (dm_manifest_save(t->old, dir, "m", &t->err))
		return -1;
	m = dm_manifest_load(dir, "m", &t->err);
	if (!m)
		return -1;
	dm_manifest_free(t->old);
	t->old = m;
	return 0;
}

static int base_of(const struct trees *t)
{
	return open(t->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(a_manifest_comes_back_as_it_was)
{
	struct trees t;
	char path[DM_TREE_PATH_MAX];
	int dir;

	REQUIRE(trees_open(&t, NULL) == 0);
	dir = base_of(&t);
	CHECK(in_src(&t, "mkdir -p a/b/c z; echo 1 >a/b/c/f; ln a/b/c/f l; ln -s x s; mkfifo z/p;"
			 "head -c 300000 /dev/urandom >big; echo n >\"$(printf 'n\\nl\\377')\";"
			 "echo sp >'a b'; mknod dev c 300 70000; touch -d 1950-01-01 old") == 0);
	settle();
	CHECK(trees_pass(&t) == 0);
	CHECK(save_and_load(&t, dir) == 0);
	CHECK_INT(t.old->count, 14);
	CHECK(dm_manifest_path(t.old, t.old->count - 1, path, sizeof(path)) == 0);
	CHECK_STR(path, "a/b/c/f");
	CHECK(dm_manifest_path(t.old, 0, path, sizeof(path)) == 0);
	CHECK_STR(path, ".");
	CHECK(dm_manifest_path(t.old, t.old->count - 1, path, 8) == 0);
	CHECK(dm_manifest_path(t.old, t.old->count - 1, path, 7) < 0);
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.sent, 0);
	CHECK_INT(t.packed.checked, 0);
	CHECK(save_and_load(&t, dir) == 0);
	CHECK(in_src(&t, "printf x | dd of=big bs=1 seek=100000 conv=notrunc status=none;"
			 "rm -r a; chmod 600 l") == 0);
	CHECK(trees_pass(&t) == 0);
	CHECK_INT(t.packed.bytes, 65536 + 2);
	CHECK(alike(&t));
	close(dir);
	trees_close(&t);
}

TEST(a_missing_manifest_is_named)
{
	struct trees t;
	int dir;

	REQUIRE(trees_open(&t, NULL) == 0);
	dir = base_of(&t);
	CHECK(dm_manifest_load(dir, "nowhere", &t.err) == NULL);
	CHECK(strstr(t.err.msg, "manifest") && strstr(t.err.msg, "nowhere"));
	close(dir);
	trees_close(&t);
}

TEST(a_damaged_manifest_is_never_taken)
{
	struct trees t;
	size_t len = 0;
	char *good, *bad;
	int dir;

	REQUIRE(trees_open(&t, NULL) == 0);
	dir = base_of(&t);
	CHECK(in_src(&t, "mkdir d; echo 1 >d/f; ln -s x s") == 0);
	CHECK(trees_pack(&t) == 0);
	CHECK(dm_manifest_save(t.old, dir, "m", &t.err) == 0);
	good = dm_read_file(dir, "m", 1 << 20, &len, &t.err);
	REQUIRE(good != NULL);
	bad = malloc(len + 1);
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, good, len);
		bad[i] ^= 0x10;
		CHECK(dm_write_file(dir, "m", bad, len, &t.err) == 0);
		if (dm_manifest_load(dir, "m", &t.err))
			TEST_BAD("byte %zu", i);
		CHECK(dm_write_file(dir, "m", good, i, &t.err) == 0);
		if (dm_manifest_load(dir, "m", &t.err))
			TEST_BAD("cut at %zu", i);
	}
	CHECK(strstr(t.err.msg, "m: it is damaged"));
	memcpy(bad, good, len);
	bad[len] = 0;
	CHECK(dm_write_file(dir, "m", bad, len + 1, &t.err) == 0);
	CHECK(dm_manifest_load(dir, "m", &t.err) == NULL);
	free(good);
	free(bad);
	close(dir);
	trees_close(&t);
}

/* Save a made-up tree of three entries that change() has spoilt. */
static bool is_taken(void (*change)(struct dm_manifest *))
{
	struct trees t;
	struct dm_manifest *m, *back;
	int dir;

	if (trees_open(&t, NULL))
		return true;
	dir = base_of(&t);
	m = dm_manifest_new(&t.err);
	dm_manifest_add(m, 0, ".", &t.err);
	dm_manifest_add(m, 0, "a", &t.err);
	dm_manifest_add(m, 0, "b", &t.err);
	dm_manifest_add(m, 1, "c", &t.err);
	m->file[0].mode = m->file[1].mode = S_IFDIR;
	m->file[2].mode = m->file[3].mode = S_IFREG;
	if (change)
		change(m);
	back = dm_manifest_save(m, dir, "m", &t.err) ? NULL : dm_manifest_load(dir, "m", &t.err);
	dm_manifest_free(m);
	close(dir);
	trees_close(&t);
	dm_manifest_free(back);
	return back != NULL;
}

static void no_root(struct dm_manifest *m)
{
	m->names.data[0] = 'x';
}
static void root_no_folder(struct dm_manifest *m)
{
	m->file[0].mode = S_IFREG;
}
static void parent_no_folder(struct dm_manifest *m)
{
	m->file[3].parent = 2;
}
static void parent_behind(struct dm_manifest *m)
{
	m->file[1].parent = 3;
}
static void own_parent(struct dm_manifest *m)
{
	m->file[1].parent = 1;
}
static void not_in_a_run(struct dm_manifest *m)
{
	m->file[2].parent = 1;
	m->file[3].parent = 0;
}
static void unsorted(struct dm_manifest *m)
{
	m->names.data[m->file[2].name] = 'A';
}
static void doubled(struct dm_manifest *m)
{
	m->names.data[m->file[2].name] = 'a';
}
static void slash(struct dm_manifest *m)
{
	m->names.data[m->file[2].name] = '/';
}
static void dot(struct dm_manifest *m)
{
	m->names.data[m->file[3].name] = '.';
}
static void empty_name(struct dm_manifest *m)
{
	m->names.data[m->file[3].name] = '\0';
}
static void unknown_flag(struct dm_manifest *m)
{
	m->file[3].flags = 1 << 30;
}
static void sums_missing(struct dm_manifest *m)
{
	m->file[3].flags = DM_FILE_SUMS;
	m->file[3].size = 1;
}
static void sums_far_off(struct dm_manifest *m)
{
	m->file[3].flags = DM_FILE_SUMS;
	m->file[3].sum = UINT64_MAX;
}
static void sums_of_a_folder(struct dm_manifest *m)
{
	m->file[1].flags = DM_FILE_SUMS;
}
static void no_entries(struct dm_manifest *m)
{
	m->count = 0;
}

TEST(a_manifest_that_makes_no_sense_is_never_taken)
{
	static void (*const changes[])(struct dm_manifest *) = {
		no_root,      root_no_folder, parent_no_folder, parent_behind, own_parent,
		not_in_a_run, unsorted,	      doubled,		slash,	       dot,
		empty_name,   unknown_flag,   sums_missing,	sums_far_off,  sums_of_a_folder,
		no_entries};

	CHECK(is_taken(NULL));
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		if (is_taken(changes[i]))
			TEST_BAD("change %zu", i);
}
