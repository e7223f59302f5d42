/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/pipe.h"

#include <fcntl.h>

void dm_pipe_widen(int fd)
{
	enum { BYTES = 256 << 10 };
	int now = fcntl(fd, F_GETPIPE_SZ);

	if (now >= 0 && now < BYTES)
		fcntl(fd, F_SETPIPE_SZ, BYTES);
}
