/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/places.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "handover/unborn.h"
#include "restore/bind.h"

enum { VOLUMES_MAX = 256, BINDS_MAX = 256 };

struct dm_places {
	struct dm_engine *engine;
	struct dm_created container;
	struct {
		char name[256], path[PATH_MAX];
	} volumes[VOLUMES_MAX];
	struct dm_bind_place binds[BINDS_MAX];
	size_t n_volumes, n_binds;
};

struct dm_places *dm_places_new(struct dm_engine *e, struct dm_err *err)
{
	struct dm_places *p = calloc(1, sizeof(*p));

	if (p)
		p->engine = e;
	else
		dm_fail_errno(err, "allocate places");
	return p;
}

void dm_places_free(struct dm_places *p)
{
	free(p);
}

static int make_volumes(struct dm_places *p, const json_t *list, struct dm_err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (i == VOLUMES_MAX)
			return dm_fail(err, DM_UNFIT, "more than %d volumes", VOLUMES_MAX);
		if (dm_create_volume(p->engine, v, p->volumes[i].path, err))
			return -1;
		snprintf(p->volumes[i].name, sizeof(p->volumes[i].name), "%s",
			 dm_json_str(v, "name", ""));
		p->n_volumes++;
	}
	return 0;
}

static int make_binds(struct dm_places *p, const json_t *list, struct dm_err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (i == BINDS_MAX)
			return dm_fail(err, DM_UNFIT, "more than %d bind mounts", BINDS_MAX);
		if (dm_bind_place_make(&p->binds[i], json_is_string(v) ? json_string_value(v) : "",
				       err))
			return -1;
		p->n_binds++;
	}
	return 0;
}

int dm_places_make(struct dm_places *p, const json_t *config, struct dm_record *r,
		   struct dm_err *err)
{
	const json_t *inspect = json_object_get(config, "inspect");
	int n = dm_create_has_image(p->engine, inspect, err);

	if (n <= 0)
		return n < 0 ? -1
			     : dm_fail(err, DM_UNFIT, "image %s is not here, and was not sent",
				       dm_json_str(inspect, "Config.Image", "?"));
	/* volumes first: the engine would make them itself, empty, with the container */
	if (make_volumes(p, json_object_get(config, "volumes"), err) ||
	    make_binds(p, json_object_get(config, "binds"), err) ||
	    dm_create_container(p->engine, inspect, &p->container, err) ||
	    dm_unborn_mark(p->container.id, strrchr(dm_record_path(r), '/') + 1, err))
		return -1;
	return dm_record_event(r, "created", json_pack("{s:s}", "container", p->container.id), err);
}

const struct dm_created *dm_places_container(const struct dm_places *p)
{
	return &p->container;
}

static const char *path_of(const struct dm_places *p, const char *volume, const char *bind)
{
	if (!volume && !bind)
		return p->container.upper;
	for (size_t i = 0; bind && i < p->n_binds; i++)
		if (!strcmp(p->binds[i].path, bind))
			return p->binds[i].path;
	for (size_t i = 0; volume && i < p->n_volumes; i++)
		if (!strcmp(p->volumes[i].name, volume))
			return p->volumes[i].path;
	return NULL;
}

int dm_places_open(const struct dm_places *p, const json_t *tree, struct dm_err *err)
{
	const char *bind = dm_json_str(tree, "bind", NULL);
	const char *path = path_of(p, dm_json_str(tree, "volume", NULL), bind);
	int fd;

	if (!path)
		return dm_fail(err, DM_BAD_STREAM, "the stream has a tree that belongs nowhere");
	/* what the engine mounts may be named by a link, what it made itself is none */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (bind ? 0 : O_NOFOLLOW));
	return fd < 0 ? dm_fail_errno(err, "open %s", path) : fd;
}

void dm_places_undo(struct dm_places *p)
{
	struct dm_err err;

	if (p->container.id[0] && (dm_create_container_undo(p->engine, p->container.id, &err) ||
				   dm_unborn_clear(p->container.id, &err)))
		dm_say("container %.12s is left behind: %s", p->container.id, err.msg);
	for (size_t i = 0; i < p->n_binds; i++)
		if (dm_bind_place_undo(&p->binds[i], &err))
			dm_say("%s is left behind: %s", p->binds[i].path, err.msg);
	for (size_t i = 0; i < p->n_volumes; i++)
		if (dm_create_volume_undo(p->engine, p->volumes[i].name, &err))
			dm_say("volume %s is left behind: %s", p->volumes[i].name, err.msg);
}
