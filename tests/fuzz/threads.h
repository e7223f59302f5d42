/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_FUZZ_THREADS_H
#define DM_FUZZ_THREADS_H

/*
 * Threads that are used again: ASan keeps some memory of each one that has been, and there would be
 * millions. A target that calls this is linked with --wrap=pthread_create,pthread_join.
 */

/*
 * How many threads are at work.
 */
int fuzz_threads(void);

#endif
