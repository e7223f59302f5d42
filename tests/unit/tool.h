/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_TOOL_H
#define DM_TOOL_H

/* What several unit tests share: numbers by chance, fresh folders, files in memory, captured
 * descriptors. What cannot go wrong in a sound machine ends the program. */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# %s:%d: cannot go on: %s: %m\n", __FILE__, __LINE__, #cond);      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The next number by chance; the same ones in each run. */
static inline uint64_t chance(void)
{
	static uint64_t s = UINT64_C(0x9e3779b97f4a7c15);

	s ^= s >> 12;
	s ^= s << 25;
	s ^= s >> 27;
	return s * UINT64_C(0x2545f4914f6cdd1d);
}

/* One of 0 to n - 1. */
static inline size_t pick(size_t n)
{
	return (size_t)(chance() % n);
}

/* Bytes that depend on seed alone. */
static inline void fill(void *p, size_t n, uint64_t seed)
{
	uint8_t *q = p;

	for (size_t i = 0; i < n; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		q[i] = (uint8_t)(seed >> 56);
	}
}

/* Folders of this program, for remove_folders(). */
static char folders[500][128];
static size_t n_folders;
static pid_t folders_owner;

static inline void remove_folders(void)
{
	for (size_t i = 0; i < n_folders && getpid() == folders_owner; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(execlp("rm", "rm", "-rf", folders[i], (char *)NULL));
		waitpid(pid, NULL, 0);
	}
}

/* The path of a fresh folder, removed when the program exits. */
static inline const char *fresh_folder(void)
{
	const char *where = getenv("TMPDIR");

	MUST(n_folders < sizeof(folders) / sizeof(*folders));
	if (n_folders == 0) {
		folders_owner = getpid();
		atexit(remove_folders);
	}
	snprintf(folders[n_folders], sizeof(folders[0]), "%s/unit.XXXXXX", where ? where : "/tmp");
	MUST(mkdtemp(folders[n_folders]));
	return folders[n_folders++];
}

/* A descriptor of a folder. */
static inline int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(fd >= 0);
	return fd;
}

/* The names in a folder, "." and ".." left out. */
static inline size_t count_names(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	MUST(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

/* Open descriptors of this process. */
static inline size_t count_descriptors(void)
{
	return count_names("/proc/self/fd");
}

/* A file in memory that holds these bytes, to be read from its start. */
static inline int memory_file(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, p, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* All bytes of fd, with a NUL behind them, to be freed; fd is closed. */
static inline char *take_all(int fd, size_t *len)
{
	off_t n = lseek(fd, 0, SEEK_END);
	char *p = n < 0 ? NULL : malloc((size_t)n + 1);

	MUST(p && pread(fd, p, (size_t)n, 0) == n);
	p[n] = '\0';
	close(fd);
	if (len)
		*len = (size_t)n;
	return p;
}

/* Lead descriptor fd into a file in memory; returns what capture_end() wants. */
struct capture {
	int fd, file, saved;
};

static inline struct capture capture_begin(int fd)
{
	struct capture c = {fd, memory_file("", 0), -1};

	fflush(stdout);
	c.saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	MUST(c.saved >= 0 && dup2(c.file, fd) == fd);
	return c;
}

/* Undo it; returns what was written, to be freed. */
static inline char *capture_end(struct capture c)
{
	fflush(stdout);
	MUST(dup2(c.saved, c.fd) == c.fd);
	close(c.saved);
	return take_all(c.file, NULL);
}

/* The exit code of pid, or 128 + its signal. */
static inline int exit_code(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
