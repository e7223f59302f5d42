/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_TASKS_H
#define DM_CONTAINER_TASKS_H

/* The cgroup of a container and the processes in it. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* The cgroup that freezes the container: of the freezer hierarchy, or of cgroup v2. */
struct dm_cgroup {
	char path[PATH_MAX]; /* as mounted here */
	bool v2;
};

/* One process (thread group). */
struct dm_task {
	pid_t pid;    /* here */
	pid_t vpid;   /* in the container's pid namespace */
	pid_t parent; /* its parent's pid, here */
	int depth;    /* pid namespaces from here down to its own */
};

struct dm_tasks {
	struct dm_task *t; /* sorted by vpid */
	size_t n;
};

/*
 * Find the cgroup of the container whose root process is pid. Returns 0; -1 with err.
 */
int dm_cgroup_of(pid_t pid, struct dm_cgroup *out, struct dm_err *err);

/*
 * Whether everything in the cgroup is frozen. Returns 1 or 0; -1 with err.
 */
int dm_cgroup_frozen(const struct dm_cgroup *c, struct dm_err *err);

/*
 * List the processes in the cgroup and in those below it. One that ends meanwhile is left out.
 * Free with dm_tasks_free(). Returns 0; -1 with err.
 */
int dm_tasks_list(const struct dm_cgroup *c, struct dm_tasks *out, struct dm_err *err);
void dm_tasks_free(struct dm_tasks *t);

/*
 * A process that did not descend from the container's root process: one that docker exec, or a
 * health check, put into it. A dump would lose it. Returns it, or NULL when there is none.
 */
const struct dm_task *dm_tasks_foreign(const struct dm_tasks *t, pid_t root);

/*
 * Send signal to every process in the cgroup, again and again until no new one shows up.
 * Returns 0; -1 with err.
 */
int dm_cgroup_kill(const struct dm_cgroup *c, int signal, struct dm_err *err);

/*
 * The bytes of memory of the processes in tasks that a dump would hold, roughly: anonymous and
 * shared pages, each process's own count, swapped ones included.
 */
uint64_t dm_tasks_memory(const struct dm_tasks *tasks);

#endif
