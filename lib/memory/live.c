/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/live.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memory/maps.h"

enum { CHUNK = 1024 }; /* pages looked at in one go */

/* Shared memory, as met in one process; read once a round, from whichever process maps it. */
struct shared {
	uint64_t inode;
	pid_t pid;
	uint64_t start, end; /* of a mapping of it */
};

struct round {
	struct dm_sender *sender;
	volatile sig_atomic_t *stop;
	struct shared *shared;
	size_t n_shared;
	uint8_t *buf; /* CHUNK pages */
};

static int check_stop(const struct round *r, struct dm_err *err)
{
	return *r->stop ? dm_fail(err, DM_FAILURE, "interrupted") : 0;
}

static int remember_shared(struct round *r, pid_t pid, const struct dm_map *m, struct dm_err *err)
{
	struct shared *bigger;

	for (size_t i = 0; i < r->n_shared; i++)
		if (r->shared[i].inode == m->inode)
			return 0;
	bigger = realloc(r->shared, (r->n_shared + 1) * sizeof(*bigger));
	if (!bigger)
		return dm_fail_errno(err, "list shared memory");
	r->shared = bigger;
	r->shared[r->n_shared++] = (struct shared){m->inode, pid, m->start, m->end};
	return 0;
}

/* n pages at addr, all of them here a moment ago; those that cannot be read are passed over. */
static int read_run(struct round *r, pid_t pid, uint64_t addr, size_t n, struct dm_err *err)
{
	while (n > 0) {
		struct iovec local = {r->buf, n * DM_PAGE};
		struct iovec remote = {(void *)(uintptr_t)addr, n * DM_PAGE};
		ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		size_t pages = got > 0 ? (size_t)got / DM_PAGE : 0;

		if (got < 0 && errno != EFAULT)
			return 1; /* the process has gone, or may not be read: CRIU will tell */
		if (pages && dm_sender_pages(r->sender, addr, r->buf, pages, false, err))
			return -1;
		if (pages < n)
			pages++; /* the page that could not be read */
		addr += pages * DM_PAGE;
		n -= pages;
	}
	return 0;
}

/* One mapping. Returns 0; 1 when the process has gone; -1 with err. */
static int read_map(struct round *r, pid_t pid, int pagemap, const struct dm_map *m,
		    struct dm_err *err)
{
	uint8_t here[CHUNK];
	int ret = 0;

	for (uint64_t at = m->start; ret == 0 && at < m->end;) {
		size_t n = (m->end - at) / DM_PAGE, i = 0, k;

		if (check_stop(r, err))
			return -1;
		if (n > CHUNK)
			n = CHUNK;
		if (dm_maps_present(pagemap, m->kind, at, n, here))
			return 1;
		while (ret == 0 && i < n) {
			for (; i < n && !here[i]; i++)
				;
			for (k = i; k < n && here[k]; k++)
				;
			if (k > i)
				ret = read_run(r, pid, at + i * DM_PAGE, k - i, err);
			i = k;
		}
		at += n * DM_PAGE;
	}
	return ret;
}

static int read_process(struct round *r, const struct dm_task *t, struct dm_err *err)
{
	struct dm_maps maps;
	char path[64];
	int ret, fd;

	ret = dm_maps_read(t->pid, &maps, err);
	if (ret <= 0)
		return ret;
	snprintf(path, sizeof(path), "/proc/%ld/pagemap", (long)t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ret = fd < 0 ? 0
		     : dm_sender_begin(r->sender, (struct dm_object){DM_PROCESS, (uint64_t)t->vpid},
				       err);
	for (size_t i = 0; fd >= 0 && ret == 0 && i < maps.n; i++) {
		if (maps.m[i].kind == DM_MAP_SHMEM)
			ret = remember_shared(r, t->pid, &maps.m[i], err);
		else if (maps.m[i].kind == DM_MAP_ANON || maps.m[i].kind == DM_MAP_PRIVATE)
			ret = read_map(r, t->pid, fd, &maps.m[i], err);
	}
	if (fd >= 0) {
		if (ret >= 0 && dm_sender_finish(r->sender, err))
			ret = -1;
		close(fd);
	}
	dm_maps_free(&maps);
	return ret < 0 ? -1 : 0;
}

/* Bytes from at to end of the memory file fd, those pages that are resident. */
static int read_shared_range(struct round *r, int fd, uint64_t at, uint64_t end, struct dm_err *err)
{
	unsigned char here[CHUNK];

	while (at < end) {
		size_t n = (end - at) / DM_PAGE, k;
		void *view;
		ssize_t got;

		if (check_stop(r, err))
			return -1;
		if (n > CHUNK)
			n = CHUNK;
		view = mmap(NULL, n * DM_PAGE, PROT_READ, MAP_SHARED, fd, (off_t)at);
		if (view == MAP_FAILED || mincore(view, n * DM_PAGE, here))
			memset(here, 0, sizeof(here));
		if (view != MAP_FAILED)
			munmap(view, n * DM_PAGE);
		for (size_t i = 0; i < n; i = k) {
			for (k = i; k < n && (here[k] & 1) == (here[i] & 1); k++)
				;
			if (!(here[i] & 1))
				continue;
			got = pread(fd, r->buf, (k - i) * DM_PAGE, (off_t)(at + i * DM_PAGE));
			for (; got > 0 && got % DM_PAGE; got++) /* where the file ends */
				r->buf[got] = 0;
			if (got > 0 && dm_sender_pages(r->sender, at + i * DM_PAGE, r->buf,
						       (size_t)got / DM_PAGE, false, err))
				return -1;
		}
		at += n * DM_PAGE;
	}
	return 0;
}

static int read_shared(struct round *r, const struct shared *s, struct dm_err *err)
{
	off_t data = 0, hole;
	struct stat st;
	char path[96];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/%ld/map_files/%" PRIx64 "-%" PRIx64, (long)s->pid,
		 s->start, s->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0; /* unmapped meanwhile */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != s->inode) {
		close(fd);
		return 0;
	}
	ret = dm_sender_begin(r->sender, (struct dm_object){DM_SHMEM, s->inode}, err);
	while (ret == 0 && (data = lseek(fd, data, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data)
			break;
		hole = (hole + DM_PAGE - 1) / DM_PAGE * DM_PAGE; /* its size may be odd */
		ret = read_shared_range(r, fd, (uint64_t)data, (uint64_t)hole, err);
		data = hole;
	}
	close(fd);
	return ret || dm_sender_finish(r->sender, err) ? -1 : 0;
}

int dm_live_round(const struct dm_tasks *tasks, struct dm_sender *s, volatile sig_atomic_t *stop,
		  struct dm_err *err)
{
	struct round r = {.sender = s, .stop = stop};
	int ret = 0;

	r.buf = malloc(CHUNK * DM_PAGE);
	if (!r.buf)
		return dm_fail_errno(err, "allocate buffer");
	for (size_t i = 0; ret == 0 && i < tasks->n; i++)
		ret = read_process(&r, &tasks->t[i], err);
	for (size_t i = 0; ret == 0 && i < r.n_shared; i++)
		ret = read_shared(&r, &r.shared[i], err);
	free(r.shared);
	free(r.buf);
	return ret;
}
