/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are mapped shared and writable, whatever they are called. */
#include "test.h"

#include "base/json.h"
#include "source/mapped.h"
#include "tool.h"

static struct dm_err err;

/* This process as a container with one volume, which is at the same path inside. */
static struct dm_container self(const char *volume)
{
	struct dm_container c = {.upper = "/nowhere"};
	FILE *f;

	snprintf(c.cgroup.path, sizeof(c.cgroup.path), "%s", fresh_folder());
	f = fdopen(openat(open_folder(c.cgroup.path), "cgroup.procs", O_WRONLY | O_CREAT, 0600),
		   "w");
	MUST(f && fprintf(f, "%ld\n", (long)getpid()) > 0 && fclose(f) == 0);
	c.inspect =
		json_pack("{s:[{s:s, s:s}]}", "Mounts", "Source", volume, "Destination", volume);
	return c;
}

/* A new file of a page in the folder, mapped. */
static struct stat map(int folder, const char *name, int flags)
{
	int fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	MUST(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
	MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0) != MAP_FAILED);
	close(fd);
	return st;
}

TEST(mapped_files_are_found_by_any_name)
{
	static const char *const names[] = {"plain",	 "two words", " (deleted)",
					    "new\nline", "\n\n",      "back\\012",
					    "b\\\n",	 "\\",	      "end "};
	const char *volume = fresh_folder();
	struct dm_container c = self(volume);
	int folder = open_folder(volume);
	struct stat st[sizeof(names) / sizeof(*names)], other;
	struct dm_mapped *m;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		st[i] = map(folder, names[i], MAP_SHARED);
	other = map(folder, "private", MAP_PRIVATE);
	m = dm_mapped_find(&c, &err);
	REQUIRE(m);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!dm_mapped_has(m, st[i].st_dev, st[i].st_ino))
			TEST_BAD("\"%s\" is not found", names[i]);
	CHECK(!dm_mapped_has(m, other.st_dev, other.st_ino));
	dm_mapped_free(m);
	json_decref(c.inspect);
	close(folder);
}
