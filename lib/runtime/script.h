/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RUNTIME_SCRIPT_H
#define DM_RUNTIME_SCRIPT_H

/*
 * What CRIU calls at each stage of the restore (its action script). It runs without arguments, with
 * the stage in CRTOOLS_SCRIPT_ACTION and our folder in DM_RESTORE_DIR.
 *   pre-restore   tells the supervisor that the script is called at all
 *   post-restore  makes CRIU the last one to be chosen when memory is out
 *   pre-resume    decides: all is restored and not one instruction has run; opens the link
 *   post-resume   leaves the file "resumed"
 */

#include <stdbool.h>

/*
 * Whether this process was started as that script.
 */
bool dm_script_called(int argc);

/*
 * Be the script. Returns the exit status. In pre-resume CRIU ignores it, so whoever does not win
 * there kills the container and returns only when no process of it can run any more.
 */
int dm_script_run(void);

#endif
