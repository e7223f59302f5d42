/* SPDX-License-Identifier: Apache-2.0 */
/* Bind mounts: what the command line says of them, what keeps them from moving, and the folder that
 * one is copied to. */
#include "test.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/json.h"
#include "container/fit.h"
#include "restore/bind.h"
#include "tool.h"

static struct dm_err err;

static json_t *inspect_of(const char *source, const char *destination)
{
	return json_pack("{s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}]}", "Mounts", "Type", "volume",
			 "Source", "/v", "Destination", "/x", "Type", "bind", "Source", source,
			 "Destination", destination);
}

TEST(the_command_line_is_understood)
{
	static const char *const bad[] = {"",	    "copy",    "/a",	   "/a=",	  "=copy",
					  "a=copy", "/a=move", "/a=copy ", "/a=b=refused"};
	struct dm_binds b = {0};
	struct dm_bind bind;
	json_t *o = inspect_of("/srv/data", "/data");
	char out[32];

	CHECK(dm_binds_get(&b, o, 0, &bind));
	CHECK_STR(bind.source, "/srv/data");
	CHECK_INT(bind.mode, DM_BIND_REQUIRE);
	CHECK(!dm_binds_get(&b, o, 1, &bind));
	CHECK_INT(dm_binds_all(&b, "refuse", &err), 0);
	dm_binds_get(&b, o, 0, &bind);
	CHECK_INT(bind.mode, DM_BIND_REFUSE);
	CHECK_INT(dm_binds_one(&b, "/srv/data=copy", &err), 0); /* on the host */
	dm_binds_get(&b, o, 0, &bind);
	CHECK_INT(bind.mode, DM_BIND_COPY);
	CHECK_INT(dm_binds_one(&b, "/data=require", &err), 0); /* in the container */
	dm_binds_get(&b, o, 0, &bind);
	CHECK_INT(bind.mode, DM_BIND_REQUIRE);
	CHECK(!dm_binds_stray(&b, o, out, sizeof(out)));
	CHECK_INT(dm_binds_one(&b, "/dat=copy", &err), 0); /* the beginning of one is another */
	CHECK_STR(dm_binds_stray(&b, o, out, sizeof(out)), "/dat");
	CHECK_INT(dm_binds_all(&b, "keep", &err), -1);
	CHECK_INT(err.code, DM_USAGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK_INT(dm_binds_one(&b, bad[i], &err), -1);
		CHECK_INT(err.code, DM_USAGE);
	}
	json_decref(o);
}

/* What stands in the way of a mount of this host's path, with that mode, when the target has what it
 * says there. */
static const char *obstacle(const char *path, const char *mode, const char *there)
{
	static char out[300];
	struct dm_fit_opts opts = {0};
	struct dm_container c = {.name = "it", .running = true, .upper = "/upper"};
	json_t *list = json_array(), *here = json_object(), *have;

	MUST(dm_binds_all(&opts.binds, mode, &err) == 0);
	c.inspect = inspect_of(path, "/in");
	json_object_set_new(c.inspect, "GraphDriver", json_pack("{s:s}", "Name", "overlay2"));
	json_array_remove(json_object_get(c.inspect, "Mounts"), 0);
	have = json_pack("{s:{s:s*}}", "paths", path, there);
	MUST(dm_fit_container(&c, &opts, list, &err) == 0);
	dm_fit_target(&c, &opts, here, have, list);
	out[0] = '\0'; /* others are about what was not told here */
	for (size_t i = 0; !out[0] && i < json_array_size(list); i++)
		if (strstr(json_string_value(json_array_get(list, i)), path))
			snprintf(out, sizeof(out), "%s",
				 json_string_value(json_array_get(list, i)));
	json_decref(list);
	json_decref(here);
	json_decref(have);
	json_decref(c.inspect);
	return out;
}

TEST(each_mode_has_its_obstacles)
{
	const char *dir = fresh_folder();
	char path[200], want[400];

	snprintf(path, sizeof(path), "%s/file", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CHECK_STR(obstacle(dir, "require", "folder"), "");
	CHECK_STR(obstacle(dir, "require", "empty"), "");
	snprintf(want, sizeof(want),
		 "the target lacks %s, which is mounted at /in (--bind %s=copy sends it)", dir,
		 dir);
	CHECK_STR(obstacle(dir, "require", "nothing"), want);
	snprintf(want, sizeof(want), "%s is a folder here and a file on the target", dir);
	CHECK_STR(obstacle(dir, "require", "file"), want);
	snprintf(want, sizeof(want), "the target was not asked about %s (dm-restore --paths)", dir);
	CHECK_STR(obstacle(dir, "require", NULL), want);
	CHECK_STR(obstacle(dir, "copy", "nothing"), "");
	CHECK_STR(obstacle(dir, "copy", "empty"), "");
	snprintf(want, sizeof(want), "the target has %s already, and it is not an empty folder",
		 dir);
	CHECK_STR(obstacle(dir, "copy", "folder"), want);
	CHECK_STR(obstacle(dir, "copy", "file"), want);
	snprintf(want, sizeof(want), "bind mount of %s at /in", dir);
	CHECK_STR(obstacle(dir, "refuse", "folder"), want);
	CHECK_STR(obstacle(path, "require", "file"), "");
	snprintf(want, sizeof(want), "bind mount of %s at /in: only a folder can be copied", path);
	CHECK_STR(obstacle(path, "copy", "nothing"), want);
	snprintf(want, sizeof(want), "%s is a file here and a folder on the target", path);
	CHECK_STR(obstacle(path, "require", "empty"), want);
}

TEST(kinds_are_told)
{
	const char *dir = fresh_folder();
	char path[200];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	CHECK_STR(dm_binds_kind(dir), "empty");
	snprintf(path, sizeof(path), "%s/s", dir);
	CHECK_STR(dm_binds_kind(path), "nothing");
	snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK_STR(dm_binds_kind(path), "socket");
	CHECK_STR(dm_binds_kind(dir), "folder");
	CHECK_STR(dm_binds_kind("/dev/null"), "other");
	close(fd);
}

TEST(the_folder_to_copy_to_is_made_and_removed)
{
	const char *dir = fresh_folder();
	char path[200], inside[250];
	struct dm_bind_place p;

	snprintf(path, sizeof(path), "%s/a/b/c", dir);
	CHECK_INT(dm_bind_place_make(&p, path, &err), 0);
	CHECK_STR(dm_binds_kind(path), "empty");
	snprintf(inside, sizeof(inside), "%s/x", path);
	MUST(mkdir(inside, 0700) == 0);
	CHECK_INT(dm_bind_place_undo(&p, &err), 0);
	CHECK_STR(dm_binds_kind(dir), "empty"); /* those above it are gone, too */

	MUST(mkdir(strcat(strcpy(path, dir), "/there"), 0700) == 0);
	CHECK_INT(dm_bind_place_make(&p, path, &err), 0);
	snprintf(inside, sizeof(inside), "%s/x", path);
	MUST(mkdir(inside, 0700) == 0);
	CHECK_INT(dm_bind_place_undo(&p, &err), 0);
	CHECK_STR(dm_binds_kind(path), "empty"); /* what was there stays */

	MUST(mkdir(inside, 0700) == 0);
	CHECK_INT(dm_bind_place_make(&p, path, &err), -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(dm_binds_kind(path), "folder");
	CHECK_INT(dm_bind_place_make(&p, "relative", &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	snprintf(path, sizeof(path), "%s/../up", dir);
	CHECK_INT(dm_bind_place_make(&p, path, &err), -1);
	CHECK_INT(err.code, DM_BAD_STREAM);
	CHECK_INT(dm_bind_place_make(&p, "/proc/none/here", &err), -1);
}
