/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *program = "docker-migrate";

int dm_fail(struct dm_err *err, enum dm_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int dm_fail_errno(struct dm_err *err, const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list ap;
	int n;

	err->code = DM_FAILURE;
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", why);
	return -1;
}

int dm_fail_prefix(struct dm_err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	int n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 2 < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %.*s",
			 (int)(sizeof(err->msg) - (size_t)n - 3), old);
	return -1;
}

void dm_set_program(const char *name)
{
	program = name;
}

const char *dm_program(void)
{
	return program;
}

void dm_say(const char *fmt, ...)
{
	struct iovec v[2] = {{(char[]){"\r\033[K"}, 4}};
	int n, m, number = errno;
	char line[2048];
	va_list ap;

	n = snprintf(line, sizeof(line) - 1, "%s: ", program);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	v[1] = (struct iovec){line, (size_t)n};
	/* on a terminal a bar may stand in this line */
	n = isatty(STDERR_FILENO);
	m = (int)writev(STDERR_FILENO, n ? v : v + 1, n ? 2 : 1);
	(void)m; /* there is nowhere left to say that it failed */
	errno = number;
}
