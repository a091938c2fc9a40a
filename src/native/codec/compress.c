/* The codec: one way a compression type, their states, and the memory they write into. */
#include "codec/compress.h"

#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

static enum pl_err copy(const uint8_t *data, size_t n, struct pl_memory *to) {
    enum pl_err err = pl_memory_reserve(to, n);
    if (err == PL_OK && n > 0) {
        memcpy(to->bytes + to->length, data, n);
        to->length += n;
    }
    return err;
}

static enum pl_err compress_none(void **state, int32_t level, const uint8_t *data, size_t n,
                                 struct pl_memory *to) {
    (void)state;
    (void)level;
    return copy(data, n, to);
}

static enum pl_err decompress_none(void **state, const uint8_t *data, size_t n, size_t max_length,
                                   struct pl_memory *to) {
    (void)state;
    return n > max_length ? PL_ERR_LIMIT : copy(data, n, to);
}

static void close_none(void *state) { (void)state; }

static const struct pl_compression_way none = {
    .least_level = INT32_MIN,
    .greatest_level = INT32_MAX,
    .compress = compress_none,
    .decompress = decompress_none,
    .close = close_none,
};

static const struct pl_compression_way *const ways[PL_COMPRESSION_COUNT] = {
    [PL_COMPRESSION_NONE] = &none,
    [PL_COMPRESSION_GZIP] = &pl_compression_gzip,
    [PL_COMPRESSION_SNAPPY] = &pl_compression_snappy,
    [PL_COMPRESSION_LZ4] = &pl_compression_lz4,
    [PL_COMPRESSION_ZSTD] = &pl_compression_zstd,
};

enum pl_err pl_codec_create(size_t max_bytes, struct pl_codec **codec) {
    *codec = calloc(1, sizeof **codec);
    if (*codec == NULL) {
        return PL_ERR_MEMORY;
    }
    (*codec)->max_bytes = max_bytes < PL_MAX_BATCH_BYTES ? max_bytes : PL_MAX_BATCH_BYTES;
    return PL_OK;
}

void pl_codec_destroy(struct pl_codec *codec) {
    if (codec == NULL) {
        return;
    }
    for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
        ways[type]->close(codec->states[type]);
    }
    pl_memory_free(&codec->out);
    pl_memory_free(&codec->inner);
    pl_batch_builder_destroy(codec->converted);
    free(codec);
}

enum pl_err pl_codec_compress(struct pl_codec *codec, enum pl_compression type, int32_t level,
                              const uint8_t *data, size_t n, struct pl_memory *to) {
    const struct pl_compression_way *way = ways[type];
    if (level == PL_LEVEL_DEFAULT) {
        level = way->default_level;
    } else if (level < way->least_level || level > way->greatest_level) {
        return PL_ERR_INVALID;
    }
    return n > PL_MAX_BATCH_BYTES ? PL_ERR_LIMIT
                                  : way->compress(&codec->states[type], level, data, n, to);
}

static bool exists(enum pl_compression type) { return (unsigned)type < PL_COMPRESSION_COUNT; }

enum pl_err pl_compress(struct pl_codec *codec, enum pl_compression type, int32_t level,
                        const uint8_t *data, size_t n, const uint8_t **out, size_t *out_n) {
    if (!exists(type)) {
        return PL_ERR_INVALID;
    }
    pl_memory_clear(&codec->out);
    enum pl_err err = pl_codec_compress(codec, type, level, data, n, &codec->out);
    *out = codec->out.bytes;
    *out_n = codec->out.length;
    return err;
}

enum pl_err pl_codec_decompress(struct pl_codec *codec, enum pl_compression type,
                                const uint8_t *data, size_t n, struct pl_memory *to) {
    if (!exists(type)) {
        return PL_ERR_INVALID;
    }
    pl_memory_clear(to);
    enum pl_err err =
        ways[type]->decompress(&codec->states[type], data, n, codec->max_bytes, to);
    return err == PL_OK && to->length > codec->max_bytes ? PL_ERR_LIMIT : err;
}

enum pl_err pl_decompress(struct pl_codec *codec, enum pl_compression type, const uint8_t *data,
                          size_t n, const uint8_t **out, size_t *out_n) {
    enum pl_err err = pl_codec_decompress(codec, type, data, n, &codec->out);
    *out = codec->out.bytes;
    *out_n = codec->out.length;
    return err;
}
