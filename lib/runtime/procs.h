/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_PROCS_H
#define DM_RUNTIME_PROCS_H

/*
 * The processes of a restore, and how to end them without ever letting one of the container's run.
 * CRIU holds those by ptrace: when CRIU dies they go on by themselves, so they die first.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/pending.h"

/* A process, by number and start time, so that a number used again is not mistaken. */
struct dm_proc {
	pid_t pid;	/* 0: not known */
	uint64_t start; /* clock ticks since boot */
};

struct dm_procs {
	struct dm_proc runc; /* runc restore */
	struct dm_proc root; /* the container's first process */
};

enum dm_procs_which {
	DM_PROCS_CONTAINER, /* the root task, what stems from it, and what is in its namespace */
	DM_PROCS_ALL,	    /* also CRIU, its helpers and hooks; but not runc */
};

/*
 * Fill in t for the process pid. Returns 0; -1 with err when there is none.
 */
int dm_proc_find(pid_t pid, struct dm_proc *t, struct dm_err *err);

/*
 * Whether t could still execute an instruction: it is there, and one of its threads is neither
 * dead nor past the point in the kernel from which there is no way back (PF_EXITING).
 */
bool dm_proc_can_run(const struct dm_proc *t);

/*
 * Send a signal to t, and to nobody else. Nothing happens when it has gone.
 */
void dm_proc_signal(const struct dm_proc *t, int sig);

/*
 * Kill those processes of container id with SIGKILL, again and again, until none of them can run;
 * for at most seconds (negative: for ever). Returns 0; -1 with err when one is still there.
 */
int dm_procs_kill(const struct dm_procs *t, const char *id, enum dm_procs_which which,
		  double seconds, struct dm_err *err);

/*
 * Write t into the pending folder as procs.json, or read it; what is missing there is 0.
 * Return 0; -1 with err.
 */
int dm_procs_write(const struct dm_pending *p, const struct dm_procs *t, struct dm_err *err);
int dm_procs_read(const struct dm_pending *p, struct dm_procs *t, struct dm_err *err);

#endif
