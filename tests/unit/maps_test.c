/* SPDX-License-Identifier: Apache-2.0 */
/* The mappings of this very process, of every kind, and which of their pages are there. */
#include "test.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "memory/maps.h"
#include "stream/format.h"
#include "tool.h"

static struct dm_err err;

enum { RW = PROT_READ | PROT_WRITE };

/* Map n pages; NULL when that is not possible here. */
static uint8_t *map(size_t n, int prot, int flags, int fd)
{
	void *p = mmap(NULL, n * DM_PAGE, prot, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The mapping at p, as it is now; kind is -1 when there is none. */
static struct dm_map look(const void *p)
{
	uint64_t addr = (uint64_t)(uintptr_t)p;
	struct dm_map found = {.kind = (enum dm_map_kind) - 1};
	struct dm_maps m;

	MUST(dm_maps_read(getpid(), &m, &err) == 1);
	for (size_t i = 0; i < m.n; i++) {
		CHECK(m.m[i].start < m.m[i].end);
		CHECK(i == 0 || m.m[i - 1].end <= m.m[i].start);
		if (m.m[i].start <= addr && addr < m.m[i].end) {
			found = m.m[i];
			CHECK_INT(dm_maps_kind(&m, addr), found.kind);
		}
	}
	dm_maps_free(&m);
	return found;
}

/* A file of n pages. */
static int file_of(size_t n)
{
	static char path[256];
	static int count;
	int fd;

	snprintf(path, sizeof(path), "%s/f%d", fresh_folder(), count++);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	MUST(fd >= 0 && ftruncate(fd, (off_t)(n * DM_PAGE)) == 0);
	return fd;
}

TEST(private_memory)
{
	uint8_t *p = map(10, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int fd = file_of(3), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);

	CHECK_INT(look(p).kind, DM_MAP_ANON);
	MUST(mprotect(p + 4 * DM_PAGE, DM_PAGE, PROT_NONE) == 0);
	MUST(mprotect(p + 6 * DM_PAGE, DM_PAGE, PROT_READ) == 0);
	MUST(mprotect(p + 8 * DM_PAGE, DM_PAGE, PROT_WRITE) == 0);
	CHECK_INT(look(p + 3 * DM_PAGE).kind, DM_MAP_ANON);
	CHECK_INT(look(p + 4 * DM_PAGE).kind, DM_MAP_OTHER);
	CHECK_INT(look(p + 6 * DM_PAGE).kind, DM_MAP_ANON);
	CHECK_INT(look(p + 8 * DM_PAGE).kind, DM_MAP_OTHER); /* cannot be read */
	CHECK_INT(look(map(3, RW, MAP_PRIVATE, fd)).kind, DM_MAP_PRIVATE);
	CHECK_INT(look(map(3, PROT_READ, MAP_PRIVATE, fd)).kind, DM_MAP_PRIVATE);
	CHECK_INT(look(map(3, RW, MAP_PRIVATE, zero)).kind, DM_MAP_PRIVATE);
	CHECK_INT(look((const void *)look).kind, DM_MAP_PRIVATE); /* the program itself */
	CHECK_INT(look(&p).kind, DM_MAP_ANON);			  /* the stack */
	p = malloc(10);
	CHECK_INT(look(p).kind, DM_MAP_ANON);
	free(p);
	close(fd);
	close(zero);
}

TEST(shared_memory)
{
	int memfd = memfd_create("it", MFD_CLOEXEC), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	int fd = file_of(3), id = shmget(IPC_PRIVATE, 3 * DM_PAGE, IPC_CREAT | 0600);
	uint8_t *p = map(3, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	struct dm_map a, b;
	struct stat st;

	CHECK_INT(look(p).kind, DM_MAP_SHMEM);
	CHECK(look(p).inode != 0);
	MUST(memfd >= 0 && ftruncate(memfd, 3 * DM_PAGE) == 0 && fstat(memfd, &st) == 0);
	a = look(map(3, RW, MAP_SHARED, memfd));
	b = look(map(1, PROT_READ, MAP_SHARED, memfd));
	CHECK(a.kind == DM_MAP_SHMEM && b.kind == DM_MAP_SHMEM);
	CHECK(a.inode == st.st_ino && b.inode == st.st_ino && a.inode != look(p).inode);
	CHECK_INT(look(map(3, RW, MAP_PRIVATE, memfd)).kind, DM_MAP_PRIVATE);
	CHECK_INT(look(map(3, RW, MAP_SHARED, zero)).kind, DM_MAP_SHMEM);
	CHECK_INT(look(map(3, RW, MAP_SHARED, fd)).kind, DM_MAP_OTHER);
	CHECK_INT(look(map(3, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1)).kind, DM_MAP_OTHER);
	MUST(id >= 0);
	p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	CHECK_INT(look(p).kind, DM_MAP_SHMEM);
	shmdt(p);
	close(memfd);
	close(zero);
	close(fd);
}

TEST(shared_memory_that_was_given_a_name)
{
	uint8_t *p = map(3, RW, MAP_SHARED | MAP_ANONYMOUS, -1);

	if (prctl(0x53564d41, 0, p, 3 * DM_PAGE, "its name")) /* PR_SET_VMA, PR_SET_VMA_ANON_NAME */
		SKIP("the kernel names no anonymous memory");
	CHECK_INT(look(p).kind, DM_MAP_SHMEM);
	p = map(3, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	prctl(0x53564d41, 0, p, 3 * DM_PAGE, "its name");
	CHECK_INT(look(p).kind, DM_MAP_ANON);
}

/* Without pages of that size nothing can be touched, but mapped it can be. */
TEST(huge_pages_come_last)
{
	int huge = MAP_HUGETLB | MAP_NORESERVE | MAP_ANONYMOUS;
	uint8_t *p = map(512, RW, MAP_PRIVATE | huge, -1);
	int memfd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	if (!p)
		SKIP("the kernel has no huge pages");
	CHECK_INT(look(p).kind, DM_MAP_LAST);
	CHECK_INT(look(map(512, RW, MAP_SHARED | huge, -1)).kind, DM_MAP_LAST);
	if (memfd >= 0 && ftruncate(memfd, 512 * DM_PAGE) == 0)
		CHECK_INT(look(map(512, RW, MAP_SHARED | MAP_NORESERVE, memfd)).kind, DM_MAP_LAST);
}

TEST(rings_of_asynchronous_io_come_last)
{
	aio_context_t ring = 0;

	if (syscall(SYS_io_setup, 8, &ring))
		SKIP("no asynchronous I/O");
	CHECK_INT(look((void *)(uintptr_t)ring).kind, DM_MAP_LAST);
	syscall(SYS_io_destroy, ring);
}

TEST(addresses_between_mappings_are_of_no_kind)
{
	struct dm_map list[] = {{0x1000, 0x3000, DM_MAP_ANON, 0},
				{0x3000, 0x4000, DM_MAP_SHMEM, 7},
				{0x8000, 0x9000, DM_MAP_LAST, 0}};
	struct dm_maps m = {list, 3}, none = {0};

	CHECK_INT(dm_maps_kind(&m, 0), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&m, 0xfff), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&m, 0x1000), DM_MAP_ANON);
	CHECK_INT(dm_maps_kind(&m, 0x2fff), DM_MAP_ANON);
	CHECK_INT(dm_maps_kind(&m, 0x3000), DM_MAP_SHMEM);
	CHECK_INT(dm_maps_kind(&m, 0x4000), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&m, 0x7fff), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&m, 0x8000), DM_MAP_LAST);
	CHECK_INT(dm_maps_kind(&m, 0x9000), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&m, UINT64_MAX), DM_MAP_OTHER);
	CHECK_INT(dm_maps_kind(&none, 0x1000), DM_MAP_OTHER);
}

TEST(who_has_gone_has_no_mappings)
{
	struct dm_maps m;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(0);
	while (dm_maps_read(pid, &m, &err) == 1) { /* until it is a zombie */
		dm_maps_free(&m);
		usleep(1000);
	}
	CHECK_INT(dm_maps_read(pid, &m, &err), 0);
	CHECK(!m.m && !m.n);
	exit_code(pid);
	CHECK_INT(dm_maps_read(pid, &m, &err), 0);
	dm_maps_free(&m);
}

/* Whether each page of n at p is there as told by want. */
static void compare(const uint8_t *p, enum dm_map_kind kind, size_t n, const uint8_t *want)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint8_t *here = malloc(n);

	MUST(fd >= 0 && here);
	memset(here, 7, n);
	CHECK_INT(dm_maps_present(fd, kind, (uint64_t)(uintptr_t)p, n, here), 0);
	for (size_t i = 0; i < n; i++)
		if (here[i] != want[i])
			TEST_BAD("page %zu of %zu is told as %d, not %d", i, n, here[i], want[i]);
	free(here);
	close(fd);
}

TEST(pages_are_there_once_touched)
{
	enum { MANY = 20000 };
	uint8_t *p = map(MANY, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1), *want = calloc(1, MANY);

	REQUIRE(p && want);
	madvise(p, MANY * DM_PAGE, MADV_NOHUGEPAGE);
	compare(p, DM_MAP_ANON, MANY, want);
	for (int i = 0; i < 700; i++) {
		size_t k = i < 300 ? 8000 + (size_t)i : pick(MANY);

		p[k * DM_PAGE] = 1;
		want[k] = 1;
	}
	want[0] = want[MANY - 1] = p[0] = p[(MANY - 1) * DM_PAGE] = 1;
	compare(p, DM_MAP_ANON, MANY, want);
	for (size_t n = 1; n < MANY; n = n * 3 + 1)
		compare(p + 7990 * DM_PAGE, DM_MAP_ANON, n < 12000 ? n : 12000, want + 7990);
	madvise(p + 8000 * DM_PAGE, 100 * DM_PAGE, MADV_DONTNEED);
	memset(want + 8000, 0, 100);
	compare(p, DM_MAP_ANON, MANY, want);
	munmap(p, MANY * DM_PAGE);
	free(want);
}

TEST(of_a_files_pages_those_that_were_written_to)
{
	static const uint8_t want[4] = {0, 1, 0, 1};
	uint8_t *p = map(4, RW, MAP_PRIVATE, file_of(4)), sum;

	REQUIRE(p);
	p[DM_PAGE] = 1;
	p[3 * DM_PAGE] = 1;
	sum = (uint8_t)(p[0] + p[2 * DM_PAGE]); /* these are the file's own */
	CHECK_INT(sum, 0);
	compare(p, DM_MAP_PRIVATE, 4, want);
}

TEST(behind_the_last_address_there_is_nothing)
{
	static const uint8_t want[4];

	compare((const uint8_t *)(uintptr_t)(UINT64_MAX - 4 * DM_PAGE + 1), DM_MAP_ANON, 4, want);
	CHECK_INT(dm_maps_present(-1, DM_MAP_ANON, 0, 1, &(uint8_t){0}), -1);
	CHECK_INT(errno, EBADF);
}
