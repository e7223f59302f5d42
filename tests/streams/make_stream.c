/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_stream [OPTION...] >STREAM: a small complete migration stream, always the same bytes for
 * the same options, by the project's own writer.
 *
 *   --id ID        the migration (default: tiny)
 *   --seed N       of the fingerprints (default: 7)
 *   --name NAME    the container's name (default: tiny)
 *   --volume NAME  a volume with a file in it; may be given once
 *   --image        an image archive comes with it
 *   --pages        pages with bytes, not only such of zeros
 *   --wrong        the digest of the final state is not that of the pages
 *   --missing      a page of the final state is never sent
 *   --memory N     bytes of memory that the container is said to have (default: 4096)
 *   --saved        the stream says that it goes into a file
 *   --bare         no files, only the folders that they would be in, and none at last
 *   --mine         files belong to whoever runs this, not to root
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "memory/pagemap.h"
#include "memory/state.h"
#include "stream/writer.h"

#define IMAGE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define SOURCE "2222222222222222222222222222222222222222222222222222222222222222"

enum { BLOCK = 512, PAGES = 6 };

static struct dm_err err;
static struct dm_segment segment = {.id = "tiny", .seed = 7};
static const char *name = "tiny", *volume;
static long long memory = 4096;
static bool image, bytes, wrong, missing, mine, bare;

static void must(int ret)
{
	if (ret == 0)
		return;
	fprintf(stderr, "make_stream: %s\n", err.msg);
	exit(1);
}

static struct dm_writer *begin(enum dm_segment_kind kind)
{
	struct dm_writer *w;

	segment.kind = kind;
	w = dm_writer_open(STDOUT_FILENO, &segment, &err);
	must(!w);
	return w;
}

static void end(struct dm_writer *w, bool last)
{
	must(dm_writer_end(w, last, segment.before, &err));
	dm_writer_close(w);
	segment.number++;
}

static void text(struct dm_writer *w, enum dm_record_type type, json_t *o)
{
	char *line = dm_json_text(o, &err);

	must(!line);
	must(dm_writer_data(w, type, line, strlen(line), &err));
	free(line);
	json_decref(o);
}

static void config(struct dm_writer *w)
{
	json_t *volumes = json_array();

	if (volume)
		json_array_append_new(volumes, json_pack("{s:s, s:{s:s}}", "name", volume, "labels",
							 "for", "tests"));
	text(w, DM_CONFIG,
	     json_pack("{s:i, s:{s:s, s:s, s:s, s:{s:s}, s:{s:{s:s}}}, s:o, s:I, s:s}", "format", 1,
		       "inspect", "Id", SOURCE, "Name", name, "Image", IMAGE, "Config", "Image",
		       "tiny:1", "HostConfig", "RestartPolicy", "Name", "always", "volumes",
		       volumes, "memory", (json_int_t)memory, "tcp", "refuse"));
}

/* A number in a field of n bytes, the last of which stays NUL. */
static void octal(char *field, size_t n, size_t v)
{
	for (n--; n > 0; v /= 8)
		field[--n] = (char)('0' + v % 8);
}

/* A ustar header for an entry of a time long ago. */
static void header(char block[BLOCK], const char *path, unsigned mode, size_t size, char type)
{
	unsigned sum = 0;

	memset(block, 0, BLOCK);
	memcpy(block, path, strlen(path));
	octal(block + 100, 8, mode);
	octal(block + 108, 8, mine ? geteuid() : 0);
	octal(block + 116, 8, mine ? getegid() : 0);
	octal(block + 124, 12, size);
	octal(block + 136, 12, 1000000000);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	octal(block + 148, 7, sum);
	block[154] = '\0';
}

/* One file of one line, then the root, which ends a tree. */
static void tree(struct dm_writer *w, json_t *document, const char *file, const char *line)
{
	char archive[5 * BLOCK], *p = archive;

	text(w, DM_TREE_BEGIN, document);
	memset(archive, 0, sizeof(archive));
	if (!bare) {
		header(p, file, 0644, strlen(line), '0');
		memcpy(p + BLOCK, line, strlen(line));
		p += 2 * BLOCK;
	}
	header(p, "./", 0755, 0, '5');
	p += 3 * BLOCK; /* two of them are the end */
	must(dm_writer_data(w, DM_TREE_DATA, archive, (size_t)(p - archive), &err));
	must(dm_writer_data(w, DM_TREE_END, NULL, 0, &err));
}

static void setup(void)
{
	struct dm_writer *w = begin(DM_SETUP);

	config(w);
	if (image) {
		text(w, DM_IMAGE_BEGIN, json_pack("{s:s, s:s}", "id", IMAGE, "name", "tiny:1"));
		must(dm_writer_data(w, DM_IMAGE_DATA, "what docker save says\n", 22, &err));
		must(dm_writer_data(w, DM_IMAGE_END, NULL, 0, &err));
	}
	tree(w, json_pack("{s:s, s:b}", "tree", "layer", "delta", 0), "hello", "from the source\n");
	if (volume)
		tree(w,
		     json_pack("{s:s, s:b, s:s}", "tree", "volume", "delta", 0, "volume", volume),
		     "data", "of the volume\n");
	end(w, false);
}

static const struct dm_object process = {DM_PROCESS, 1}, shmem = {DM_SHMEM, 9};

/* Pages of one letter, or of zeros when there are to be no bytes. */
static const void *letters(char letter, size_t n)
{
	static char p[PAGES * DM_PAGE];

	if (!bytes)
		return NULL;
	memset(p, letter, n * DM_PAGE);
	return p;
}

static void rounds(void)
{
	struct dm_writer *w = begin(DM_ROUNDS);

	must(dm_writer_round_begin(w, 1, &err));
	must(dm_writer_pages(w, process, 0x10000, 4, letters('a', 4), &err));
	must(dm_writer_pages(w, process, 0x20000, 1, NULL, &err));
	must(dm_writer_pages(w, shmem, 0, 2, letters('s', 2), &err));
	must(dm_writer_round_end(w, 7, 7, &err));
	end(w, false);
}

static void add(struct dm_state *s, struct dm_object o, uint64_t addr, const void *page)
{
	static const char zeros[DM_PAGE];

	dm_state_add(s, o, addr, dm_fingerprint_of(page ? page : zeros, segment.seed));
}

/* The final state: page 2 of the four has changed since, and shmem has lost its second one. */
static void final(void)
{
	static const struct dm_run runs[] = {{0x10000, 4, DM_PE_PRESENT},
					     {0x20000, 1, DM_PE_PRESENT}};
	struct dm_writer *w = begin(DM_FINAL);
	struct dm_state *s = dm_state_new(&err);
	uint8_t digest[DM_DIGEST];
	uint64_t pages;

	must(!s);
	must(dm_writer_file(w, "inventory.img", 0, "not a real image", 16, &err));
	must(dm_writer_file(w, "core-1.img", 0, "nor is this one", 15, &err));
	must(dm_writer_round_begin(w, 0, &err));
	must(dm_writer_pages(w, process, 0x12000, 1, letters('b', 1), &err));
	must(dm_writer_round_end(w, 6, 1, &err));
	must(dm_writer_object(w, process, runs, 2, &err));
	must(dm_writer_object(w, shmem, &(struct dm_run){missing ? 0x5000 : 0, 1, DM_PE_PRESENT}, 1,
			      &err));
	for (uint64_t i = 0; i < 4; i++)
		add(s, process, 0x10000 + i * DM_PAGE, letters(i == 2 ? 'b' : 'a', 1));
	add(s, process, 0x20000, NULL);
	add(s, shmem, missing ? 0x5000 : 0, letters('s', 1));
	pages = dm_state_finish(s, digest);
	digest[0] ^= wrong;
	must(dm_writer_digest(w, digest, pages, &err));
	end(w, false);
}

static void last(void)
{
	struct dm_writer *w = begin(DM_DELTA);

	if (!bare)
		tree(w, json_pack("{s:s, s:b}", "tree", "layer", "delta", 1), "late",
		     "at the last moment\n");
	end(w, true);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(option, "--image"))
			image = true;
		else if (!strcmp(option, "--pages"))
			bytes = true;
		else if (!strcmp(option, "--wrong"))
			wrong = true;
		else if (!strcmp(option, "--missing"))
			missing = true;
		else if (!strcmp(option, "--saved"))
			segment.flags = DM_SAVED;
		else if (!strcmp(option, "--bare"))
			bare = true;
		else if (!strcmp(option, "--mine"))
			mine = true;
		else if (i++, !strcmp(option, "--id"))
			snprintf(segment.id, sizeof(segment.id), "%s", value);
		else if (!strcmp(option, "--seed"))
			segment.seed = strtoull(value, NULL, 10);
		else if (!strcmp(option, "--name"))
			name = value;
		else if (!strcmp(option, "--volume"))
			volume = value;
		else if (!strcmp(option, "--memory"))
			memory = strtoll(value, NULL, 10);
		else {
			fprintf(stderr, "make_stream: unknown option %s\n", option);
			return 2;
		}
	}
	setup();
	rounds();
	final();
	last();
	return 0;
}
