/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_CONTAINER_HAVE_H
#define DM_CONTAINER_HAVE_H

/*
 * What a host is and has, as a JSON object (docker-migrate(7) lists the keys):
 * engine, engine_id, driver, kernel, arch, cpu, cgroup, criu, hostname, machine, boot, clock,
 * memory, room, disk, images, tags, layers, containers, volumes, networks, obstacles.
 */

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/docker.h"

/*
 * Describe this host. stage is the folder whose room counts. "obstacles" lists what is missing for
 * a restore. Returns a new reference; NULL with err.
 */
json_t *dm_have(struct dm_engine *e, const char *stage, struct dm_err *err);

/*
 * Add to a host's description, under "paths", what lies at each of paths (an array of strings;
 * others are passed over): dm_binds_kind().
 */
void dm_have_paths(json_t *o, const json_t *paths);

/*
 * Add to have, what dm_have() returned, the layers of its images (container/layers.h). Of engines
 * that would want them in an archive all the same, they are not listed. Returns 0; -1 with err.
 */
int dm_have_layers(struct dm_engine *e, json_t *have, struct dm_err *err);

/*
 * Add to list (an array of strings) a line for each program that is needed and does not run. What
 * CRIU says of its version is left in criu (NULL: not wanted).
 */
void dm_have_programs(json_t *list, char *criu, size_t size);

/*
 * What a report tells of this host: hostname, kernel, engine, criu, docker_migrate (versions).
 * Returns a new reference, or NULL when memory ran out.
 */
json_t *dm_have_versions(struct dm_engine *e);

/*
 * This host's machine-id and boot-id, each at most 63 letters. Returns 0; -1 with err.
 */
int dm_have_identity(char machine[64], char boot[64], struct dm_err *err);

/*
 * The bytes of memory that can be had without swapping; 0 when that cannot be told.
 */
uint64_t dm_have_memory(void);

#endif
