/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_INSTALL_H
#define DM_RESTORE_INSTALL_H

/* The runtime docker-migrate, which is the program dm-runtime beside our own, at the engine. */

#include "base/err.h"
#include "engine/docker.h"

/*
 * Add the runtime to the engine's configuration (/etc/docker/daemon.json, or $DM_DAEMON_JSON), keep
 * all else that is in it, and have the engine read it again. Nothing is done when the engine has it
 * already. Returns 0 when the engine lists the runtime; -1 with err.
 */
int dm_install_runtime(struct dm_engine *e, struct dm_err *err);

/*
 * The opposite: take it out of the configuration again, and have the engine forget it. Nothing is
 * done when neither has it; a runtime of that name which is another program stays, and is told.
 * Returns 0 when neither has it; -1 with err (DM_UNFIT, and nothing is changed, while a container
 * has the runtime, while it is the engine's default, when the engine has it from elsewhere, or when
 * the configuration has it and no engine answers).
 */
int dm_remove_runtime(struct dm_err *err);

#endif
