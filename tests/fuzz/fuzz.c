/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

static char folder[4096];

static void remove_folder(void)
{
	struct dm_err ignored;
	int parent;

	*strrchr(folder, '/') = '\0';
	parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dm_dir_remove(parent, folder + strlen(folder) + 1, &ignored);
}

const char *fuzz_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	if (!folder[0]) {
		snprintf(folder, sizeof(folder), "%s/dm-fuzz-XXXXXX", tmp ? tmp : "/dev/shm");
		HOLDS(mkdtemp(folder));
		atexit(remove_folder);
	}
	return folder;
}
