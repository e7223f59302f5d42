/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_RUNTIME_H
#define DM_RUNTIME_RUNTIME_H

/*
 * An OCI runtime that hands everything to runc, except create, start, kill and delete of a
 * container for which a restore is pending (pending.h).
 */

/*
 * Do what the command line of the program says. Returns the exit status, or does not return: runc
 * has taken over.
 */
int dm_runtime_run(int argc, char **argv);

#endif
