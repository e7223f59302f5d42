/* SPDX-License-Identifier: Apache-2.0 */
#include "container/have.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/json.h"
#include "base/opt.h"
#include "container/binds.h"
#include "container/layers.h"

/* What a program may have found and may go on using: features that user space can see. */
static const char *const cpu_flags[] = {
	"pni",	       "ssse3",		"sse4_1",
	"sse4_2",      "popcnt",	"aes",
	"pclmulqdq",   "movbe",		"rdrand",
	"rdseed",      "f16c",		"fma",
	"avx",	       "avx2",		"bmi1",
	"bmi2",	       "adx",		"sha_ni",
	"xsave",       "xsavec",	"fsgsbase",
	"erms",	       "avx512f",	"avx512dq",
	"avx512cd",    "avx512bw",	"avx512vl",
	"avx512ifma",  "avx512vbmi",	"avx512_vbmi2",
	"avx512_vnni", "avx512_bitalg", "avx512_vpopcntdq",
	"avx512_bf16", "avx512_fp16",	"gfni",
	"vaes",	       "vpclmulqdq",	"avx_vnni",
	"amx_tile",    "amx_int8",	"amx_bf16",
	"rdpid",       "clflushopt",	"clwb",
	"movdiri",     "movdir64b",	"sse4a",
	"clzero",      "waitpkg",	"serialize",
	"rdtscp",
};

static int read_line(const char *path, char *out, size_t size, struct dm_err *err)
{
	char *all = dm_read_file(AT_FDCWD, path, 1 << 20, NULL, err);

	if (!all)
		return -1;
	snprintf(out, size, "%.*s", (int)strcspn(all, "\n"), all);
	free(all);
	return 0;
}

int dm_have_identity(char machine[64], char boot[64], struct dm_err *err)
{
	struct utsname u;

	if (read_line("/proc/sys/kernel/random/boot_id", boot, 64, err))
		return -1;
	if (read_line("/etc/machine-id", machine, 64, err) || !machine[0]) {
		uname(&u); /* a host that was never given an id goes by its name */
		snprintf(machine, 64, "%.63s", u.nodename);
	}
	return 0;
}

uint64_t dm_have_memory(void)
{
	unsigned long long kib = 0;
	struct dm_err ignored;
	char *all = dm_read_file(AT_FDCWD, "/proc/meminfo", 1 << 20, NULL, &ignored), *p;

	p = all ? strstr(all, "MemAvailable:") : NULL;
	if (p)
		sscanf(p, "MemAvailable: %llu kB", &kib);
	free(all);
	return (uint64_t)kib << 10;
}

static json_t *cpu_list(void)
{
	struct dm_err ignored;
	json_t *list = json_array();
	char *all = dm_read_file(AT_FDCWD, "/proc/cpuinfo", 16 << 20, NULL, &ignored), *p, word[40];
	size_t n;

	p = all ? strstr(all, "\nflags") : NULL;
	if (p) {
		p[1 + strcspn(p + 1, "\n")] = '\0';
		for (size_t i = 0; i < sizeof(cpu_flags) / sizeof(*cpu_flags); i++) {
			const char *at = p;

			n = (size_t)snprintf(word, sizeof(word), " %s", cpu_flags[i]);
			while ((at = strstr(at, word)) && at[n] != ' ' && at[n])
				at += n;
			if (at)
				json_array_append_new(list, json_string(cpu_flags[i]));
		}
	}
	free(all);
	return list;
}

/* The strings under key of each object in the engine's answer to GET path. */
static int names(struct dm_engine *e, const char *path, const char *inside, const char *key,
		 json_t *out, struct dm_err *err)
{
	json_t *answer, *v, *n, *one;
	size_t i, k;

	if (dm_engine_do(e, "GET", path, NULL, 60, &answer, err))
		return -1;
	json_array_foreach(inside ? json_object_get(answer, inside) : answer, i, v)
	{
		n = json_object_get(v, key);
		if (json_is_string(n))
			json_array_append(out, n);
		json_array_foreach(n, k, one)
		{
			const char *s = json_string_value(one);

			if (s)
				json_array_append_new(out, json_string(s + (s[0] == '/')));
		}
	}
	json_decref(answer);
	return 0;
}

static int lists(struct dm_engine *e, json_t *o, struct dm_err *err)
{
	static const struct {
		const char *name, *path, *inside, *key;
	} all[] = {
		{"images", "/images/json", NULL, "Id"},
		{"tags", "/images/json", NULL, "RepoTags"},
		{"containers", "/containers/json?all=1", NULL, "Names"},
		{"volumes", "/volumes", "Volumes", "Name"},
		{"networks", "/networks", NULL, "Name"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		json_t *list = json_array();

		json_object_set_new(o, all[i].name, list);
		if (names(e, all[i].path, all[i].inside, all[i].key, list, err))
			return -1;
	}
	return 0;
}

static void check_program(const char *name, const char *package, const char *first_arg,
			  json_t *obstacles, char *version, size_t size)
{
	const char *const argv[] = {name, first_arg, NULL};
	char line[160];
	struct dm_buf out = {0};
	struct dm_err err;

	if (dm_child_run(argv, 30, &out, &err)) {
		snprintf(line, sizeof(line), "the program %s does not run (package %s)", name,
			 package);
		json_array_append_new(obstacles, json_string(line));
		return;
	}
	if (version)
		snprintf(version, size, "%.*s", (int)strcspn(out.data, "\n"), out.data);
	dm_buf_free(&out);
}

void dm_have_paths(json_t *o, const json_t *paths)
{
	json_t *kinds = json_object();
	const json_t *v;
	size_t i;

	json_array_foreach(paths, i, v)
	{
		const char *path = json_string_value(v);

		if (path && path[0] == '/')
			json_object_set_new(kinds, path, json_string(dm_binds_kind(path)));
	}
	json_object_set_new(o, "paths", kinds);
}

void dm_have_programs(json_t *list, char *criu, size_t size)
{
	check_program("criu", "criu", "--version", list, criu, size);
	check_program("runc", "runc", "--version", list, NULL, 0);
	check_program("nft", "nftables", "--version", list, NULL, 0);
}

json_t *dm_have_versions(struct dm_engine *e)
{
	json_t *ignored = json_array();
	struct utsname u = {0};
	char criu[64] = "";

	uname(&u);
	check_program("criu", "criu", "--version", ignored, criu, sizeof(criu));
	json_decref(ignored);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "hostname", u.nodename, "kernel", u.release,
			 "engine", dm_engine_version(e), "criu",
			 strrchr(criu, ' ') ? strrchr(criu, ' ') + 1 : criu, "docker_migrate",
			 DM_VERSION);
}

/* What the engine says of itself, and what is missing in it. */
static int check_engine(struct dm_engine *e, json_t *o, json_t *obstacles, struct dm_err *err)
{
	const char *driver, *runtime;
	struct statvfs disk;
	char line[160];
	json_t *info;

	if (dm_engine_do(e, "GET", "/info", NULL, 60, &info, err))
		return -1;
	if (statvfs(dm_json_str(info, "DockerRootDir", "/var/lib/docker"), &disk) == 0)
		json_object_set_new(o, "disk",
				    json_pack("{s:I, s:I}", "bytes",
					      (json_int_t)(disk.f_bavail * (uint64_t)disk.f_frsize),
					      "inodes", (json_int_t)disk.f_favail));
	driver = dm_json_str(info, "Driver", "?");
	json_object_set_new(o, "driver", json_string(driver));
	json_object_set_new(o, "engine_id", json_string(dm_json_str(info, "ID", "")));
	json_object_set_new(
		o, "cgroup",
		json_integer(strcmp(dm_json_str(info, "CgroupVersion", "1"), "2") ? 1 : 2));
	if (strcmp(driver, "overlay2")) {
		snprintf(line, sizeof(line), "storage driver %s: only overlay2 is supported",
			 driver);
		json_array_append_new(obstacles, json_string(line));
	}
	runtime = dm_json_str(info, "Runtimes.docker-migrate.path", NULL);
	if (!runtime) {
		json_array_append_new(obstacles,
				      json_string("the engine lacks the runtime docker-migrate "
						  "(dm-restore --install-runtime)"));
	} else if (runtime[0] == '/' && access(runtime, X_OK)) {
		snprintf(line, sizeof(line),
			 "the engine's runtime docker-migrate is missing: %.80s", runtime);
		json_array_append_new(obstacles, json_string_nocheck(line));
	}
	json_decref(info);
	return 0;
}

json_t *dm_have(struct dm_engine *e, const char *stage, struct dm_err *err)
{
	char machine[64], boot[64], criu[64] = "";
	json_t *o = json_object(), *obstacles = json_array();
	struct dm_err ignored;
	struct utsname u;
	int fd;

	json_object_set_new(o, "obstacles", obstacles);
	if (uname(&u) || dm_have_identity(machine, boot, err) ||
	    check_engine(e, o, obstacles, err) || lists(e, o, err))
		goto fail;
	dm_have_programs(obstacles, criu, sizeof(criu));
	json_object_set_new(o, "engine", json_string(dm_engine_version(e)));
	json_object_set_new(o, "criu", json_string(criu));
	json_object_set_new(o, "kernel", json_string(u.release));
	json_object_set_new(o, "arch", json_string(u.machine));
	json_object_set_new(o, "hostname", json_string(u.nodename));
	json_object_set_new(o, "machine", json_string(machine));
	json_object_set_new(o, "boot", json_string(boot));
	json_object_set_new(o, "clock", json_integer((json_int_t)time(NULL)));
	json_object_set_new(o, "memory", json_integer((json_int_t)dm_have_memory()));
	json_object_set_new(o, "cpu", cpu_list());
	fd = dm_dir_make(stage, &ignored);
	if (fd >= 0) {
		json_object_set_new(o, "room", json_integer((json_int_t)dm_dir_room(fd)));
		close(fd);
	} else {
		json_array_append_new(obstacles, json_string(ignored.msg));
	}
	return o;

fail:
	json_decref(o);
	return NULL;
}

int dm_have_layers(struct dm_engine *e, json_t *o, struct dm_err *err)
{
	json_t *layers;

	/* the store of this driver takes an image whose layers it has without their files; that of
	 * containerd knows them by other digests */
	if (strcmp(dm_json_str(o, "driver", "?"), "overlay2"))
		return 0;
	layers = dm_layers(e, json_object_get(o, "images"), err);
	return layers && json_object_set_new(o, "layers", layers) == 0 ? 0 : -1;
}
