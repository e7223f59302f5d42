/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_LIVE_CHILD_H
#define DM_LIVE_CHILD_H

/* A child process that maps, writes and unmaps memory as it is told, and a model of what it has. */

#include <pthread.h>
#include <signal.h>

#include "stream/format.h"
#include "tool.h"

/* A child born of a program with that sanitizer has terabytes of it mapped, which take minutes to
 * look through. (tests/cli/source.sh has rounds over another program.) */
#if defined(__SANITIZE_ADDRESS__)
#define TOO_LARGE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOO_LARGE 1
#endif
#endif
#ifndef TOO_LARGE
#define TOO_LARGE 0
#endif

/* The child's mappings. */
enum what { ANON, PRIVATE, SHARED, SMALL, ODD, TINY, AREAS };
enum { PAGES = 3000 }; /* of an area, at most: more than what is looked at in one go */

static const size_t size[AREAS] = {PAGES, 20, 600, 300, 2, 1};
static const size_t odd[AREAS] = {[ODD] = 5000, [TINY] = 100}; /* a file's bytes, if no pages */
static int file[AREAS];
static uint64_t inode[AREAS];

static inline uint64_t base(enum what a)
{
	return UINT64_C(0x200000000000) + (uint64_t)a * UINT64_C(0x10000000000);
}

static inline uint8_t *at(enum what a, size_t page)
{
	return (uint8_t *)(uintptr_t)(base(a) + page * DM_PAGE);
}

/* The model: what is in each page; NONE: it was never touched, or is not mapped. */
enum { NONE = -1, ZEROS = 0 };
static int model[AREAS][PAGES];

static inline void content(void *p, size_t n, enum what a, size_t page, int version)
{
	if (version == ZEROS)
		memset(p, 0, n);
	else
		fill(p, n, (uint64_t)version * 1000003 + page * 17 + a);
}

/* The bytes that the page has in its file, or in memory. */
static inline size_t bytes_of(enum what a, size_t page)
{
	size_t left = odd[a] ? odd[a] - page * DM_PAGE : DM_PAGE;

	return left < DM_PAGE ? left : DM_PAGE;
}

/* What the child is told to do. */
struct order {
	char verb; /* write, unmap, close (PROT_NONE), threads, churn, quit */
	enum what area;
	size_t page;
	int version;
};

struct child {
	pid_t pid;
	int to, from;
};

static inline void *idle(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* Map, touch and unmap without end. */
static inline void *churn(void *arg)
{
	(void)arg;
	for (size_t n = 1;; n = n % 300 + 7) {
		uint8_t *p = mmap(NULL, n * DM_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		MUST(p != MAP_FAILED);
		memset(p, 1, n * DM_PAGE);
		munmap(p, n * DM_PAGE);
	}
	return NULL;
}

static inline void map_all(void)
{
	for (enum what a = 0; a < AREAS; a++) {
		int flags = MAP_FIXED_NOREPLACE | (a < SHARED ? MAP_PRIVATE : MAP_SHARED);
		void *p =
			mmap(at(a, 0), size[a] * DM_PAGE, PROT_READ | PROT_WRITE,
			     flags | (a == ANON ? MAP_ANONYMOUS : 0), a == ANON ? -1 : file[a], 0);

		MUST(p == at(a, 0));
		madvise(p, size[a] * DM_PAGE, MADV_NOHUGEPAGE);
	}
}

static inline void obey(const struct order *o)
{
	pthread_t t;

	switch (o->verb) {
	case 'w':
		content(at(o->area, o->page), bytes_of(o->area, o->page), o->area, o->page,
			o->version);
		break;
	case 'u':
		munmap(at(o->area, o->page), DM_PAGE);
		break;
	case 'c':
		mprotect(at(o->area, o->page), DM_PAGE, PROT_NONE);
		break;
	case 't':
		for (int i = 0; i < 3; i++)
			MUST(pthread_create(&t, NULL, idle, NULL) == 0);
		break;
	case 'x':
		MUST(pthread_create(&t, NULL, churn, NULL) == 0);
		break;
	default:
		_exit(0);
	}
}

/* A child with all areas mapped and nothing touched. */
static inline struct child start(void)
{
	int to[2], from[2];
	struct stat st;
	struct child c;

	for (enum what a = 0; a < AREAS; a++) {
		file[a] = memfd_create("area", MFD_CLOEXEC);
		MUST(file[a] >= 0 &&
		     ftruncate(file[a], (off_t)(odd[a] ? odd[a] : size[a] * DM_PAGE)) == 0 &&
		     fstat(file[a], &st) == 0);
		inode[a] = st.st_ino;
		for (size_t i = 0; i < PAGES; i++)
			model[a][i] = NONE;
	}
	MUST(pipe(to) == 0 && pipe(from) == 0);
	fflush(stdout);
	c = (struct child){fork(), to[1], from[0]};
	MUST(c.pid >= 0);
	if (c.pid == 0) {
		struct order o;

		close(to[1]);
		map_all();
		do
			MUST(write(from[1], "", 1) == 1);
		while (read(to[0], &o, sizeof(o)) == sizeof(o) && (obey(&o), 1));
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	MUST(read(c.from, &(char){0}, 1) == 1);
	return c;
}

static inline void tell(const struct child *c, char verb, enum what area, size_t page, int version)
{
	struct order o = {verb, area, page, version};

	MUST(write(c->to, &o, sizeof(o)) == sizeof(o) && read(c->from, &(char){0}, 1) == 1);
	if (verb == 'w')
		model[area][page] = version;
	if (verb == 'u' || verb == 'c')
		model[area][page] = NONE;
}

/* Wait until the child has answered and sleeps: from then on its stack is as it will stay. */
static inline void settled(const struct child *c)
{
	char name[40], text[512], *state = NULL;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)c->pid);
	for (int i = 0; i < 10000 && !(state && state[2] == 'S'); i++) {
		usleep(1000);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		MUST(fd >= 0);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		MUST(n > 0);
		text[n] = '\0';
		state = strrchr(text, ')');
	}
	MUST(state && state[2] == 'S');
}

static inline void end(struct child *c)
{
	kill(c->pid, SIGKILL);
	exit_code(c->pid);
	close(c->to);
	close(c->from);
	for (enum what a = 0; a < AREAS; a++)
		close(file[a]);
}

#endif
