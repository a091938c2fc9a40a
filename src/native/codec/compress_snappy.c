/* Snappy in the stream format of snappy-java, which Kafka took over: a header of 16 bytes, then
 * blocks of at most 32 KB, each behind its compressed size. Some clients send one raw block. */
#include "codec/compress.h"

#include <snappy-c.h>
#include <string.h>

enum {
    MAGIC_BYTES = 8,
    HEADER_BYTES = 16, /* magic, version i32, compatible version i32 */
    VERSION = 1,
    BLOCK_BYTES = 32 * 1024,
    GREATEST_RATIO = 32, /* the densest element of the format makes 64 bytes out of 3 */
};

static const uint8_t magic[MAGIC_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static enum pl_err add_block(const uint8_t *data, size_t n, struct pl_memory *to) {
    size_t size = snappy_max_compressed_length(n);
    enum pl_err err = pl_memory_reserve(to, 4 + size);
    if (err != PL_OK) {
        return err;
    }
    uint8_t *at = to->bytes + to->length;
    if (snappy_compress((const char *)data, n, (char *)at + 4, &size) != SNAPPY_OK) {
        return PL_ERR_MEMORY;
    }
    pl_put_u32(at, (uint32_t)size);
    to->length += 4 + size;
    return PL_OK;
}

static enum pl_err snappy_way_compress(void **state, int32_t level, const uint8_t *data, size_t n,
                                       struct pl_memory *to) {
    (void)state;
    (void)level;
    enum pl_err err = pl_memory_reserve(to, HEADER_BYTES + n);
    if (err != PL_OK) {
        return err;
    }
    uint8_t *at = to->bytes + to->length;
    memcpy(at, magic, sizeof magic);
    pl_put_u32(at + MAGIC_BYTES, VERSION);
    pl_put_u32(at + MAGIC_BYTES + 4, VERSION);
    to->length += HEADER_BYTES;
    for (size_t done = 0; err == PL_OK && done < n; done += BLOCK_BYTES) {
        size_t left = n - done;
        err = add_block(data + done, left < BLOCK_BYTES ? left : BLOCK_BYTES, to);
    }
    return err;
}

static enum pl_err read_block(const uint8_t *data, size_t n, size_t max_length,
                              struct pl_memory *to) {
    size_t size;
    if (snappy_uncompressed_length((const char *)data, n, &size) != SNAPPY_OK) {
        return PL_ERR_CORRUPT;
    }
    if (size / GREATEST_RATIO > n) {
        return PL_ERR_CORRUPT;
    }
    if (size > max_length - to->length) {
        return PL_ERR_LIMIT;
    }
    enum pl_err err = pl_memory_reserve(to, size);
    if (err != PL_OK) {
        return err;
    }
    char *at = (char *)to->bytes + to->length;
    if (snappy_uncompress((const char *)data, n, at, &size) != SNAPPY_OK) {
        return PL_ERR_CORRUPT;
    }
    to->length += size;
    return PL_OK;
}

static bool starts_stream(const struct pl_cursor *c) {
    return pl_cursor_left(c) >= HEADER_BYTES && memcmp(c->pos, magic, sizeof magic) == 0;
}

static enum pl_err snappy_way_decompress(void **state, const uint8_t *data, size_t n,
                                         size_t max_length, struct pl_memory *to) {
    (void)state;
    struct pl_cursor c = pl_cursor_open(data, n);
    if (!starts_stream(&c)) {
        return read_block(data, n, max_length, to);
    }
    enum pl_err err = PL_OK;
    while (err == PL_OK && pl_cursor_left(&c) > 0) {
        if (starts_stream(&c)) { /* also in the middle: streams may follow one another */
            pl_cursor_skip(&c, HEADER_BYTES);
            continue;
        }
        struct pl_span block = pl_cursor_bytes(&c);
        err = block.length < 0 ? PL_ERR_CORRUPT
                               : read_block(block.data, (size_t)block.length, max_length, to);
    }
    return err;
}

static void snappy_close(void *state) { (void)state; }

const struct pl_compression_way pl_compression_snappy = {
    .least_level = INT32_MIN,
    .greatest_level = INT32_MAX,
    .compress = snappy_way_compress,
    .decompress = snappy_way_decompress,
    .close = snappy_close,
};
