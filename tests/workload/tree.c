/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process tree that notices what a move loses: three processes pass numbers around through
 * pipes, two threads and a child count in shared memory, and a file that was deleted while open is
 * written and read. SIGUSR1 to the first process prints one line of JSON; SIGTERM ends it.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHARED = 4 << 20, DELETED = 64 << 10 };

struct shared {
	atomic_ulong thread[2], child; /* counters */
	atomic_ulong rounds;	       /* trips of a number around the pipes */
	atomic_ulong wrong;	       /* numbers that did not come back as they went */
	unsigned char bytes[SHARED];
};

static struct shared *shared;
static volatile sig_atomic_t report, stop;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		report = 1;
	else
		stop = 1;
}

static void nap(long ms)
{
	struct timespec t = {0, ms * 1000000};

	nanosleep(&t, NULL);
}

static void *counter(void *ctx)
{
	atomic_ulong *n = ctx;

	for (;;) {
		atomic_fetch_add(n, 1);
		nap(1);
	}
	return NULL;
}

/* Pass on what comes, one more. */
static void pass(int in, int out)
{
	unsigned long v;

	while (read(in, &v, sizeof(v)) == sizeof(v)) {
		v++;
		if (write(out, &v, sizeof(v)) != sizeof(v))
			break;
	}
	_exit(1);
}

static pid_t relay(int in, int out, bool grandchild)
{
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		if (grandchild && pthread_create(&t, NULL, counter, &shared->child))
			_exit(1);
		pass(in, out);
	}
	return pid;
}

static void print(int deleted, unsigned long expected)
{
	unsigned char buf[DELETED];
	unsigned long bad = 0;

	for (size_t i = 0; i < SHARED; i++)
		bad += shared->bytes[i] != (unsigned char)(i * 31);
	if (pread(deleted, buf, sizeof(buf), 0) != sizeof(buf))
		bad += 1000000;
	for (size_t i = 0; i < sizeof(buf); i++)
		bad += buf[i] != (unsigned char)(i * 7);
	printf("{\"rounds\":%lu,\"expected\":%lu,\"wrong\":%lu,\"bad\":%lu,\"threads\":[%lu,%lu],"
	       "\"child\":%lu}\n",
	       atomic_load(&shared->rounds), expected, atomic_load(&shared->wrong), bad,
	       atomic_load(&shared->thread[0]), atomic_load(&shared->thread[1]),
	       atomic_load(&shared->child));
	fflush(stdout);
}

static int open_deleted(void)
{
	unsigned char buf[DELETED];
	int fd = open("/tree.deleted", O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7);
	if (fd < 0 || write(fd, buf, sizeof(buf)) != sizeof(buf) || unlink("/tree.deleted"))
		exit(1);
	return fd;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	int p[3][2], deleted = open_deleted();
	unsigned long v, n = 0;
	pthread_t t;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < SHARED; i++)
		shared->bytes[i] = (unsigned char)(i * 31);
	for (int i = 0; i < 3; i++)
		if (pipe(p[i]))
			return 1;
	relay(p[0][0], p[1][1], false);
	relay(p[1][0], p[2][1], true);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&t, NULL, counter, &shared->thread[i]))
			return 1;
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	puts("ready");
	fflush(stdout);
	while (!stop) {
		v = n;
		while (write(p[0][1], &v, sizeof(v)) < 0 && errno == EINTR)
			;
		while (read(p[2][0], &v, sizeof(v)) < 0 && errno == EINTR)
			;
		if (v != n + 2)
			atomic_fetch_add(&shared->wrong, 1);
		n++;
		atomic_fetch_add(&shared->rounds, 1);
		if (report) {
			report = 0;
			print(deleted, n);
		}
		nap(1);
	}
	print(deleted, n);
	return 0;
}
