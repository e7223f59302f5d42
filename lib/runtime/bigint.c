/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bigint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int choose(const char *text, size_t len, char mark[DM_BIGINT_MARK], struct dm_err *err)
{
	for (int i = 0; i < 100000; i++) {
		snprintf(mark, DM_BIGINT_MARK, "@number-%d:", i);
		if (!memmem(text, len, mark, strlen(mark)))
			return 0;
	}
	return dm_fail(err, DM_FAILURE, "no mark is free");
}

/* The bytes of the number that begins at p; *hide: it would not come back as it is. */
static size_t number(const char *p, const char *end, bool *hide)
{
	const char *q = p;

	*hide = false;
	for (; q < end && strchr("+-.0123456789eE", *q) && *q; q++)
		if (strchr(".eE", *q))
			*hide = true;
	*hide = *hide || q - p >= 19;
	return (size_t)(q - p);
}

/* The bytes of the string that begins with the quote at p. */
static size_t string(const char *p, const char *end)
{
	const char *q = p + 1;

	while (q < end && *q != '"')
		q += 1 + (*q == '\\' && q + 1 < end);
	return (size_t)(q - p) + (q < end);
}

int dm_bigint_hide(const char *text, size_t len, char mark[DM_BIGINT_MARK], struct dm_buf *out,
		   struct dm_err *err)
{
	const char *p = text, *end = text + len;
	bool big;
	size_t n;

	if (choose(text, len, mark, err))
		return -1;
	for (; p < end; p += n) {
		big = false;
		n = 1;
		if (*p == '"') {
			n = string(p, end);
		} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
			n = number(p, end, &big);
		}
		if (big &&
		    (dm_buf_add(out, "\"", 1, err) || dm_buf_add(out, mark, strlen(mark), err)))
			return -1;
		if (dm_buf_add(out, p, n, err) || (big && dm_buf_add(out, "\"", 1, err)))
			return -1;
	}
	return 0;
}

int dm_bigint_show(const char *text, const char *mark, struct dm_buf *out, struct dm_err *err)
{
	size_t m = strlen(mark), digits;
	const char *at;

	while ((at = strstr(text, mark))) {
		digits = strcspn(at + m, "\"");
		if (dm_buf_add(out, text, (size_t)(at - text) - 1, err) ||
		    dm_buf_add(out, at + m, digits, err))
			return -1;
		text = at + m + digits + 1;
	}
	return dm_buf_add(out, text, strlen(text) + 1, err);
}
