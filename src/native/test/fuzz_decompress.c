/* Any bytes as compressed data of the type that the first byte says; and any bytes compressed
 * come back. */
#include "pylog/codec.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { MAX_PLAIN_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct pl_codec *codec;
    CHECK_OK(pl_codec_create(MAX_PLAIN_BYTES, &codec));
    enum pl_compression type = (enum pl_compression)(data[0] % PL_COMPRESSION_COUNT);
    const uint8_t *out;
    size_t n;
    if (pl_decompress(codec, type, data + 1, size - 1, &out, &n) == PL_OK) {
        CHECK(n <= MAX_PLAIN_BYTES);
    }
    CHECK_OK(pl_compress(codec, type, PL_LEVEL_DEFAULT, data, size, &out, &n));
    uint8_t *packed = malloc(n);
    CHECK(packed != NULL);
    memcpy(packed, out, n);
    size_t plain_n;
    enum pl_err err = pl_decompress(codec, type, packed, n, &out, &plain_n);
    CHECK_EQ(err, size <= MAX_PLAIN_BYTES ? PL_OK : PL_ERR_LIMIT);
    if (err == PL_OK) {
        CHECK_EQ(plain_n, size);
        CHECK_BYTES(out, data, size);
    }
    free(packed);
    pl_codec_destroy(codec);
    return 0;
}
