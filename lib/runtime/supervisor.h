/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_SUPERVISOR_H
#define DM_RUNTIME_SUPERVISOR_H

/*
 * The supervisor of one restore: a process that runs from create until the restore has ended. It
 * starts runc restore, answers those who come to the socket (talk.h), watches time and log, and is
 * the only one that says when it is over.
 *
 *            create        hook N          start           decide N        it ended: running
 *   (begin) -------> SETUP -------> WAITING -------> GOING -------> DECIDING -------> RUNNING
 *
 * Until DECIDING it can be aborted at any time; from then on the decision alone counts.
 */

#include "runtime/job.h"

/*
 * Be the supervisor: in a session of its own, runc with our stdin, stdout and stderr, ourselves
 * without them, so that the container's pipes end when the container does. listener is the socket
 * made with dm_talk_listen(). Returns when all is over and everybody has been answered.
 */
void dm_supervisor_run(const struct dm_job *job, int listener);

#endif
