/* SPDX-License-Identifier: Apache-2.0 */
/* dm-predump: the memory of a container as a segment of a migration stream. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/opt.h"
#include "container/have.h"
#include "handover/freeze.h"
#include "handover/stage.h"
#include "memory/final.h"
#include "memory/rounds.h"
#include "source/dump.h"

enum {
	KEY_ID = 256,
	KEY_FINAL,
	KEY_RULE,
	KEY_BUDGET,
	KEY_ROUNDS,
	KEY_MIN,
	KEY_GROWTH,
	KEY_TCP,
	KEY_WORK
};

static const struct dm_opt opts[] = {
	{KEY_ID, "id", "ID", "the migration"},
	{KEY_FINAL, "final", NULL, "freeze the container, dump it, and send what is left"},
	{KEY_RULE, "rule", "RULE", "when the rounds end: budget (default) or seed"},
	{KEY_BUDGET, "budget", "MS", "predicted blackout that ends them, in ms (default 300)"},
	{KEY_ROUNDS, "max-rounds", "N", "most rounds (default 7)"},
	{KEY_MIN, "min-pages", "N", "rule seed: fewer sent pages end them (default 500)"},
	{KEY_GROWTH, "max-growth", "PERCENT", "rule seed: more growth ends them (default 10)"},
	{KEY_TCP, "tcp", "MODE", "TCP connections: refuse (default) or close"},
	{KEY_WORK, "work", "DIR", "where the dump goes (default /dev/shm/docker-migrate)"},
	{0},
};

static const struct dm_tool tool = {
	"dm-predump",
	"--id ID [--final] [options] CONTAINER >STREAM",
	"Send the memory of a running container in rounds, or freeze it and send the rest.",
	opts,
};

struct options {
	const char *id, *work;
	bool final;
	struct dm_stop_opts stop;
	enum dm_tcp tcp;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static int on_option(void *ctx, int key, const char *arg, struct dm_err *err)
{
	struct options *o = ctx;
	uint64_t n;

	switch (key) {
	case KEY_ID:
		o->id = arg;
		return dm_record_id_ok(arg) ? 0
					    : dm_fail(err, DM_USAGE, "--id: \"%s\" is no id", arg);
	case KEY_FINAL:
		o->final = true;
		return 0;
	case KEY_RULE:
		if (strcmp(arg, "budget") && strcmp(arg, "seed"))
			return dm_fail(err, DM_USAGE, "--rule: \"%s\" is neither budget nor seed",
				       arg);
		o->stop.rule = strcmp(arg, "seed") ? DM_STOP_BUDGET : DM_STOP_SEED;
		return 0;
	case KEY_BUDGET:
		if (dm_num_u64(arg, "--budget", 1, 3600000, &n, err))
			return -1;
		o->stop.budget = (double)n / 1000;
		return 0;
	case KEY_ROUNDS:
		if (dm_num_u64(arg, "--max-rounds", 1, DM_ROUNDS_MAX, &n, err))
			return -1;
		o->stop.max_rounds = (uint32_t)n;
		return 0;
	case KEY_MIN:
		return dm_num_u64(arg, "--min-pages", 0, UINT32_MAX, &o->stop.min_pages, err);
	case KEY_GROWTH:
		if (dm_num_u64(arg, "--max-growth", 0, 100000, &n, err))
			return -1;
		o->stop.max_growth = (uint32_t)n;
		return 0;
	case KEY_TCP:
		return dm_fit_tcp(arg, &o->tcp, err);
	case KEY_WORK:
		o->work = arg;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "unknown option");
}

/* Rounds begun anew by a second run of this tool take up where the first one stopped. */
static struct dm_held *load_held(struct dm_record *r, struct dm_err *err)
{
	if (faccessat(dm_record_dir(r), "held", F_OK, 0))
		return dm_held_new(err);
	return dm_held_load(dm_record_dir(r), "held", err);
}

/* A round, for the report. */
static json_t *round_json(const struct dm_round *r)
{
	return json_pack("{s:I, s:I, s:I, s:f}", "pages", (json_int_t)r->seen, "sent",
			 (json_int_t)r->sent, "bytes", (json_int_t)r->bytes, "seconds", r->seconds);
}

/* The rounds there were, and what they let expect. */
static int put_rounds(struct dm_stage *s, const struct dm_round *r, uint32_t n, struct dm_err *err)
{
	json_t *list = json_array(), *o;

	for (uint32_t i = 0; i < n; i++) {
		o = round_json(&r[i]);
		json_object_set_new(o, "predicted", json_real(r[i].predicted));
		json_array_append_new(list, o);
	}
	json_object_set_new(s->figures, "rounds", list);
	return dm_record_event(s->record, "predicted",
			       json_pack("{s:f}", "seconds", r[n - 1].predicted), err);
}

static int rounds(const struct options *o, const struct dm_container *c, struct dm_stage *s,
		  struct dm_err *err)
{
	struct dm_stop stop = {.opts = o->stop};
	struct dm_round list[DM_ROUNDS_MAX];
	struct dm_held *held = load_held(s->record, err);
	int ret = -1;

	if (held &&
	    dm_rounds_run(&c->cgroup, s->writer, held, s->segment.seed, &stop, list, &interrupted,
			  err) == 0 &&
	    dm_held_save(held, dm_record_dir(s->record), "held", err) == 0 &&
	    put_rounds(s, list, stop.rounds, err) == 0)
		ret = dm_stage_end(s, false, err);
	dm_held_free(held);
	return ret;
}

/* Room for the dump, and memory, since tmpfs is memory. */
static int check_room(int dirfd, const char *path, const struct dm_container *c, struct dm_err *err)
{
	char need[32], have[32];
	struct dm_tasks tasks;
	uint64_t bytes, room;

	if (dm_tasks_list(&c->cgroup, &tasks, err))
		return -1;
	bytes = dm_tasks_memory(&tasks);
	bytes += bytes / 16 + (64 << 20);
	dm_tasks_free(&tasks);
	dm_num_human(bytes, need, sizeof(need));
	room = dm_dir_room(dirfd);
	dm_num_human(room, have, sizeof(have));
	if (room < bytes)
		return dm_fail(err, DM_UNFIT,
			       "%s: a dump of the container may take %s, and %s are left (--work)",
			       path, need, have);
	room = dm_have_memory();
	dm_num_human(room, have, sizeof(have));
	if (dm_dir_in_memory(dirfd) && room < bytes)
		return dm_fail(err, DM_UNFIT,
			       "memory: a dump of the container may take %s, and %s are left", need,
			       have);
	return 0;
}

static int check_thaw(struct dm_record *r, struct dm_err *err)
{
	char standing[DM_WORD_MAX];
	int n = dm_record_decision(r, standing, err);

	if (n > 0)
		return dm_fail(err, DM_FAILURE, "the move was given up meanwhile");
	return interrupted ? dm_fail(err, DM_FAILURE, "interrupted") : n;
}

/* Freeze, dump, send; path is the dump's own folder. */
static int freeze_and_send(const struct options *o, struct dm_engine *e,
			   const struct dm_container *c, struct dm_stage *s, const char *path,
			   int dirfd, struct dm_err *err)
{
	struct dm_held *held = load_held(s->record, err);
	struct dm_sender_count count = {0};
	struct dm_tasks tasks = {0};
	struct dm_round round = {0};
	double start = 0, dumped;
	int images = -1, ret = -1;

	if (!held || dm_stage_wait_target(s, &interrupted, err))
		goto out;
	start = dm_now();
	if (check_thaw(s->record, err) || dm_freeze(e, c, s->record, err) ||
	    check_thaw(s->record, err) || dm_dump(c, path, dirfd, o->tcp, err) ||
	    check_thaw(s->record, err))
		goto out;
	dumped = dm_now();
	images = openat(dirfd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (images < 0) {
		dm_fail_errno(err, "open %s/images", path);
		goto out;
	}
	if (dm_tasks_list(&c->cgroup, &tasks, err) ||
	    dm_final_send(images, &tasks, held, s->segment.seed, 0, s->writer, &count, err))
		goto out;
	round = (struct dm_round){.seen = count.seen,
				  .sent = count.sent,
				  .bytes = dm_writer_bytes(s->writer),
				  .seconds = dm_now() - dumped};
	json_object_set_new(s->figures, "freeze", json_real(dumped - start));
	json_object_set_new(s->figures, "final", round_json(&round));
	if (dm_stage_end(s, false, err))
		goto out;
	dm_say("frozen and dumped in %.2f s", dumped - start);
	dm_rounds_say("final", &round, NULL);
	ret = 0;
out:
	if (images >= 0)
		close(images);
	dm_tasks_free(&tasks);
	dm_held_free(held);
	return ret;
}

/* Giving gigabytes of memory back takes a while, and the container is frozen: a child does it. */
static void remove_behind(struct dm_stage *s, int work, const char *name)
{
	struct dm_err err;
	pid_t pid = fork();

	if (pid > 0)
		return;
	if (pid == 0) {
		dm_record_unlock(s->record); /* our copy of it */
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		setsid();
	}
	if (dm_dir_remove(work, name, &err))
		dm_say("%s is left behind: %s", name, err.msg);
	if (pid == 0)
		_exit(0);
}

static int final(const struct options *o, struct dm_engine *e, const struct dm_container *c,
		 struct dm_stage *s, struct dm_err *err)
{
	char path[4096], name[16 + DM_STREAM_ID];
	int work = dm_dir_make(o->work, err), dirfd = -1, ret = -1;

	if (work < 0)
		return -1;
	snprintf(name, sizeof(name), "dump-%s", s->segment.id);
	if (snprintf(path, sizeof(path), "%s/%s", o->work, name) >= (int)sizeof(path)) {
		dm_fail(err, DM_USAGE, "--work: path too long");
		goto out;
	}
	if (check_room(work, o->work, c, err) || dm_dir_remove(work, name, err))
		goto out;
	dirfd = dm_dir_make(path, err);
	if (dirfd < 0)
		goto out;
	ret = freeze_and_send(o, e, c, s, path, dirfd, err);
	remove_behind(s, work, name);
out:
	if (dirfd >= 0)
		close(dirfd);
	close(work);
	return ret;
}

/* The final stage failed, so nothing can follow it: the container may go on at once. */
static void give_up(struct dm_engine *e, const struct dm_container *c, struct dm_record *r)
{
	char standing[DM_WORD_MAX];
	struct dm_err err = {0};

	if (dm_record_find(r, "freezing", NULL, &err) == 1 &&
	    (dm_record_decide(r, "thaw", standing, &err) != 1 || dm_thaw(e, c, r, &err)))
		dm_say("container %s may still be frozen: %s", c->name, err.msg);
}

static int run(const struct options *o, const char *name, struct dm_err *err)
{
	struct dm_container c = {0};
	struct dm_stage s = {0};
	struct dm_engine *e = dm_engine_open(err);
	int ret = -1;

	if (!e || dm_container_load(e, name, &c, err))
		goto out;
	if (!c.pid) {
		dm_fail(err, DM_UNFIT, "container %s does not run", c.name);
		goto out;
	}
	if (dm_stage_begin(&s, o->id, o->final ? DM_FINAL : DM_ROUNDS, &c, false, o->final, err))
		goto out;
	ret = o->final ? final(o, e, &c, &s, err) : rounds(o, &c, &s, err);
	if (ret && o->final)
		give_up(e, &c, s.record);
	if (ret)
		dm_stage_abort(&s, err);
out:
	dm_stage_close(&s);
	dm_container_free(&c);
	dm_engine_close(e);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = {.stop = dm_stop_defaults, .work = "/dev/shm/docker-migrate"};
	struct sigaction sa = {.sa_handler = on_signal};
	struct dm_err err;
	int at;

	at = dm_opt_parse(&tool, argc, argv, on_option, &o, &err);
	if (at < 0)
		return dm_opt_die(&tool, &err);
	if (argc - at != 1 || !o.id) {
		dm_fail(&err, DM_USAGE, "one container and --id are needed");
		return dm_opt_die(&tool, &err);
	}
	signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of write(2) */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	if (run(&o, argv[at], &err) || dm_close_stdout(&err))
		return dm_opt_die(&tool, &err);
	return DM_OK;
}
