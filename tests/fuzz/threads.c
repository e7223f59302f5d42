/* SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "fuzz.h"

enum { MOST = 4 };

static struct worker {
	pthread_t thread;
	sem_t go, done;
	void *(*work)(void *);
	void *arg;
	bool made, busy;
} workers[MOST];

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*work)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*work)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **result);

/* Signals of libFuzzer's own interrupt it. */
static void wait_for(sem_t *s)
{
	while (sem_wait(s))
		HOLDS(errno == EINTR);
}

static void *serve(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		wait_for(&w->go);
		w->work(w->arg);
		HOLDS(sem_post(&w->done) == 0);
	}
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*work)(void *), void *arg)
{
	size_t i = 0;

	while (workers[i].busy)
		HOLDS(++i < MOST);
	workers[i].work = work;
	workers[i].arg = arg;
	if (!workers[i].made)
		HOLDS(sem_init(&workers[i].go, 0, 0) == 0 &&
		      sem_init(&workers[i].done, 0, 0) == 0 &&
		      __real_pthread_create(&workers[i].thread, a, serve, &workers[i]) == 0);
	workers[i].made = workers[i].busy = true;
	HOLDS(sem_post(&workers[i].go) == 0);
	*t = i;
	return 0;
}

int __wrap_pthread_join(pthread_t t, void **result)
{
	HOLDS(workers[t].busy && !result);
	wait_for(&workers[t].done);
	workers[t].busy = false;
	return 0;
}

int fuzz_threads(void)
{
	int n = 0;

	for (size_t i = 0; i < MOST; i++)
		n += workers[i].busy;
	return n;
}
