/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_RESTORE_INSTALL_H
#define DM_RESTORE_INSTALL_H

#include "base/err.h"
#include "engine/docker.h"

/*
 * Add the runtime docker-migrate, which is the program dm-runtime beside our own, to the engine's
 * configuration (/etc/docker/daemon.json, or $DM_DAEMON_JSON), keep all else that is in it, and
 * have the engine read it again. Nothing is done when the engine has it already.
 * Returns 0 when the engine lists the runtime; -1 with err.
 */
int dm_install_runtime(struct dm_engine *e, struct dm_err *err);

#endif
