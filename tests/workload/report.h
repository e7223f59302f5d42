/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_WORKLOAD_REPORT_H
#define DM_WORKLOAD_REPORT_H

#include "base/err.h"

/*
 * Lines of JSON to stdout and, if wanted, to a log file that is synced after each. A line is one
 * write, so that lines of several threads and processes do not mix.
 */

/*
 * Also write to the file path (made, or appended to); NULL: stdout only.
 * Returns 0; -1 with err.
 */
int report_open(const char *path, struct dm_err *err);

/*
 * Write one line, printf-style and without its newline, at most 4095 bytes.
 */
void report_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
