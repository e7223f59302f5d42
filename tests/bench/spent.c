/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spent: what a command cost. Under the name of a command, in a folder that comes first in PATH,
 * it runs the command of that name further on in PATH and adds a line of JSON to the file "log"
 * in its folder: time, CPU and peak memory of the command and the children that it waited for.
 *
 * It is small, so that a command's peak memory is its own: what forks a process counts first.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE 1024 /* short enough that it is written at once */

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "spent: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* The folder of this program. */
static void own_folder(char folder[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

	if (n < 0)
		die("/proc/self/exe");
	folder[n] = '\0';
	dirname(folder);
}

/* Take the folder out of PATH: the command's own commands are counted with it. */
static void leave_path(const char *folder)
{
	const char *path = getenv("PATH");
	char *rest, *copy, *out, *part, *next = NULL;

	copy = strdup(path ? path : "");
	out = rest = calloc(1, strlen(copy) + 2);
	if (!copy || !out)
		die("memory");
	for (part = strtok_r(copy, ":", &next); part; part = strtok_r(NULL, ":", &next))
		if (strcmp(part, folder))
			out += sprintf(out, "%s%s", out == rest ? "" : ":", part);
	setenv("PATH", rest, 1);
	free(copy);
	free(rest);
}

/* The arguments as the inside of a JSON string; other letters than plain ones become '?'. */
static void join(char **argv, char *out, size_t size)
{
	size_t n = 0;

	for (; *argv; argv++) {
		for (const char *p = *argv; *p && n + 2 < size; p++)
			out[n++] = *p < ' ' || *p > '~' || strchr("\"\\", *p) ? '?' : *p;
		if (argv[1] && n + 2 < size)
			out[n++] = ' ';
	}
	out[n] = '\0';
}

static void write_line(int log, const char *tool, char **argv, double wall, int status,
		       const struct rusage *used)
{
	char line[LINE], args[LINE / 2];
	int n;

	join(argv + 1, args, sizeof(args));
	n = snprintf(line, sizeof(line),
		     "{\"tool\":\"%s\",\"args\":\"%s\",\"wall_s\":%.3f,\"cpu_s\":%.3f,"
		     "\"peak_mib\":%.1f,\"status\":%d}\n",
		     tool, args, wall, seconds(used->ru_utime) + seconds(used->ru_stime),
		     (double)used->ru_maxrss / 1024, status);
	if (n < LINE && write(log, line, (size_t)n) != n)
		_exit(125);
}

int main(int argc, char **argv)
{
	char folder[PATH_MAX], *tool;
	struct rusage used;
	int log, status;
	double start;
	pid_t pid;

	if (argc < 1)
		return 125;
	tool = basename(argv[0]);
	own_folder(folder);
	leave_path(folder);
	if (strlen(folder) + 5 > sizeof(folder))
		die(folder);
	strcat(folder, "/log");
	log = open(folder, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		die(folder);
	start = now();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		execvp(tool, argv);
		die(tool);
	}
	/* The command closes its ends of a pipe when it likes; ours must not keep it open. */
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			_exit(125);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	write_line(log, tool, argv, now() - start, status, &used);
	return status;
}
