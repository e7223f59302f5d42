/* SPDX-License-Identifier: Apache-2.0 */
#include "net/cut.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/io.h"

enum { NFT_SECONDS = 20 };

/* "add" before "delete" makes the deletion of a missing table no error; all of it is one
 * transaction. */
#define REMOVE                                                                                     \
	"add table inet docker_migrate\n"                                                          \
	"add table arp docker_migrate\n"                                                           \
	"delete table inet docker_migrate\n"                                                       \
	"delete table arp docker_migrate\n"

#define CRIU_MARK "0xc114"

static const char install_rules[] =
	REMOVE "table inet docker_migrate {\n"
	       "chain in {\n"
	       "type filter hook prerouting priority -500; policy drop;\n"
	       "iifname \"lo\" meta mark " CRIU_MARK " accept\n"
	       "}\n"
	       "chain out {\n"
	       "type filter hook output priority -500; policy drop;\n"
	       "oifname \"lo\" meta mark " CRIU_MARK " accept\n"
	       "}\n"
	       "}\n"
	       "table arp docker_migrate {\n"
	       "chain in {\n"
	       "type filter hook input priority -500; policy drop;\n"
	       "}\n"
	       "chain out {\n"
	       "type filter hook output priority -500; policy drop;\n"
	       "}\n"
	       "}\n";

static const char remove_rules[] = REMOVE;

/* Taking the chains out of the kernel's hooks takes ten times as long as a rule. */
static const char open_rules[] = "insert rule inet docker_migrate in accept\n"
				 "insert rule inet docker_migrate out accept\n"
				 "insert rule arp docker_migrate in accept\n"
				 "insert rule arp docker_migrate out accept\n";

int dm_cut_fit(struct dm_err *err)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	for (const char *p = path ? path : ""; *p;) {
		size_t n = strcspn(p, ":");

		if (snprintf(file, sizeof(file), "%.*s/nft", (int)n, p) < (int)sizeof(file) &&
		    access(file, X_OK) == 0)
			return 0;
		p += n + (p[n] == ':');
	}
	return dm_fail(err, DM_UNFIT, "the program nft is missing (Debian package nftables)");
}

int dm_cut_netns(pid_t pid, struct dm_err *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/ns/net", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dm_fail_errno(err, "open %s", path);
	return fd;
}

bool dm_cut_own(int netns)
{
	struct stat own, other;

	return stat("/proc/self/ns/net", &own) == 0 && fstat(netns, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* Only a process of its own changes its namespace, so the caller stays where it is. */
static int apply(int netns, const char *rules, struct dm_err *err)
{
	const char *const argv[] = {"nft", rules, NULL};
	int report[2], status;
	struct dm_err theirs = {.code = DM_FAILURE, .msg = "ended early"};
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return dm_fail_errno(err, "start nft");
	pid = fork();
	if (pid < 0) {
		dm_fail_errno(err, "start nft");
		close(report[0]);
		close(report[1]);
		return -1;
	}
	if (pid == 0) {
		if (setns(netns, CLONE_NEWNET))
			dm_fail_errno(&theirs, "enter a network namespace");
		else if (dm_child_run(argv, NFT_SECONDS, NULL, &theirs) == 0)
			_exit(0);
		_exit(dm_write_full(report[1], &theirs, sizeof(theirs)) ? 2 : 1);
	}
	close(report[1]);
	n = dm_read_full(report[0], &theirs, sizeof(theirs));
	close(report[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	if (status == 0)
		return 0;
	if (n != (ssize_t)sizeof(theirs))
		return dm_fail(err, DM_FAILURE, "nft: its parent ended early");
	*err = theirs;
	return -1;
}

int dm_cut_install(int netns, struct dm_err *err)
{
	if (dm_cut_own(netns))
		return dm_fail(err, DM_UNFIT, "cut the link: this is the host's own network");
	if (apply(netns, install_rules, err))
		return dm_fail_prefix(err, "cut the link");
	return 0;
}

int dm_cut_remove(int netns, struct dm_err *err)
{
	if (apply(netns, remove_rules, err))
		return dm_fail_prefix(err, "open the link");
	return 0;
}

int dm_cut_ready(int netns, struct dm_cut_opener *o, struct dm_err *err)
{
	int in[2];
	pid_t pid;

	*o = (struct dm_cut_opener){0};
	if (pipe2(in, O_CLOEXEC))
		return dm_fail_errno(err, "start nft");
	pid = fork();
	if (pid < 0) {
		dm_fail_errno(err, "start nft");
		close(in[0]);
		close(in[1]);
		return -1;
	}
	if (pid == 0) {
		if (dup2(in[0], 0) == 0 && setns(netns, CLONE_NEWNET) == 0)
			execlp("nft", "nft", "-f", "-", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	*o = (struct dm_cut_opener){pid, in[1]};
	return 0;
}

int dm_cut_open(struct dm_cut_opener *o, struct dm_err *err)
{
	struct dm_cut_opener mine = *o;
	int rc;

	*o = (struct dm_cut_opener){0};
	if (dm_write_full(mine.rules, open_rules, sizeof(open_rules) - 1)) {
		dm_fail_errno(err, "open the link: write to nft");
		dm_cut_unready(&mine);
		return -1;
	}
	close(mine.rules);
	rc = dm_child_wait(mine.pid, "nft", NFT_SECONDS, err);
	if (rc > 0)
		dm_fail(err, DM_FAILURE, "open the link: nft exited with %d", rc);
	return rc == 0 ? 0 : -1;
}

void dm_cut_unready(struct dm_cut_opener *o)
{
	if (o->pid <= 0)
		return;
	close(o->rules);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	*o = (struct dm_cut_opener){0};
}
