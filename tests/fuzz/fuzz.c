/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/io.h"

int fuzz_fd(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("input", MFD_CLOEXEC);
	HOLDS(fd >= 0 && ftruncate(fd, 0) == 0 && dm_pwrite_full(fd, data, size, 0) == 0 &&
	      lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static char folder[] = "/dev/shm/dm-fuzz-XXXXXX";

static void remove_folder(void)
{
	struct dm_err ignored;

	dm_dir_remove(-1, folder, &ignored);
}

const char *fuzz_folder(void)
{
	static int made;

	if (!made) {
		HOLDS(mkdtemp(folder));
		atexit(remove_folder);
		made = 1;
	}
	return folder;
}
