/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/num.h"

struct dm_codec {
	struct dm_codec_choice choice;
	ZSTD_CCtx *zstd_pack;
	ZSTD_DCtx *zstd_unpack;
	z_stream zlib_pack, zlib_unpack;
	bool zlib_packs, zlib_unpacks; /* which of the two are set up */
};

int dm_codec_parse(const char *text, const char *what, struct dm_codec_choice *out,
		   struct dm_err *err)
{
	static const struct {
		const char *name;
		enum dm_frame_codec codec;
		int level, top;
	} known[] = {
		{"none", DM_FRAME_NONE, 0, 0},
		{"zlib", DM_FRAME_ZLIB, 1, 9},
		{"zstd", DM_FRAME_ZSTD, 1, 19},
	};
	size_t n = strcspn(text, ":");
	uint64_t level;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) != n || strncmp(text, known[i].name, n) != 0)
			continue;
		*out = (struct dm_codec_choice){known[i].codec, known[i].level};
		if (text[n] == '\0')
			return 0;
		if (known[i].top == 0)
			break;
		if (dm_num_u64(text + n + 1, what, 1, (uint64_t)known[i].top, &level, err))
			return -1;
		out->level = (int)level;
		return 0;
	}
	return dm_fail(err, DM_USAGE, "%s: \"%s\" is not none, zlib[:LEVEL] or zstd[:LEVEL]", what,
		       text);
}

struct dm_codec *dm_codec_new(const struct dm_codec_choice *choice, struct dm_err *err)
{
	struct dm_codec *c = calloc(1, sizeof(*c));

	if (!c)
		goto fail;
	if (choice) {
		c->choice = *choice;
		if (choice->codec == DM_FRAME_ZSTD && !(c->zstd_pack = ZSTD_createCCtx()))
			goto fail;
		if (choice->codec == DM_FRAME_ZLIB) {
			c->zlib_packs = deflateInit(&c->zlib_pack, choice->level) == Z_OK;
			if (!c->zlib_packs)
				goto fail;
		}
	} else {
		c->zstd_unpack = ZSTD_createDCtx();
		c->zlib_unpacks = inflateInit(&c->zlib_unpack) == Z_OK;
		if (!c->zstd_unpack || !c->zlib_unpacks)
			goto fail;
	}
	return c;

fail:
	dm_codec_free(c);
	dm_fail(err, DM_FAILURE, "set up a codec: out of memory");
	return NULL;
}

static int pack_zlib(z_stream *z, const void *in, size_t n, void *out, size_t *packed,
		     struct dm_err *err)
{
	int rc;

	if (deflateReset(z) != Z_OK)
		return dm_fail(err, DM_FAILURE, "zlib: cannot start a frame");
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)(n - 1);
	rc = deflate(z, Z_FINISH);
	if (rc != Z_STREAM_END && rc != Z_OK && rc != Z_BUF_ERROR)
		return dm_fail(err, DM_FAILURE, "zlib: cannot pack %zu bytes: error %d", n, rc);
	*packed = rc == Z_STREAM_END ? z->total_out : 0;
	return 0;
}

static int pack_zstd(struct dm_codec *c, const void *in, size_t n, void *out, size_t *packed,
		     struct dm_err *err)
{
	size_t rc = ZSTD_compressCCtx(c->zstd_pack, out, n - 1, in, n, c->choice.level);

	if (ZSTD_isError(rc) && ZSTD_getErrorCode(rc) != ZSTD_error_dstSize_tooSmall)
		return dm_fail(err, DM_FAILURE, "zstd: cannot pack %zu bytes: %s", n,
			       ZSTD_getErrorName(rc));
	*packed = ZSTD_isError(rc) ? 0 : rc;
	return 0;
}

int dm_codec_pack(struct dm_codec *c, const void *in, size_t n, void *out, size_t *packed,
		  struct dm_err *err)
{
	*packed = 0;
	switch (n > 1 ? c->choice.codec : DM_FRAME_NONE) {
	case DM_FRAME_ZLIB:
		return pack_zlib(&c->zlib_pack, in, n, out, packed, err);
	case DM_FRAME_ZSTD:
		return pack_zstd(c, in, n, out, packed, err);
	default:
		return 0;
	}
}

static bool unpack_zlib(z_stream *z, const void *in, size_t n, void *out, size_t plain)
{
	if (inflateReset(z) != Z_OK)
		return false;
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)plain;
	return inflate(z, Z_FINISH) == Z_STREAM_END && z->avail_in == 0 && z->avail_out == 0;
}

int dm_codec_unpack(struct dm_codec *c, enum dm_frame_codec codec, const void *in, size_t n,
		    void *out, size_t plain, struct dm_err *err)
{
	bool good = codec == DM_FRAME_ZLIB
			    ? unpack_zlib(&c->zlib_unpack, in, n, out, plain)
			    : ZSTD_decompressDCtx(c->zstd_unpack, out, plain, in, n) == plain;

	return good ? 0 : dm_fail(err, DM_BAD_STREAM, "the packed bytes of a frame are damaged");
}

void dm_codec_free(struct dm_codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->zstd_pack);
	ZSTD_freeDCtx(c->zstd_unpack);
	if (c->zlib_packs)
		deflateEnd(&c->zlib_pack);
	if (c->zlib_unpacks)
		inflateEnd(&c->zlib_unpack);
	free(c);
}
