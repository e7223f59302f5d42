/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/freeze.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "net/cut.h"

enum { CALL_SECONDS = 60, EXEC_TRIES = 25, EXIT_SECONDS = 20 };

static void nap(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* POST /containers/ID/VERB */
static int verb(struct dm_engine *e, const struct dm_container *c, const char *what,
		const json_t *body, struct dm_err *err)
{
	char path[600];

	snprintf(path, sizeof(path), "/containers/%s/%s", c->id, what);
	return dm_engine_do(e, "POST", path, body, CALL_SECONDS, NULL, err);
}

static int set_restart(struct dm_engine *e, const struct dm_container *c, json_t *policy,
		       struct dm_err *err)
{
	json_t *body = json_pack("{s:o}", "RestartPolicy", policy);
	int ret = body ? verb(e, c, "update", body, err)
		       : dm_fail(err, DM_FAILURE, "restart policy of %s: none is known", c->name);

	json_decref(body);
	return ret;
}

static int cut(const struct dm_container *c, bool open, struct dm_err *err)
{
	int ns = dm_cut_netns(c->pid, err), ret;

	if (ns < 0)
		return -1;
	ret = open ? dm_cut_remove(ns, err) : dm_cut_install(ns, err);
	close(ns);
	return ret;
}

enum dm_presence dm_presence(struct dm_engine *e, const struct dm_container *c, struct dm_err *err)
{
	enum dm_presence p = DM_STOPPED;
	char path[300];
	json_t *now;
	int status;

	snprintf(path, sizeof(path), "/containers/%s/json", c->id);
	status = dm_engine_call(e, "GET", path, NULL, CALL_SECONDS, &now, err);
	if (status == 404)
		return DM_GONE;
	if (status != 200)
		return DM_PRESENCE_ERROR;
	if (dm_json_true(now, "State.Paused"))
		p = DM_PAUSED;
	else if (dm_json_true(now, "State.Running"))
		p = DM_RUNS;
	json_decref(now);
	return p;
}

/* Pause it at a moment when nothing is in it that a dump would lose; since is when it began. */
static int pause_alone(struct dm_engine *e, const struct dm_container *c, double *since,
		       struct dm_err *err)
{
	const struct dm_task *foreign;
	struct dm_tasks tasks;
	pid_t pid = 0;

	for (int i = 0; i < EXEC_TRIES; i++) {
		*since = dm_clock();
		if (verb(e, c, "pause", NULL, err) || dm_tasks_list(&c->cgroup, &tasks, err))
			return -1;
		foreign = dm_tasks_foreign(&tasks, c->pid);
		pid = foreign ? foreign->pid : 0;
		dm_tasks_free(&tasks);
		if (!pid)
			return 0;
		if (verb(e, c, "unpause", NULL, err))
			return -1;
		nap(200);
	}
	return dm_fail(err, DM_UNFIT,
		       "container %s: process %ld was started by docker exec and would be lost",
		       c->name, (long)pid);
}

int dm_freeze(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	      struct dm_err *err)
{
	json_t *policy = dm_json_at(c->inspect, "HostConfig.RestartPolicy");
	double since = 0;

	if (dm_record_claim(r, c->id, err) ||
	    dm_record_event(r, "freezing", json_pack("{s:O}", "restart", policy), err) ||
	    set_restart(e, c, json_pack("{s:s}", "Name", "no"), err) ||
	    pause_alone(e, c, &since, err) || cut(c, false, err))
		return dm_fail_prefix(err, "freeze");
	return dm_record_event(r, "frozen", json_pack("{s:f}", "since", since), err);
}

/* The last word of the journal on the container: returns 1 when it may be frozen or cut off. */
static int may_be_frozen(struct dm_record *r, json_t **freezing, struct dm_err *err)
{
	json_t *thawed = NULL;
	int n = dm_record_find(r, "freezing", freezing, err);

	if (n <= 0)
		return n;
	n = dm_record_find(r, "thawed", &thawed, err);
	json_decref(thawed);
	return n < 0 ? -1 : n == 0;
}

/* Unpause it; one that is being killed or removed meanwhile may come to its end instead. */
static int unpause(struct dm_engine *e, const struct dm_container *c, struct dm_err *err)
{
	double end = dm_now() + EXIT_SECONDS;
	struct dm_err ignored;
	enum dm_presence p;

	while (verb(e, c, "unpause", NULL, err)) {
		nap(200);
		p = dm_presence(e, c, &ignored);
		if (p != DM_PAUSED && p != DM_PRESENCE_ERROR)
			return 0;
		if (dm_now() > end)
			return -1;
	}
	return 0;
}

/* Let it run on, if it is as p says. */
static int thaw_as(enum dm_presence p, struct dm_engine *e, const struct dm_container *c,
		   json_t *policy, struct dm_err *err)
{
	if (p == DM_PRESENCE_ERROR || ((p == DM_RUNS || p == DM_PAUSED) && cut(c, true, err)) ||
	    (p == DM_PAUSED && unpause(e, c, err)))
		return -1;
	return p != DM_GONE && policy ? set_restart(e, c, json_incref(policy), err) : 0;
}

int dm_thaw(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	    struct dm_err *err)
{
	json_t *freezing = NULL, *policy;
	int n = may_be_frozen(r, &freezing, err), ret = -1;
	enum dm_presence p, now;

	if (n <= 0) /* never frozen, or thawed already: at most the claim is left */
		return n < 0 ? -1 : dm_record_unclaim(r, c->id, err);
	policy = json_object_get(freezing, "restart");
	if (dm_record_event(r, "thawing", NULL, err))
		goto out;
	now = dm_presence(e, c, err);
	do { /* once more if it was stopped or removed meanwhile */
		p = now;
		ret = thaw_as(p, e, c, policy, err);
	} while (ret && p != DM_PRESENCE_ERROR &&
		 (now = dm_presence(e, c, &(struct dm_err){0})) != p);
	if (ret == 0)
		ret = dm_record_event(r, "thawed", NULL, err) || dm_record_unclaim(r, c->id, err)
			      ? -1
			      : 0;
out:
	if (ret)
		dm_fail_prefix(err, "thaw");
	json_decref(freezing);
	return ret;
}

/* Wait until the engine has seen that the container is gone. */
static int wait_exit(struct dm_engine *e, const struct dm_container *c, struct dm_err *err)
{
	double end = dm_now() + EXIT_SECONDS;
	enum dm_presence p;

	do {
		p = dm_presence(e, c, err);
		if (p == DM_PRESENCE_ERROR)
			return -1;
		if (p == DM_GONE || p == DM_STOPPED)
			return 0;
		nap(20);
	} while (dm_now() < end);
	return dm_fail(err, DM_FAILURE, "container %s: it does not end", c->name);
}

static int leave_networks(struct dm_engine *e, const struct dm_container *c, struct dm_err *err)
{
	json_t *networks = dm_json_at(c->inspect, "NetworkSettings.Networks"), *v, *body;
	char name[512], path[600];
	const char *key;
	int status;

	json_object_foreach(networks, key, v)
	{
		if (dm_engine_escape(key, name, sizeof(name), err))
			return -1;
		snprintf(path, sizeof(path), "/networks/%s/disconnect", name);
		body = json_pack("{s:s, s:b}", "Container", c->id, "Force", 1);
		status = dm_engine_call(e, "POST", path, body, CALL_SECONDS, NULL, err);
		json_decref(body);
		/* 403: a network that cannot be left, such as none; 404, 500: left already */
		if (status < 0)
			return -1;
	}
	return 0;
}

/* Give it up, if it is as p says; name is its new name. */
static int release_as(enum dm_presence p, struct dm_engine *e, const struct dm_container *c,
		      const char *name, struct dm_err *err)
{
	struct dm_err ignored;
	char path[400];

	if (p == DM_GONE)
		return 0;
	if (p == DM_PRESENCE_ERROR || set_restart(e, c, json_pack("{s:s}", "Name", "no"), err))
		return -1;
	if (p == DM_RUNS || p == DM_PAUSED) {
		if (cut(c, false, err) || dm_cgroup_kill(&c->cgroup, SIGKILL, err))
			return -1;
		verb(e, c, "unpause", NULL,
		     &ignored); /* it may be gone before the engine answers */
		if (wait_exit(e, c, err))
			return -1;
	}
	if (!strstr(c->name, ".migrated-")) {
		snprintf(path, sizeof(path), "rename?name=%s", name);
		if (verb(e, c, path, NULL, err))
			return -1;
	}
	return leave_networks(e, c, err);
}

int dm_release(struct dm_engine *e, const struct dm_container *c, struct dm_record *r,
	       char name[256], struct dm_err *err)
{
	enum dm_presence p, now;
	int ret;

	snprintf(name, 256, "%.200s.migrated-%.12s", c->name, c->id);
	if (dm_record_event(r, "releasing", json_pack("{s:s}", "name", name), err))
		return dm_fail_prefix(err, "release");
	now = dm_presence(e, c, err);
	do { /* once more if it was stopped or removed meanwhile */
		p = now;
		ret = release_as(p, e, c, name, err);
	} while (ret && p != DM_PRESENCE_ERROR &&
		 (now = dm_presence(e, c, &(struct dm_err){0})) != p);
	if (ret || dm_record_event(r, "released", NULL, err) || dm_record_unclaim(r, c->id, err))
		return dm_fail_prefix(err, "release");
	return 0;
}
