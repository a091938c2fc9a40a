/* One compression library behind two functions. `state` starts as NULL; a library keeps its
 * contexts there from call to call, close frees them. Output is added to `to`. */
#ifndef PYLOG_CODEC_COMPRESS_H
#define PYLOG_CODEC_COMPRESS_H

#include "codec/memory.h"
#include "pylog/codec.h"

struct pl_compression_way {
    int32_t least_level, greatest_level, default_level;
    enum pl_err (*compress)(void **state, int32_t level, const uint8_t *data, size_t n,
                            struct pl_memory *to);
    /* Stops with PL_ERR_LIMIT once `to` is longer than max_length. */
    enum pl_err (*decompress)(void **state, const uint8_t *data, size_t n, size_t max_length,
                              struct pl_memory *to);
    void (*close)(void *state);
};

extern const struct pl_compression_way pl_compression_gzip, pl_compression_snappy,
    pl_compression_lz4, pl_compression_zstd;

/* Adds to `to`; type is one that exists. */
PL_MUST_CHECK enum pl_err pl_codec_compress(struct pl_codec *codec, enum pl_compression type,
                                            int32_t level, const uint8_t *data, size_t n,
                                            struct pl_memory *to);

#endif
