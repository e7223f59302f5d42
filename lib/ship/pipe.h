/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_SHIP_PIPE_H
#define DM_SHIP_PIPE_H

/*
 * If fd is a pipe that holds less than 256 KiB, let it hold that much, so that its two sides wake
 * each other less often. Nothing happens when fd is no pipe or the system says no.
 */
void dm_pipe_widen(int fd);

#endif
