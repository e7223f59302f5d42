/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DM_STREAM_FORMAT_H
#define DM_STREAM_FORMAT_H

/*
 * The migration stream, told to the byte in dm-stream(5). All numbers are little-endian.
 *
 *   stream   := setup (rounds | delta)* final last
 *   setup    := HEAD(SETUP)  CONFIG [image] tree*  end
 *   rounds   := HEAD(ROUNDS) round*                end
 *   delta    := HEAD(DELTA)  tree*                 end
 *   final    := HEAD(FINAL)  FILE* round OBJECT* DIGEST end
 *   last     := HEAD(DELTA)  tree*                 END with LAST
 *   image    := IMAGE_BEGIN IMAGE_DATA* IMAGE_END
 *   tree     := TREE_BEGIN TREE_DATA* TREE_END
 *   round    := ROUND_BEGIN (PAGES | ZEROS)* ROUND_END
 *   end      := END | ABORT
 *
 * Segment head, DM_HEAD_SIZE bytes:
 *     0   8  magic "dmstream"
 *     8   2  version
 *    10   2  kind
 *    12   4  flags
 *    16   4  number, from 0, one up with each segment
 *    20   4  length of the migration id
 *    24  64  the migration id, zeros after it
 *    88  16  digest of the segment before; zeros in the first
 *   104   8  seed of the page fingerprints
 *   112   8  XXH3-64 of bytes 0 to 111
 *
 * Record: a head of DM_RECORD_HEAD bytes, then the payload:
 *     0   2  type
 *     2   2  flags
 *     4   4  length of the payload
 *     8   8  XXH3-64 of the payload, seeded with (bytes 0 to 7 as a number) + the record's number
 *
 * Payloads, as "offset length what":
 *   CONFIG, IMAGE_BEGIN, TREE_BEGIN   a JSON object
 *   IMAGE_DATA                        bytes of the engine's image archive
 *   TREE_DATA                         bytes of a pax archive
 *   IMAGE_END, TREE_END               nothing
 *   ROUND_BEGIN                       0 4 the round's number
 *   PAGES, ZEROS                      0 1 the object's kind, 1 3 zeros, 4 4 count of pages,
 *                                     8 8 the object's id, 16 8 address; PAGES: 24.. the bytes
 *   ROUND_END                         0 8 pages seen, 8 8 pages sent
 *   FILE                              0 2 length of the name, 2 6 zeros, 8 8 offset, 16.. name,
 *                                     then bytes
 *   OBJECT                            0 1 kind, 1 3 zeros, 4 4 count of runs, 8 8 id, 16.. runs:
 *                                     0 8 address, 8 4 pages, 12 4 CRIU's flags
 *   DIGEST                            0 16 digest of the final state's pages, 16 8 their number
 *   END                               0 8 records, 8 8 bytes, 16 16 XXH3-128 of all of the segment
 *                                     before this record: the digest that the next head repeats
 *   ABORT                             a line of text: why the sender gave up
 */

#include <stdbool.h>
#include <stdint.h>

#define DM_STREAM_MAGIC "dmstream"

enum {
	DM_STREAM_VERSION = 1,
	DM_HEAD_SIZE = 120,
	DM_RECORD_HEAD = 16,
	DM_DIGEST = 16,
	DM_STREAM_ID = 64,

	DM_PAGE = 4096,
	DM_PAGES_HEAD = 24,
	DM_RUN_SIZE = 16,
	DM_FILE_HEAD = 16,

	/* limits, checked before anything is allocated */
	DM_PAGES_MAX = 256,	  /* pages in one PAGES record */
	DM_RUNS_MAX = 65536,	  /* runs in one OBJECT record */
	DM_NAME_MAX = 128,	  /* length of a FILE's name */
	DM_JSON_MAX = 4 << 20,	  /* bytes of a JSON payload */
	DM_DATA_MAX = 1 << 20,	  /* bytes of a DATA payload, or of a FILE's */
	DM_PAYLOAD_MAX = 4 << 20, /* bytes of any payload */
	DM_SEGMENTS_MAX = 10000,
};

enum dm_segment_kind { DM_SETUP = 1, DM_ROUNDS = 2, DM_DELTA = 3, DM_FINAL = 4 };

/* Segment flags: the stream goes into a file, and nobody will answer. */
enum { DM_SAVED = 1 };

enum dm_record_type {
	DM_END = 1,
	DM_ABORT = 2,
	DM_CONFIG = 3,
	DM_IMAGE_BEGIN = 4,
	DM_IMAGE_DATA = 5,
	DM_IMAGE_END = 6,
	DM_TREE_BEGIN = 7,
	DM_TREE_DATA = 8,
	DM_TREE_END = 9,
	DM_ROUND_BEGIN = 10,
	DM_PAGES = 11,
	DM_ZEROS = 12,
	DM_ROUND_END = 13,
	DM_FILE = 14,
	DM_OBJECT = 15,
	DM_DIGEST_RECORD = 16,
};

/* Record flag of END: the stream ends here. */
enum { DM_LAST = 1 };

/* Where pages belong: to a process, by its pid in the container, or to a piece of shared memory,
 * by its inode number (CRIU's shmid). */
enum dm_object_kind { DM_PROCESS = 1, DM_SHMEM = 2 };

struct dm_object {
	uint8_t kind;
	uint64_t id;
};

/* Pages that follow each other, with the flags of CRIU's pagemap entry. */
struct dm_run {
	uint64_t addr;
	uint32_t pages;
	uint32_t flags;
};

struct dm_segment {
	enum dm_segment_kind kind;
	uint32_t flags;
	uint32_t number;
	char id[DM_STREAM_ID + 1];
	uint8_t before[DM_DIGEST];
	uint64_t seed;
};

#endif
