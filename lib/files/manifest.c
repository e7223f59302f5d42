/* SPDX-License-Identifier: Apache-2.0 */
#include "files/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/io.h"
#include "base/le.h"
#include "files/blocks.h"
#include "files/tree.h"

/*
 * The file, little-endian:
 *	magic (8) seed (8) entries (4) zero (4) bytes of names (8) fingerprints (8)
 *	the entries, ENTRY_SIZE bytes each
 *	the names, each with its NUL, in the order of the entries
 *	the fingerprints, DM_SUM_SIZE bytes each
 *	XXH3 with 64 bits of all before (8)
 * Where names begin and which children a folder has follows from the order.
 */
static const char magic[8] = {'D', 'M', 'f', 'i', 'l', 'e', 's', '1'};

enum { HEAD_SIZE = 40, ENTRY_SIZE = 88, CHECK_SIZE = 8 };
static const size_t file_cap = (size_t)4 << 30;

struct dm_manifest *dm_manifest_new(struct dm_err *err)
{
	struct dm_manifest *m = calloc(1, sizeof(*m));

	if (!m) {
		dm_fail_errno(err, "allocate a manifest");
		return NULL;
	}
	if (getrandom(&m->seed, sizeof(m->seed), 0) != sizeof(m->seed)) {
		dm_fail_errno(err, "get random bytes");
		free(m);
		return NULL;
	}
	return m;
}

void dm_manifest_free(struct dm_manifest *m)
{
	if (!m)
		return;
	free(m->file);
	dm_buf_free(&m->names);
	dm_buf_free(&m->sums);
	free(m);
}

/* Room for one more entry. */
static int grow(struct dm_manifest *m, struct dm_err *err)
{
	struct dm_file *bigger;
	uint32_t size;

	if (m->count < m->size)
		return 0;
	if (m->size > UINT32_MAX / 4)
		return dm_fail(err, DM_UNFIT, "more than %u files", m->size);
	size = m->size ? m->size * 2 : 64;
	bigger = realloc(m->file, size * sizeof(*bigger));
	if (!bigger)
		return dm_fail_errno(err, "allocate %u entries of a manifest", size);
	m->file = bigger;
	m->size = size;
	return 0;
}

uint32_t dm_manifest_add(struct dm_manifest *m, uint32_t parent, const char *name,
			 struct dm_err *err)
{
	size_t at = m->names.len;
	uint32_t i = m->count;

	if (grow(m, err) || dm_buf_add(&m->names, name, strlen(name) + 1, err))
		return DM_FILE_NONE;
	m->file[i] = (struct dm_file){.parent = parent, .name = at};
	m->count++;
	if (i > 0 && m->file[parent].count++ == 0)
		m->file[parent].first = i;
	return i;
}

const char *dm_manifest_name(const struct dm_manifest *m, uint32_t i)
{
	return m->names.data + m->file[i].name;
}

int dm_manifest_path(const struct dm_manifest *m, uint32_t i, char *out, size_t size)
{
	size_t at = size - 1;
	int ret = 0;

	out[at] = '\0';
	for (bool first = true; first || i > 0; first = false, i = m->file[i].parent) {
		const char *name = dm_manifest_name(m, i);
		size_t n = strlen(name);

		if (n + !first > at) {
			ret = -1;
			break;
		}
		if (!first)
			out[--at] = '/';
		at -= n;
		memcpy(out + at, name, n);
	}
	memmove(out, out + at, size - at);
	return ret;
}

static void put_entry(unsigned char *p, const struct dm_file *f)
{
	dm_put64(p, f->dev);
	dm_put64(p + 8, f->ino);
	dm_put64(p + 16, f->rdev);
	dm_put64(p + 24, f->size);
	dm_put64(p + 32, (uint64_t)f->mtime);
	dm_put64(p + 40, (uint64_t)f->ctime);
	dm_put64(p + 48, f->sum);
	dm_put32(p + 56, f->mtime_ns);
	dm_put32(p + 60, f->ctime_ns);
	dm_put32(p + 64, f->mode);
	dm_put32(p + 68, f->uid);
	dm_put32(p + 72, f->gid);
	dm_put32(p + 76, f->nlink);
	dm_put32(p + 80, f->flags);
	dm_put32(p + 84, f->parent);
}

static void get_entry(const unsigned char *p, struct dm_file *f)
{
	f->dev = dm_get64(p);
	f->ino = dm_get64(p + 8);
	f->rdev = dm_get64(p + 16);
	f->size = dm_get64(p + 24);
	f->mtime = (int64_t)dm_get64(p + 32);
	f->ctime = (int64_t)dm_get64(p + 40);
	f->sum = dm_get64(p + 48);
	f->mtime_ns = dm_get32(p + 56);
	f->ctime_ns = dm_get32(p + 60);
	f->mode = dm_get32(p + 64);
	f->uid = dm_get32(p + 68);
	f->gid = dm_get32(p + 72);
	f->nlink = dm_get32(p + 76);
	f->flags = dm_get32(p + 80);
	f->parent = dm_get32(p + 84);
}

int dm_manifest_save(const struct dm_manifest *m, int dirfd, const char *name, struct dm_err *err)
{
	struct dm_buf b = {0};
	unsigned char head[HEAD_SIZE] = {0}, entry[ENTRY_SIZE], check[CHECK_SIZE];
	int ret = -1;

	memcpy(head, magic, sizeof(magic));
	dm_put64(head + 8, m->seed);
	dm_put32(head + 16, m->count);
	dm_put64(head + 24, m->names.len);
	dm_put64(head + 32, m->sums.len / DM_SUM_SIZE);
	if (dm_buf_add(&b, head, sizeof(head), err))
		goto out;
	for (uint32_t i = 0; i < m->count; i++) {
		put_entry(entry, &m->file[i]);
		if (dm_buf_add(&b, entry, sizeof(entry), err))
			goto out;
	}
	if (dm_buf_add(&b, m->names.data, m->names.len, err) ||
	    dm_buf_add(&b, m->sums.data, m->sums.len, err))
		goto out;
	dm_put64(check, XXH3_64bits(b.data, b.len));
	if (dm_buf_add(&b, check, sizeof(check), err))
		goto out;
	ret = dm_write_file(dirfd, name, b.data, b.len, err);
out:
	dm_buf_free(&b);
	return ret;
}

/* Whether the last entry that was added can stand where it stands. */
static bool entry_ok(const struct dm_manifest *m, uint64_t nsums)
{
	uint32_t i = m->count - 1;
	const struct dm_file *f = &m->file[i], *before = f - 1;
	const char *name = dm_manifest_name(m, i);

	if (f->flags & ~(uint32_t)DM_FILE_ALL_FLAGS)
		return false;
	if (f->flags & DM_FILE_SUMS && (!S_ISREG(f->mode) || f->size > DM_BLOCK_MAX_SIZE ||
					f->sum > nsums || dm_block_count(f->size) > nsums - f->sum))
		return false;
	if (i == 0)
		return S_ISDIR(f->mode) && f->parent == 0 && !strcmp(name, ".");
	if (!dm_tree_path_ok(name) || strchr(name, '/') || !strcmp(name, "."))
		return false;
	if (!S_ISDIR(m->file[f->parent].mode) || (i > 1 && f->parent < before->parent))
		return false;
	return i == 1 || f->parent != before->parent ||
	       strcmp(dm_manifest_name(m, i - 1), name) < 0;
}

/* Take the entries out of the bytes at p, which are as many as the head says. */
static int get_entries(struct dm_manifest *m, const unsigned char *p, uint32_t count,
		       const char *names, size_t names_len, uint64_t nsums, struct dm_err *err)
{
	for (uint32_t i = 0; i < count; i++, p += ENTRY_SIZE) {
		size_t n = strnlen(names, names_len);
		struct dm_file f = {0};
		uint32_t at;

		get_entry(p, &f);
		if (n == names_len || f.parent > i || (i > 0 && f.parent == i))
			return 1;
		at = dm_manifest_add(m, f.parent, names, err);
		if (at == DM_FILE_NONE)
			return -1;
		f.name = m->file[at].name;
		m->file[at] = f;
		if (!entry_ok(m, nsums))
			return 1;
		names += n + 1;
		names_len -= n + 1;
	}
	return names_len != 0 || count == 0;
}

struct dm_manifest *dm_manifest_load(int dirfd, const char *name, struct dm_err *err)
{
	struct dm_manifest *m = NULL;
	uint64_t count, names_len, nsums, rest;
	size_t len = 0;
	char *data;
	int ret = 1;

	data = dm_read_file(dirfd, name, file_cap, &len, err);
	if (!data) {
		dm_fail_prefix(err, "manifest");
		return NULL;
	}
	if (len < HEAD_SIZE + CHECK_SIZE || memcmp(data, magic, sizeof(magic)) ||
	    dm_get64(data + len - CHECK_SIZE) != XXH3_64bits(data, len - CHECK_SIZE))
		goto out;
	count = dm_get32(data + 16);
	names_len = dm_get64(data + 24);
	nsums = dm_get64(data + 32);
	rest = len - HEAD_SIZE - CHECK_SIZE;
	if (count * ENTRY_SIZE > rest || names_len > rest - count * ENTRY_SIZE ||
	    nsums > rest / DM_SUM_SIZE ||
	    count * ENTRY_SIZE + names_len + nsums * DM_SUM_SIZE != rest)
		goto out;
	m = dm_manifest_new(err);
	if (!m) {
		ret = -1;
		goto out;
	}
	m->seed = dm_get64(data + 8);
	ret = get_entries(m, (unsigned char *)data + HEAD_SIZE, (uint32_t)count,
			  data + HEAD_SIZE + count * ENTRY_SIZE, names_len, nsums, err);
	if (ret == 0)
		ret = dm_buf_add(&m->sums, data + len - CHECK_SIZE - nsums * DM_SUM_SIZE,
				 nsums * DM_SUM_SIZE, err);
out:
	free(data);
	if (ret == 0)
		return m;
	if (ret > 0)
		dm_fail(err, DM_FAILURE, "manifest %s: it is damaged or not a manifest", name);
	dm_manifest_free(m);
	return NULL;
}
