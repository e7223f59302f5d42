/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criulog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define LOG "work/restore.log"

enum { KEEP = 64 << 10, CHUNK = 256 << 10, OVERLAP = 64 };

static const char *const bad[] = {"in parent pagemap", "No parent for snapshot pagemap",
				  "Unable to restore rseq_cs"};

/* Errors that follow from others, or that CRIU does without. */
static const char *const empty[] = {
	"Restoring FAILED",	   "Killing processes because of failure",
	"action scripts failed",   "script error",
	"exited, status=",	   "exited with",
	"killed by signal 9",	   "Can't send response",
	"cgroupd: recv req error", "RLIMIT_NOFILE"};

#define YARD "/tmp/.criu.mntns."

uint64_t dm_criulog_size(const struct dm_pending *p)
{
	struct stat st;

	return fstatat(p->dir, LOG, &st, 0) ? 0 : (uint64_t)st.st_size;
}

int dm_criulog_check(const struct dm_pending *p, struct dm_err *err)
{
	static char buf[OVERLAP + CHUNK];
	size_t kept = 0, total = 0;
	ssize_t n;
	int fd;

	fd = openat(p->dir, LOG, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err,
				     "open CRIU's log %s/" LOG
				     " (is another log-file set in /etc/criu/runc.conf?)",
				     p->path);
	while ((n = dm_read_full(fd, buf + kept, CHUNK)) > 0) {
		size_t len = kept + (size_t)n;

		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
			if (memmem(buf, len, bad[i], strlen(bad[i]))) {
				close(fd);
				return dm_fail(err, DM_FAILURE, "CRIU's log says \"%s\"", bad[i]);
			}
		}
		total += (size_t)n;
		kept = len < OVERLAP ? len : OVERLAP;
		memmove(buf, buf + len - kept, kept);
	}
	close(fd);
	if (n < 0)
		return dm_fail_errno(err, "read %s/" LOG, p->path);
	if (total == 0)
		return dm_fail(err, DM_FAILURE, "CRIU's log %s/" LOG " is empty", p->path);
	return 0;
}

/* The end of the log; returns its length. */
static size_t tail(const struct dm_pending *p, char *buf, size_t size)
{
	int fd = openat(p->dir, LOG, O_RDONLY | O_CLOEXEC);
	off_t end;
	ssize_t n;

	if (fd < 0)
		return 0;
	end = lseek(fd, 0, SEEK_END);
	if (lseek(fd, end > (off_t)size ? end - (off_t)size : 0, SEEK_SET) < 0)
		end = 0;
	n = dm_read_full(fd, buf, size);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

static bool says_why(const char *error)
{
	for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++)
		if (strstr(error, empty[i]))
			return false;
	return true;
}

static void read_line(const char *line, struct dm_criulog *out)
{
	const char *error = strstr(line, "Error ("), *yard = strstr(line, YARD), *text;

	if (yard && !*out->yard)
		snprintf(out->yard, sizeof(out->yard), "%.*s", (int)sizeof(YARD) - 1 + 6, yard);
	if (!error || *out->why || !says_why(error))
		return;
	text = strstr(error, "): ");
	snprintf(out->why, sizeof(out->why), "%s", text ? text + 3 : error);
	out->why[strcspn(out->why, "\n")] = '\0';
}

void dm_criulog_read(const struct dm_pending *p, struct dm_criulog *out)
{
	int fd = openat(p->dir, LOG, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[1024];

	*out = (struct dm_criulog){0};
	while (f && !(*out->why && *out->yard) && fgets(line, sizeof(line), f))
		read_line(line, out);
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
}

void dm_criulog_trim(const struct dm_pending *p)
{
	static char buf[KEEP];
	size_t n;
	int fd;

	if (dm_criulog_size(p) <= KEEP)
		return;
	n = tail(p, buf, KEEP);
	fd = openat(p->dir, LOG, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || dm_write_full(fd, buf, n))
		dm_say("trim %s/" LOG ": %s", p->path, strerror(errno));
	if (fd >= 0)
		close(fd);
}
