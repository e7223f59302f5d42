/* SPDX-License-Identifier: Apache-2.0 */
#include "restore/create.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "container/container.h"

enum { CALL_SECONDS = 120, NOT_FOUND = 404, CONFLICT = 409 };

int dm_create_volume(struct dm_engine *e, const json_t *volume, char path[PATH_MAX],
		     struct dm_err *err)
{
	const char *name = dm_json_str(volume, "name", "");
	json_t *labels = json_object_get(volume, "labels");
	json_t *options = json_object_get(volume, "options");
	char escaped[512], url[600];
	json_t *body, *answer;
	int ret;

	if (dm_engine_escape(name, escaped, sizeof(escaped), err))
		return -1;
	snprintf(url, sizeof(url), "/volumes/%s", escaped);
	ret = dm_engine_call(e, "GET", url, NULL, CALL_SECONDS, NULL, err);
	if (ret == 200)
		return dm_fail(err, DM_UNFIT, "volume %s exists here already", name);
	if (ret != NOT_FOUND)
		return -1;
	body = json_pack("{s:s, s:s, s:O*, s:O*}", "Name", name, "Driver", "local", "Labels",
			 json_is_object(labels) ? labels : NULL, "DriverOpts",
			 json_is_object(options) ? options : NULL);
	ret = dm_engine_do(e, "POST", "/volumes/create", body, CALL_SECONDS, &answer, err);
	json_decref(body);
	if (ret)
		return -1;
	snprintf(path, PATH_MAX, "%s", dm_json_str(answer, "Mountpoint", ""));
	json_decref(answer);
	if (path[0] == '/')
		return 0;
	dm_create_volume_undo(e, name, err);
	return dm_fail(err, DM_FAILURE, "volume %s: the engine names no folder", name);
}

/* DELETE a thing; gone already is as good. */
static int remove_thing(struct dm_engine *e, const char *path, struct dm_err *err)
{
	int status = dm_engine_call(e, "DELETE", path, NULL, CALL_SECONDS, NULL, err);

	return (status > 0 && status < 400) || status == NOT_FOUND ? 0 : -1;
}

int dm_create_volume_undo(struct dm_engine *e, const char *name, struct dm_err *err)
{
	char escaped[512], url[600];

	if (dm_engine_escape(name, escaped, sizeof(escaped), err))
		return -1;
	snprintf(url, sizeof(url), "/volumes/%s", escaped);
	return remove_thing(e, url, err);
}

int dm_create_container_undo(struct dm_engine *e, const char *id, struct dm_err *err)
{
	char url[200];

	snprintf(url, sizeof(url), "/containers/%s?force=1&v=0", id);
	return remove_thing(e, url, err);
}

/* The id of the image that name stands for here, into id. Returns 1, 0 when there is none, -1. */
static int image_id(struct dm_engine *e, const char *name, char id[128], struct dm_err *err)
{
	char escaped[1024], url[1100];
	json_t *answer;
	int status;

	if (dm_engine_escape(name, escaped, sizeof(escaped), err))
		return -1;
	snprintf(url, sizeof(url), "/images/%s/json", escaped);
	status = dm_engine_call(e, "GET", url, NULL, CALL_SECONDS, &answer, err);
	if (status == NOT_FOUND)
		return 0;
	if (status != 200)
		return -1;
	snprintf(id, 128, "%s", dm_json_str(answer, "Id", ""));
	json_decref(answer);
	return 1;
}

int dm_create_has_image(struct dm_engine *e, const json_t *inspect, struct dm_err *err)
{
	char id[128];

	return image_id(e, dm_json_str(inspect, "Image", "-"), id, err);
}

/* What the container calls its image: the name it was made with, if that is the same image here. */
static int image_name(struct dm_engine *e, const json_t *inspect, const char **name,
		      struct dm_err *err)
{
	const char *id = dm_json_str(inspect, "Image", "");
	char here[128];
	int n;

	*name = dm_json_str(inspect, "Config.Image", id);
	n = image_id(e, *name, here, err);
	if (n < 0)
		return -1;
	if (n == 0 || strcmp(here, id))
		*name = id;
	return 0;
}

static bool bound(const json_t *host, const char *destination)
{
	const json_t *v;
	const char *s;
	size_t i, n;

	json_array_foreach(json_object_get(host, "Binds"), i, v)
	{
		s = strchr(json_string_value(v) ? json_string_value(v) : "", ':');
		n = strlen(destination);
		if (s && !strncmp(s + 1, destination, n) && (s[1 + n] == '\0' || s[1 + n] == ':'))
			return true;
	}
	json_array_foreach(json_object_get(host, "Mounts"), i, v)
	{
		if (!strcmp(dm_json_str(v, "Target", ""), destination) &&
		    dm_json_str(v, "Source", "")[0])
			return true;
	}
	return false;
}

/* Volumes that the engine gave a name of its own to, or took from another container, are bound by
 * that name. */
static void bind_volumes(const json_t *inspect, json_t *host)
{
	json_t *binds = json_object_get(host, "Binds");
	const json_t *m;
	char line[PATH_MAX];
	size_t i;

	binds = json_is_array(binds) ? json_copy(binds) : json_array();
	json_array_foreach(dm_json_at(inspect, "Mounts"), i, m)
	{
		const char *to = dm_json_str(m, "Destination", "");

		if (strcmp(dm_json_str(m, "Type", ""), "volume") || bound(host, to))
			continue;
		snprintf(line, sizeof(line), "%s:%s%s", dm_json_str(m, "Name", ""), to,
			 dm_json_true(m, "RW") ? "" : ":ro");
		json_array_append_new(binds, json_string(line));
	}
	json_object_set_new(host, "Binds", binds);
	json_object_set_new(host, "VolumesFrom", json_null());
}

/* Of each network what the user chose, not what the engine gave out. */
static json_t *endpoints(const json_t *inspect)
{
	static const char *const keep[] = {"IPAMConfig", "DriverOpts", "GwPriority"};
	const char *id = dm_json_str(inspect, "Id", "");
	json_t *all = json_object(), *v, *one, *aliases, *a;
	const char *name;
	size_t i;

	json_object_foreach(dm_json_at(inspect, "NetworkSettings.Networks"), name, v)
	{
		one = json_object();
		for (i = 0; i < sizeof(keep) / sizeof(*keep); i++)
			if (json_object_get(v, keep[i]))
				json_object_set(one, keep[i], json_object_get(v, keep[i]));
		aliases = json_array();
		json_array_foreach(json_object_get(v, "Aliases"), i, a)
		{
			if (json_is_string(a) && strncmp(json_string_value(a), id, 12))
				json_array_append(aliases, a);
		}
		json_object_set_new(one, "Aliases", aliases);
		json_object_set_new(all, name, one);
	}
	return json_pack("{s:o}", "EndpointsConfig", all);
}

static json_t *body_of(const json_t *inspect, const char *image)
{
	json_t *body = json_deep_copy(dm_json_at(inspect, "Config"));
	json_t *host = json_deep_copy(dm_json_at(inspect, "HostConfig"));

	if (!json_is_object(body) || !json_is_object(host)) {
		json_decref(body);
		json_decref(host);
		return NULL;
	}
	json_object_set_new(body, "Image", json_string(image));
	json_object_set_new(host, "Runtime", json_string("docker-migrate"));
	json_object_set_new(host, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	json_object_del(host, "ContainerIDFile");
	bind_volumes(inspect, host);
	json_object_set_new(body, "HostConfig", host);
	json_object_set_new(body, "NetworkingConfig", endpoints(inspect));
	return body;
}

int dm_create_container(struct dm_engine *e, const json_t *inspect, struct dm_created *out,
			struct dm_err *err)
{
	const char *name = dm_json_str(inspect, "Name", "/"), *image;
	char escaped[512], url[600];
	struct dm_container c;
	json_t *body, *answer;
	int status;

	name += name[0] == '/';
	if (image_name(e, inspect, &image, err) ||
	    dm_engine_escape(name, escaped, sizeof(escaped), err))
		return -1;
	body = body_of(inspect, image);
	if (!body)
		return dm_fail(err, DM_BAD_STREAM,
			       "the container's document lacks Config or HostConfig");
	snprintf(url, sizeof(url), "/containers/create?name=%s", escaped);
	status = dm_engine_call(e, "POST", url, body, CALL_SECONDS, &answer, err);
	json_decref(body);
	if (status == CONFLICT)
		err->code = DM_UNFIT;
	if (status < 0 || status >= 400)
		return -1;
	snprintf(out->id, sizeof(out->id), "%s", dm_json_str(answer, "Id", ""));
	json_decref(answer);
	if (dm_container_load(e, out->id, &c, err))
		return -1;
	snprintf(out->upper, sizeof(out->upper), "%s", c.upper);
	dm_container_free(&c);
	return out->upper[0] ? 0
			     : dm_fail(err, DM_UNFIT,
				       "container %s: the engine names no upper folder (overlay2?)",
				       name);
}

int dm_create_restart_policy(struct dm_engine *e, const char *id, const json_t *inspect,
			     struct dm_err *err)
{
	json_t *policy = dm_json_at(inspect, "HostConfig.RestartPolicy"), *body;
	char url[200];
	int ret;

	if (!policy)
		return 0;
	snprintf(url, sizeof(url), "/containers/%s/update", id);
	body = json_pack("{s:O}", "RestartPolicy", policy);
	ret = dm_engine_do(e, "POST", url, body, CALL_SECONDS, NULL, err);
	json_decref(body);
	return ret;
}
