/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"
#include "base/json.h"

enum { JOURNAL_MAX = 64 << 20 };

struct dm_record {
	char path[PATH_MAX];
	int dir;
	int lock;
};

const char *dm_record_state(void)
{
	const char *state = getenv("DM_STATE");

	return state ? state : "/var/lib/docker-migrate";
}

bool dm_record_id_ok(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n >= 1 && n <= DM_ID_MAX && id[n] == '\0' && id[0] != '.' && id[0] != '-';
}

struct dm_record *dm_record_open(enum dm_side side, const char *id, bool create, struct dm_err *err)
{
	struct dm_record *r;

	if (!dm_record_id_ok(id)) {
		dm_fail(err, DM_USAGE, "migration id: 1 to %d of a-z A-Z 0-9 . _ - are allowed",
			DM_ID_MAX);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		dm_fail_errno(err, "open record %s", id);
		return NULL;
	}
	r->lock = -1;
	snprintf(r->path, sizeof(r->path), "%s/%s/%s", dm_record_state(),
		 side == DM_SOURCE ? "source" : "target", id);
	if (!create && access(r->path, F_OK) && errno == ENOENT) {
		dm_fail(err, DM_UNFIT, "no migration %s is known on this host as %s", id,
			side == DM_SOURCE ? "source" : "target");
		goto fail;
	}
	r->dir = dm_dir_make(r->path, err);
	if (r->dir < 0)
		goto fail;
	return r;

fail:
	free(r);
	return NULL;
}

void dm_record_close(struct dm_record *r)
{
	if (!r)
		return;
	dm_record_unlock(r);
	close(r->dir);
	free(r);
}

int dm_record_set_aside(struct dm_record *r, struct dm_err *err)
{
	char path[PATH_MAX + 16];

	for (unsigned i = 1;; i++) {
		snprintf(path, sizeof(path), "%s.%u", r->path, i);
		if (renameat2(AT_FDCWD, r->path, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST)
			return dm_fail_errno(err, "rename %s", r->path);
	}
	snprintf(r->path, sizeof(r->path), "%.*s", (int)sizeof(r->path) - 1, path);
	return 0;
}

int dm_record_dir(const struct dm_record *r)
{
	return r->dir;
}

const char *dm_record_path(const struct dm_record *r)
{
	return r->path;
}

int dm_record_event(struct dm_record *r, const char *event, json_t *fields, struct dm_err *err)
{
	char *text = NULL, *line = NULL;
	int fd = -1, n, ret = -1;

	if (!fields)
		fields = json_object();
	if (!fields || json_object_set_new(fields, "event", json_string(event)) ||
	    json_object_set_new(fields, "time", json_real(dm_clock()))) {
		dm_fail(err, DM_FAILURE, "journal %s: out of memory", event);
		goto out;
	}
	text = dm_json_text(fields, err);
	if (!text)
		goto out;
	n = asprintf(&line, "%s\n", text);
	if (n < 0) {
		line = NULL;
		dm_fail(err, DM_FAILURE, "journal %s: out of memory", event);
		goto out;
	}
	fd = openat(r->dir, "journal", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		dm_fail_errno(err, "open %s/journal", r->path);
		goto out;
	}
	/* after a torn line, begin a new one */
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';
	if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n' &&
	    dm_write_full(fd, "\n", 1)) {
		dm_fail_errno(err, "write %s/journal", r->path);
		goto out;
	}
	if (dm_write_full(fd, line, (size_t)n) || fsync(fd) || (end == 0 && fsync(r->dir))) {
		dm_fail_errno(err, "write %s/journal", r->path);
		goto out;
	}
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	free(line);
	free(text);
	json_decref(fields);
	return ret;
}

int dm_record_find(struct dm_record *r, const char *event, json_t **out, struct dm_err *err)
{
	json_t *found = NULL, *o;
	struct dm_err ignored;
	char *all, *line, *next;
	size_t len;

	if (faccessat(r->dir, "journal", F_OK, 0) && errno == ENOENT)
		return 0;
	all = dm_read_file(r->dir, "journal", JOURNAL_MAX, &len, err);
	if (!all)
		return -1;
	/* a crash may leave zeros, too: lines are told by their ends alone */
	for (line = all; line < all + len; line = next + 1) {
		next = memchr(line, '\n', (size_t)(all + len - line));
		if (!next)
			next = all + len;
		o = dm_json_parse(line, (size_t)(next - line), "journal", &ignored);
		if (o && !strcmp(dm_json_str(o, "event", ""), event)) {
			json_decref(found);
			found = json_incref(o);
		}
		json_decref(o);
	}
	free(all);
	if (!found)
		return 0;
	if (out)
		*out = found;
	else
		json_decref(found);
	return 1;
}

int dm_record_decision(struct dm_record *r, char standing[DM_WORD_MAX], struct dm_err *err)
{
	size_t len;
	char *text;

	if (faccessat(r->dir, "decision", F_OK, 0) && errno == ENOENT)
		return 0;
	text = dm_read_file(r->dir, "decision", 4096, &len, err);
	if (!text)
		return -1;
	len = strcspn(text, " \n");
	if (len == 0 || len >= DM_WORD_MAX) {
		free(text);
		return dm_fail(err, DM_FAILURE, "read %s/decision: no word in it", r->path);
	}
	memcpy(standing, text, len);
	standing[len] = '\0';
	free(text);
	return 1;
}

int dm_record_decide(struct dm_record *r, const char *word, char standing[DM_WORD_MAX],
		     struct dm_err *err)
{
	char name[64], line[64];
	int won, n;

	n = snprintf(line, sizeof(line), "%s\n", word);
	snprintf(name, sizeof(name), "choice-%s-%ld", word, (long)getpid());
	if (dm_write_file(r->dir, name, line, (size_t)n, err))
		return -1;
	won = linkat(r->dir, name, r->dir, "decision", 0) == 0;
	if (!won && errno != EEXIST) {
		dm_fail_errno(err, "decide %s in %s", word, r->path);
		unlinkat(r->dir, name, 0);
		return -1;
	}
	unlinkat(r->dir, name, 0);
	if (fsync(r->dir))
		return dm_fail_errno(err, "sync %s", r->path);
	if (dm_record_decision(r, standing, err) != 1)
		return -1;
	return won ? 1 : !strcmp(word, standing);
}

int dm_record_lock(struct dm_record *r, double seconds, bool inherit, struct dm_err *err)
{
	double end = dm_now() + seconds;
	struct timespec nap = {.tv_nsec = 20000000};

	if (r->lock < 0)
		r->lock = openat(r->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock < 0 || fcntl(r->lock, F_SETFD, inherit ? 0 : FD_CLOEXEC) < 0)
		return dm_fail_errno(err, "open %s/lock", r->path);
	while (flock(r->lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return dm_fail_errno(err, "lock %s", r->path);
		if (dm_now() > end)
			return dm_fail(err, DM_FAILURE,
				       "lock %s: another step still holds it after %.0f s", r->path,
				       seconds);
		nanosleep(&nap, NULL);
	}
	return 0;
}

void dm_record_unlock(struct dm_record *r)
{
	if (r->lock >= 0)
		close(r->lock);
	r->lock = -1;
}

/* Open the folder of claims. Returns a descriptor; -1 with err. */
static int open_claims(struct dm_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/claims", dm_record_state());
	return dm_dir_make(path, err);
}

/* The migration that holds the container, into holder. Returns 1, 0 when there is none, -1. */
static int read_claim(int dir, const char *container, char holder[DM_ID_MAX + 1])
{
	ssize_t n = readlinkat(dir, container, holder, DM_ID_MAX);

	if (n < 0)
		return errno == ENOENT ? 0 : -1;
	holder[n] = '\0';
	return 1;
}

int dm_record_claim(struct dm_record *r, const char *container, struct dm_err *err)
{
	const char *id = strrchr(r->path, '/') + 1;
	char holder[DM_ID_MAX + 1];
	int dir = open_claims(err), n, ret = -1;

	if (dir < 0)
		return -1;
	if (symlinkat(id, dir, container) == 0) {
		ret = fsync(dir) ? dm_fail_errno(err, "sync claims") : 0;
		goto out;
	}
	n = errno == EEXIST ? read_claim(dir, container, holder) : -1;
	if (n == 1 && !strcmp(holder, id))
		ret = 0;
	else if (n == 1)
		dm_fail(err, DM_UNFIT,
			"container %.12s is held by migration %s (dm-rollback --settle --id %s "
			"%.12s "
			"ends it)",
			container, holder, holder, container);
	else
		dm_fail_errno(err, "claim container %.12s", container);
out:
	close(dir);
	return ret;
}

int dm_record_unclaim(struct dm_record *r, const char *container, struct dm_err *err)
{
	const char *id = strrchr(r->path, '/') + 1;
	char holder[DM_ID_MAX + 1];
	int dir = open_claims(err), n, ret = 0;

	if (dir < 0)
		return -1;
	n = read_claim(dir, container, holder);
	if (n < 0 || (n == 1 && !strcmp(holder, id) && (unlinkat(dir, container, 0) || fsync(dir))))
		ret = dm_fail_errno(err, "give back container %.12s", container);
	close(dir);
	return ret;
}
