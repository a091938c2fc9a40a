/* zstd (RFC 8878) by libzstd; frames may follow one another. */
#include "codec/compress.h"

#include <stdlib.h>
#include <zstd.h>

enum {
    GREATEST_LEVEL = 22,
    DEFAULT_LEVEL = 3,
    LEAST_ROOM = 1024,
    GUESSED_RATIO = 4,
    TRUSTED_SIZE = 1 << 20, /* what a frame says of its size is reserved at once up to here */
};

struct zstd {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static struct zstd *state_of(void **state) {
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct zstd));
    }
    return *state;
}

static void zstd_close(void *state) {
    struct zstd *zstd = state;
    if (zstd != NULL) {
        ZSTD_freeCCtx(zstd->compress);
        ZSTD_freeDCtx(zstd->decompress);
        free(zstd);
    }
}

static enum pl_err zstd_compress(void **state, int32_t level, const uint8_t *data, size_t n,
                                 struct pl_memory *to) {
    struct zstd *zstd = state_of(state);
    if (zstd != NULL && zstd->compress == NULL) {
        zstd->compress = ZSTD_createCCtx();
    }
    if (zstd == NULL || zstd->compress == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = pl_memory_reserve(to, ZSTD_compressBound(n));
    if (err != PL_OK) {
        return err;
    }
    size_t got = ZSTD_compressCCtx(zstd->compress, to->bytes + to->length,
                                   to->capacity - to->length, data, n, level);
    if (ZSTD_isError(got)) {
        return PL_ERR_MEMORY;
    }
    to->length += got;
    return PL_OK;
}

/* How much to reserve at first: the size in the frame where it is given and modest. */
static size_t first_room(const uint8_t *data, size_t n) {
    unsigned long long size = ZSTD_getFrameContentSize(data, n);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) {
        return n * GUESSED_RATIO;
    }
    return size < TRUSTED_SIZE ? (size_t)size : TRUSTED_SIZE;
}

/* Gives what fits; *left is 0 when a frame is complete. */
static enum pl_err decompress_some(ZSTD_DCtx *context, ZSTD_inBuffer *in, size_t max_length,
                                   struct pl_memory *to, size_t *left) {
    enum pl_err err = pl_memory_extend(to, LEAST_ROOM, max_length);
    if (err != PL_OK) {
        return err;
    }
    size_t taken = in->pos, given = to->length;
    ZSTD_outBuffer out = {to->bytes, to->capacity, to->length};
    *left = ZSTD_decompressStream(context, &out, in);
    to->length = out.pos;
    if (ZSTD_isError(*left)) {
        return PL_ERR_CORRUPT;
    }
    bool stuck = in->pos == taken && to->length == given;
    return stuck ? PL_ERR_CORRUPT : PL_OK; /* cut: it waits for bytes that are not there */
}

static enum pl_err zstd_decompress(void **state, const uint8_t *data, size_t n, size_t max_length,
                                   struct pl_memory *to) {
    struct zstd *zstd = state_of(state);
    if (zstd != NULL && zstd->decompress == NULL) {
        zstd->decompress = ZSTD_createDCtx();
    }
    if (zstd == NULL || zstd->decompress == NULL) {
        return PL_ERR_MEMORY;
    }
    ZSTD_DCtx_reset(zstd->decompress, ZSTD_reset_session_only);
    enum pl_err err = pl_memory_extend(to, first_room(data, n), max_length);
    ZSTD_inBuffer in = {data, n, 0};
    size_t left = 1;
    while (err == PL_OK && !(left == 0 && in.pos == n)) {
        err = decompress_some(zstd->decompress, &in, max_length, to, &left);
    }
    return err;
}

const struct pl_compression_way pl_compression_zstd = {
    .least_level = -131072, /* ZSTD_minCLevel */
    .greatest_level = GREATEST_LEVEL,
    .default_level = DEFAULT_LEVEL,
    .compress = zstd_compress,
    .decompress = zstd_decompress,
    .close = zstd_close,
};
