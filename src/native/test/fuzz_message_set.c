/* Any bytes as a message set of magic 0 and 1. The checksum of every outer message is made right
 * first; what comes out is a sound batch. */
#include "pylog/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "check.h"

enum { MAX_PLAIN_BYTES = 1 << 20, SIZE_AT = 8, CRC_AT = 12, CRC_COVERS_FROM = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *bytes, size_t n) {
    for (size_t at = 0; n - at >= CRC_COVERS_FROM;) {
        uint32_t size = pl_get_u32(bytes + at + SIZE_AT);
        if (size < 4 || size > n - at - CRC_AT) {
            return;
        }
        pl_put_u32(bytes + at + CRC_AT,
                   (uint32_t)crc32(0, bytes + at + CRC_COVERS_FROM, size - 4));
        at += CRC_AT + size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pl_codec *codec;
    CHECK_OK(pl_codec_create(MAX_PLAIN_BYTES, &codec));
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    CHECK(pl_message_set_span(bytes, size) <= size);
    seal(bytes, size);
    for (int keep = 0; keep < 2; keep++) {
        const uint8_t *out;
        size_t n;
        if (pl_message_set_to_batch(codec, bytes, size, keep == 1, &out, &n) == PL_OK) {
            struct pl_batch_header header;
            CHECK_OK(pl_batch_check(out, n, PL_BATCH_FROM_LOG, &header, NULL));
        }
    }
    free(bytes);
    pl_codec_destroy(codec);
    return 0;
}
