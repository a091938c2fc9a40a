/* What a pl_codec holds, for the files of this folder. */
#ifndef PYLOG_CODEC_CODEC_H
#define PYLOG_CODEC_CODEC_H

#include "codec/memory.h"
#include "pylog/codec.h"

struct pl_codec { /* owned by who created it */
    size_t max_bytes;
    void *states[PL_COMPRESSION_COUNT]; /* of the compression libraries */
    struct pl_memory out;               /* what the last call gave back */
    struct pl_memory inner;             /* messages of a compressed wrapper, magic 0 and 1 */
    struct pl_batch_builder *converted; /* the batch made of a message set */
};

/* Replaces what `to` holds. Never more than codec->max_bytes. */
PL_MUST_CHECK enum pl_err pl_codec_decompress(struct pl_codec *codec, enum pl_compression type,
                                              const uint8_t *data, size_t n,
                                              struct pl_memory *to);

#endif
