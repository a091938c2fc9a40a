/* The LZ4 frame format (version 1.6.x) by liblz4; frames may follow one another. Kafka's Java
 * reader takes independent blocks only. */
#include "codec/compress.h"

#include <lz4frame.h>
#include <stdlib.h>

enum {
    GREATEST_LEVEL = 17, /* as in KIP-390; liblz4 takes what is above its own for its own */
    LEAST_ROOM = 64 * 1024,
    GUESSED_RATIO = 4,
    FRAME_HEADER_MAX_BYTES = 19,
};

struct lz4 {
    LZ4F_cctx *compress;
    LZ4F_dctx *decompress;
};

static struct lz4 *state_of(void **state) {
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct lz4));
    }
    return *state;
}

static void lz4_close(void *state) {
    struct lz4 *lz4 = state;
    if (lz4 != NULL) {
        LZ4F_freeCompressionContext(lz4->compress);
        LZ4F_freeDecompressionContext(lz4->decompress);
        free(lz4);
    }
}

static enum pl_err write_frame(LZ4F_cctx *context, const LZ4F_preferences_t *preferences,
                               const uint8_t *data, size_t n, struct pl_memory *to) {
    uint8_t *at = to->bytes + to->length;
    size_t room = to->capacity - to->length;
    size_t begin = LZ4F_compressBegin(context, at, room, preferences);
    if (LZ4F_isError(begin)) {
        return PL_ERR_MEMORY;
    }
    size_t body = LZ4F_compressUpdate(context, at + begin, room - begin, data, n, NULL);
    if (LZ4F_isError(body)) {
        return PL_ERR_MEMORY;
    }
    size_t end = LZ4F_compressEnd(context, at + begin + body, room - begin - body, NULL);
    if (LZ4F_isError(end)) {
        return PL_ERR_MEMORY;
    }
    to->length += begin + body + end;
    return PL_OK;
}

static enum pl_err lz4_compress(void **state, int32_t level, const uint8_t *data, size_t n,
                                struct pl_memory *to) {
    struct lz4 *lz4 = state_of(state);
    if (lz4 == NULL || (lz4->compress == NULL && LZ4F_isError(LZ4F_createCompressionContext(
                                                     &lz4->compress, LZ4F_VERSION)))) {
        return PL_ERR_MEMORY;
    }
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
        .autoFlush = 1,
    };
    size_t bound = FRAME_HEADER_MAX_BYTES + LZ4F_compressBound(n, &preferences);
    enum pl_err err = pl_memory_reserve(to, bound);
    return err != PL_OK ? err : write_frame(lz4->compress, &preferences, data, n, to);
}

/* Gives what fits; *left is 0 when a frame is complete. */
static enum pl_err decompress_some(LZ4F_dctx *context, const uint8_t **data, const uint8_t *end,
                                   size_t max_length, struct pl_memory *to, size_t *left) {
    enum pl_err err = pl_memory_extend(to, LEAST_ROOM, max_length);
    if (err != PL_OK) {
        return err;
    }
    size_t given = to->capacity - to->length;
    size_t taken = (size_t)(end - *data);
    *left = LZ4F_decompress(context, to->bytes + to->length, &given, *data, &taken, NULL);
    if (LZ4F_isError(*left)) {
        return PL_ERR_CORRUPT;
    }
    to->length += given;
    *data += taken;
    return given == 0 && taken == 0 ? PL_ERR_CORRUPT : PL_OK; /* cut */
}

static enum pl_err lz4_decompress(void **state, const uint8_t *data, size_t n, size_t max_length,
                                  struct pl_memory *to) {
    struct lz4 *lz4 = state_of(state);
    if (lz4 == NULL || (lz4->decompress == NULL && LZ4F_isError(LZ4F_createDecompressionContext(
                                                       &lz4->decompress, LZ4F_VERSION)))) {
        return PL_ERR_MEMORY;
    }
    LZ4F_resetDecompressionContext(lz4->decompress);
    enum pl_err err = pl_memory_extend(to, n * GUESSED_RATIO, max_length);
    const uint8_t *end = n == 0 ? data : data + n;
    size_t left = 1;
    while (err == PL_OK && !(left == 0 && data == end)) {
        err = decompress_some(lz4->decompress, &data, end, max_length, to, &left);
    }
    return err;
}

const struct pl_compression_way pl_compression_lz4 = {
    .least_level = 1,
    .greatest_level = GREATEST_LEVEL,
    .default_level = 0,
    .compress = lz4_compress,
    .decompress = lz4_decompress,
    .close = lz4_close,
};
