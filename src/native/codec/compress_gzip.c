/* gzip (RFC 1952) by zlib; members may follow one another. */
#include "codec/compress.h"

#include <stdlib.h>
#define ZLIB_CONST /* next_in points to const bytes */
#include <zlib.h>

enum {
    GZIP_WINDOW_BITS = 15 + 16, /* the largest window, gzip header and trailer */
    MEMORY_LEVEL = 8,           /* zlib's default */
    LEAST_ROOM = 1024,
    GUESSED_RATIO = 4,
};

struct gzip {
    z_stream deflate, inflate;
    bool deflate_open, inflate_open;
    int level;
};

static struct gzip *state_of(void **state) {
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct gzip));
    }
    return *state;
}

static void gzip_close(void *state) {
    struct gzip *gzip = state;
    if (gzip == NULL) {
        return;
    }
    if (gzip->deflate_open) {
        deflateEnd(&gzip->deflate);
    }
    if (gzip->inflate_open) {
        inflateEnd(&gzip->inflate);
    }
    free(gzip);
}

static enum pl_err open_deflate(struct gzip *gzip, int level) {
    if (gzip->deflate_open && gzip->level == level) {
        deflateReset(&gzip->deflate);
        return PL_OK;
    }
    if (gzip->deflate_open) {
        deflateEnd(&gzip->deflate);
    }
    gzip->deflate = (z_stream){0};
    gzip->level = level;
    gzip->deflate_open = deflateInit2(&gzip->deflate, level, Z_DEFLATED, GZIP_WINDOW_BITS,
                                      MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    return gzip->deflate_open ? PL_OK : PL_ERR_MEMORY;
}

static enum pl_err gzip_compress(void **state, int32_t level, const uint8_t *data, size_t n,
                                 struct pl_memory *to) {
    struct gzip *gzip = state_of(state);
    enum pl_err err = gzip == NULL ? PL_ERR_MEMORY : open_deflate(gzip, level);
    if (err != PL_OK) {
        return err;
    }
    z_stream *stream = &gzip->deflate;
    size_t bound = deflateBound(stream, n);
    err = pl_memory_reserve(to, bound);
    if (err != PL_OK) {
        return err;
    }
    stream->next_in = data;
    stream->avail_in = (uInt)n;
    stream->next_out = to->bytes + to->length;
    stream->avail_out = (uInt)bound;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END) {
        return PL_ERR_MEMORY;
    }
    to->length += bound - stream->avail_out;
    return PL_OK;
}

static enum pl_err open_inflate(struct gzip *gzip) {
    if (gzip->inflate_open) {
        inflateReset(&gzip->inflate);
        return PL_OK;
    }
    gzip->inflate = (z_stream){0};
    gzip->inflate_open = inflateInit2(&gzip->inflate, GZIP_WINDOW_BITS) == Z_OK;
    return gzip->inflate_open ? PL_OK : PL_ERR_MEMORY;
}

/* Gives what fits; *ended: a member is complete. */
static enum pl_err inflate_some(z_stream *stream, size_t max_length, struct pl_memory *to,
                                bool *ended) {
    enum pl_err err = pl_memory_extend(to, LEAST_ROOM, max_length);
    if (err != PL_OK) {
        return err;
    }
    size_t room = to->capacity - to->length;
    stream->next_out = to->bytes + to->length;
    stream->avail_out = (uInt)room;
    int got = inflate(stream, Z_NO_FLUSH);
    to->length += room - stream->avail_out;
    *ended = got == Z_STREAM_END;
    if (got == Z_MEM_ERROR) {
        return PL_ERR_MEMORY;
    }
    return got == Z_OK || got == Z_STREAM_END ? PL_OK : PL_ERR_CORRUPT;
}

static enum pl_err gzip_decompress(void **state, const uint8_t *data, size_t n, size_t max_length,
                                   struct pl_memory *to) {
    struct gzip *gzip = state_of(state);
    enum pl_err err = gzip == NULL ? PL_ERR_MEMORY : open_inflate(gzip);
    if (err == PL_OK) {
        err = pl_memory_extend(to, n * GUESSED_RATIO, max_length);
    }
    if (err != PL_OK) {
        return err;
    }
    z_stream *stream = &gzip->inflate;
    stream->next_in = data;
    stream->avail_in = (uInt)n;
    bool ended = false;
    while (err == PL_OK && !(ended && stream->avail_in == 0)) {
        if (ended) {
            inflateReset(stream);
        }
        err = inflate_some(stream, max_length, to, &ended);
    }
    return err;
}

const struct pl_compression_way pl_compression_gzip = {
    .least_level = 1,
    .greatest_level = 9,
    .default_level = Z_DEFAULT_COMPRESSION,
    .compress = gzip_compress,
    .decompress = gzip_decompress,
    .close = gzip_close,
};
