/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a container from being moved, each thing by itself. */
#include "test.h"

#include "base/json.h"
#include "container/fit.h"
#include "tool.h"

static struct dm_err err;
static struct dm_fit_opts opts; /* none: the defaults */

static const char plain[] =
	"{\"Id\":\"x\",\"Name\":\"/it\",\"GraphDriver\":{\"Name\":\"overlay2\"},\"Mounts\":[],"
	"\"Config\":{},\"HostConfig\":{\"Runtime\":\"runc\",\"NetworkMode\":\"bridge\","
	"\"PidMode\":\"\",\"IpcMode\":\"private\",\"UTSMode\":\"\",\"UsernsMode\":\"\"},"
	"\"NetworkSettings\":{\"Networks\":{\"bridge\":{}}}}";

static json_t *parse(const char *text)
{
	json_t *o = dm_json_parse(text, strlen(text), "test", &err);

	MUST(o);
	return o;
}

/* A container of the plain document, in which the object at path gets what is in change. */
static struct dm_container with(const char *path, const char *change)
{
	struct dm_container c = {.name = "it", .running = true, .upper = "/upper"};

	c.inspect = parse(plain);
	if (path) {
		json_t *o = parse(change);

		json_object_update(dm_json_at(c.inspect, path), o);
		json_decref(o);
	}
	return c;
}

/* Its obstacles, joined by "|", to be freed. */
static char *joined(json_t *list)
{
	char *text = calloc(1, 8192);
	const json_t *v;
	size_t i;

	MUST(text);
	json_array_foreach(list, i, v)
	{
		strcat(text, i ? "|" : "");
		strcat(text, json_string_value(v));
	}
	json_decref(list);
	return text;
}

static char *obstacles(const struct dm_container *c)
{
	json_t *list = json_array();

	CHECK_INT(dm_fit_container(c, &opts, list, &err), 0);
	return joined(list);
}

TEST(a_plain_container_can_be_moved)
{
	struct dm_container c = with(NULL, NULL);
	json_t *none = json_array();
	char *text = obstacles(&c);

	CHECK_STR(text, "");
	CHECK_INT(dm_fit_report(&c, none, &err), 0);
	json_decref(none);
	free(text);
	json_decref(c.inspect);
}

TEST(each_obstacle_is_named)
{
	static const struct {
		const char *path, *change, *want;
	} t[] = {
		{"Config", "{\"Tty\":true}", "it has a terminal (docker run -t)"},
		{"Config", "{\"Tty\":false}", ""},
		{"HostConfig", "{\"AutoRemove\":true}",
		 "it is removed when it stops (docker run --rm)"},
		{"HostConfig", "{\"NetworkMode\":\"host\"}", "the network is shared (host)"},
		{"HostConfig", "{\"NetworkMode\":\"container:abc\"}",
		 "the network is shared (container:abc)"},
		{"HostConfig", "{\"NetworkMode\":\"none\"}", ""},
		{"HostConfig", "{\"NetworkMode\":\"containers\"}", ""},
		{"HostConfig", "{\"PidMode\":\"host\"}", "the pid namespace is shared (host)"},
		{"HostConfig", "{\"IpcMode\":\"host\"}", "the IPC namespace is shared (host)"},
		{"HostConfig", "{\"IpcMode\":\"shareable\"}",
		 "its /dev/shm is shareable (docker run --ipc=shareable) and would be lost"},
		{"HostConfig", "{\"UTSMode\":\"host\"}", "the UTS namespace is shared (host)"},
		{"HostConfig", "{\"UsernsMode\":\"host\"}", "the user namespace is shared (host)"},
		{"HostConfig", "{\"Runtime\":\"runsc\"}", "its runtime is runsc, not runc"},
		{"HostConfig", "{\"Runtime\":\"docker-migrate\"}", ""},
		{"HostConfig", "{\"Annotations\":{\"org.criu.config\":\"/x\"}}",
		 "its annotation org.criu.config would steer CRIU"},
		{"HostConfig", "{\"Annotations\":{\"other\":\"/x\"}}", ""},
		{"HostConfig", "{\"DeviceRequests\":[{}]}",
		 "it uses devices of a driver (docker run --gpus)"},
		{"HostConfig", "{\"DeviceRequests\":[]}", ""},
		{"HostConfig", "{\"Links\":[\"/a:/b\"]}",
		 "it is linked to other containers (docker run --link)"},
		{"", "{\"State\":{\"Restarting\":true}}", "it is restarting"},
		{"GraphDriver", "{\"Name\":\"btrfs\"}",
		 "storage driver btrfs: only overlay2 is supported"},
		{"", "{\"GraphDriver\":null}",
		 "storage driver (unknown, perhaps containerd's snapshotter): only overlay2 is "
		 "supported"},
		{"",
		 "{\"Mounts\":[{\"Type\":\"npipe\",\"Destination\":\"/a\"},{\"Type\":\"tmpfs\"},"
		 "{\"Type\":\"volume\",\"Name\":\"v\",\"Driver\":\"local\"},"
		 "{\"Type\":\"volume\",\"Name\":\"w\",\"Driver\":\"nfs\"}]}",
		 "mount of type npipe at /a|volume w: its driver nfs is not supported"},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct dm_container c = with(t[i].path, t[i].change);
		char *text = obstacles(&c);

		CHECK_STR(text, t[i].want);
		free(text);
		json_decref(c.inspect);
	}
}

TEST(its_state_is_an_obstacle)
{
	struct dm_container c = with(NULL, NULL);
	char *text;

	c.running = false;
	text = obstacles(&c);
	CHECK_STR(text, "it does not run");
	free(text);
	c.running = c.paused = true;
	text = obstacles(&c);
	CHECK_STR(text, "it is paused already");
	free(text);
	c.paused = false;
	c.upper[0] = '\0';
	text = obstacles(&c);
	CHECK_STR(text, "storage driver overlay2: only overlay2 is supported");
	free(text);
	json_decref(c.inspect);
}

/* Wherever the line is cut, it must not get lost. */
TEST(an_obstacle_with_a_long_name_is_an_obstacle)
{
	for (size_t n = 470; n < 520; n++) {
		char change[3000] = "{\"Mounts\":[{\"Type\":\"glob\",\"Destination\":\"/", *text;
		struct dm_container c;

		for (size_t i = 0; i < n; i++)
			strcat(change, i < 460 ? "x" : "\xc3\xa9");
		strcat(change, "\"}]}");
		if (n % 2)
			memmove(change + 46, change + 47, strlen(change + 46));
		c = with("", change);
		text = obstacles(&c);
		if (strncmp(text, "mount of type glob at /", 23) != 0)
			TEST_BAD("of length %zu it is lost: %s", n, text);
		free(text);
		json_decref(c.inspect);
	}
}

static const char host[] =
	"{\"arch\":\"x86_64\",\"cgroup\":2,\"engine_id\":\"H\",\"cpu\":[\"avx\",\"sse4_2\"]}";
static const char target[] =
	"{\"arch\":\"x86_64\",\"cgroup\":2,\"engine_id\":\"T\",\"cpu\":[\"sse4_2\",\"avx\","
	"\"avx2\"],"
	"\"containers\":[\"other\"],\"volumes\":[\"w\"],\"networks\":[\"bridge\",\"none\"],"
	"\"obstacles\":[]}";

/* The obstacles of a target that differs in these keys. */
static char *against(const struct dm_container *c, const char *change)
{
	json_t *list = json_array(), *here = parse(host), *have = parse(target);
	json_t *o = parse(change);

	json_object_update(have, o);
	dm_fit_target(c, &opts, here, have, list);
	json_decref(o);
	json_decref(here);
	json_decref(have);
	return joined(list);
}

TEST(each_obstacle_of_the_target_is_named)
{
	static const struct {
		const char *change, *want;
	} t[] = {
		{"{}", ""},
		{"{\"obstacles\":[\"no criu\",7]}", "on the target: no criu|on the target: ?"},
		{"{\"arch\":\"aarch64\"}", "the target is of another architecture (aarch64)"},
		{"{\"arch\":null}", "the target is of another architecture (unknown)"},
		{"{\"cgroup\":1}", "the target uses cgroup v1, this host v2"},
		{"{\"cpu\":[\"sse4_2\"]}", "the target's CPU lacks: avx"},
		{"{\"cpu\":null}", "the target's CPU lacks: avx sse4_2"},
		{"{\"containers\":[\"it\"]}", "the target has a container named it already"},
		{"{\"volumes\":[\"v\"]}", "the target has a volume named v already"},
		{"{\"networks\":[\"none\"]}", "the target has no network named bridge"},
		{"{\"engine_id\":\"H\"}", "the target is this host"},
	};
	struct dm_container c = with(
		"", "{\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"v\",\"Driver\":\"local\"}]}");

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		char *text = against(&c, t[i].change);

		CHECK_STR(text, t[i].want);
		free(text);
	}
	json_decref(c.inspect);
}

TEST(obstacles_are_told_and_counted)
{
	struct dm_container c = with(NULL, NULL);
	json_t *list = json_pack("[s, s]", "one", "two\x1b");
	struct capture k = capture_begin(2);
	char *said;
	int ret;

	dm_set_program("dm-it");
	ret = dm_fit_report(&c, list, &err);
	said = capture_end(k);
	CHECK_INT(ret, -1);
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "container it cannot be moved: 2 obstacles");
	CHECK_STR(said, "dm-it: it: one\ndm-it: it: two?\n");
	free(said);
	json_decref(list);
	json_decref(c.inspect);
}

TEST(the_argument_of_tcp)
{
	enum dm_tcp tcp;

	CHECK(dm_fit_tcp("refuse", &tcp, &err) == 0 && tcp == DM_TCP_REFUSE);
	CHECK(dm_fit_tcp("close", &tcp, &err) == 0 && tcp == DM_TCP_CLOSE);
	CHECK_INT(dm_fit_tcp("Close", &tcp, &err), -1);
	CHECK_INT(err.code, DM_USAGE);
	CHECK_INT(dm_fit_tcp("", &tcp, &err), -1);
}
