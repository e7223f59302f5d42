/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"

static int log_fd = -1;

int report_open(const char *path, struct dm_err *err)
{
	if (!path)
		return 0;
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd < 0)
		return dm_fail_errno(err, "open %s", path);
	return 0;
}

void report_line(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	line[n++] = '\n';
	if (dm_write_full(STDOUT_FILENO, line, (size_t)n) < 0)
		dm_say("a line to stdout was lost");
	if (log_fd >= 0 && (dm_write_full(log_fd, line, (size_t)n) < 0 || fsync(log_fd) < 0))
		dm_say("a line to the log was lost");
}
