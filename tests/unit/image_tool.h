/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_IMAGE_TOOL_H
#define DM_IMAGE_TOOL_H

/* A reader of chained pagemap images that shares no code with the library: as CRIU does, level by
 * level through "parent", counting the place of a page in pages-ID.img entry by entry. */

#include <stdbool.h>

#include "stream/format.h"
#include "tool.h"

struct image_entry {
	uint64_t addr, pages, flags;
	uint64_t slot; /* of its first page in the pages image, if it is PRESENT */
};

struct image {
	uint64_t pages_id;
	uint64_t present; /* pages in the pages image */
	size_t n;
	struct image_entry e[4096];
};

enum { IMAGE_PARENT = 1, IMAGE_PRESENT = 4 };

static inline uint64_t image_varint(const uint8_t **p, const uint8_t *end)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		MUST(*p < end && shift < 64);
		v |= (uint64_t)(**p & 0x7f) << shift;
		if (*(*p)++ < 0x80)
			return v;
	}
}

/* Open a file of the folder; -1 when it is not there. */
static inline int image_open(const char *folder, const char *name)
{
	char path[4096];

	MUST(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The pagemap of an object in a folder. Returns false when there is none. Checks what CRIU relies
 * on: ascending entries, and a pages image of the right size. */
static inline bool image_load(const char *folder, struct dm_object o, struct image *m)
{
	char name[64];
	const uint8_t *p, *end;
	uint8_t *all;
	struct stat st;
	uint64_t after = 0;
	size_t len;
	int fd;

	snprintf(name, sizeof(name),
		 o.kind == DM_PROCESS ? "pagemap-%llu.img" : "pagemap-shmem-%llu.img",
		 (unsigned long long)o.id);
	fd = image_open(folder, name);
	if (fd < 0)
		return false;
	all = (uint8_t *)take_all(fd, &len);
	MUST(len > 12 && !memcmp(all, "\x19\x43\x56\x54\x25\x40\x08\x56", 8));
	m->n = 0;
	m->present = 0;
	m->pages_id = 0;
	for (p = all + 8; p < all + len; p = end) {
		uint64_t f[6] = {0};

		end = p + 4 + (p[0] | p[1] << 8);
		MUST(p[2] == 0 && p[3] == 0 && end <= all + len);
		for (p += 4; p < end;) {
			uint64_t key = image_varint(&p, end);

			MUST((key & 7) == 0 && key >> 3 < 6);
			f[key >> 3] = image_varint(&p, end);
		}
		if (!m->pages_id) {
			m->pages_id = f[1];
			MUST(f[1]);
			continue;
		}
		MUST(m->n < sizeof(m->e) / sizeof(*m->e));
		m->e[m->n] = (struct image_entry){f[1], f[5], f[4], m->present};
		MUST(f[1] >= after && f[5] > 0 && f[2] == f[5]);
		MUST((f[4] == IMAGE_PRESENT && !f[3]) || (f[4] == IMAGE_PARENT && f[3] == 1));
		after = f[1] + f[5] * DM_PAGE;
		m->present += f[4] == IMAGE_PRESENT ? f[5] : 0;
		m->n++;
	}
	free(all);
	snprintf(name, sizeof(name), "pages-%llu.img", (unsigned long long)m->pages_id);
	fd = image_open(folder, name);
	MUST(fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == m->present * DM_PAGE);
	close(fd);
	return true;
}

/* Read the page at addr of object o, beginning in folder. Returns false when it is nowhere. */
static inline bool image_page(const char *folder, struct dm_object o, uint64_t addr,
			      uint8_t page[DM_PAGE])
{
	struct image *m = malloc(sizeof(*m));
	char path[4096], *parent;
	bool found = false;

	MUST(m);
	if (!image_load(folder, o, m))
		goto out;
	for (size_t i = 0; i < m->n; i++) {
		const struct image_entry *e = &m->e[i];

		if (addr < e->addr || addr >= e->addr + e->pages * DM_PAGE)
			continue;
		if (e->flags == IMAGE_PRESENT) {
			uint64_t slot = e->slot + (addr - e->addr) / DM_PAGE;
			int fd;

			snprintf(path, sizeof(path), "pages-%llu.img",
				 (unsigned long long)m->pages_id);
			fd = image_open(folder, path);
			found = pread(fd, page, DM_PAGE, (off_t)(slot * DM_PAGE)) == DM_PAGE;
			close(fd);
		} else {
			MUST(snprintf(path, sizeof(path), "%s/parent", folder) < (int)sizeof(path));
			/* the kernel follows 40 links in a path; CRIU goes from folder to folder */
			parent = realpath(path, NULL);
			MUST(parent);
			found = image_page(parent, o, addr, page);
			free(parent);
		}
		break;
	}
out:
	free(m);
	return found;
}

#endif
