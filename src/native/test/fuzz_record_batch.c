/* Any bytes as batches: checked, walked, decompressed, scanned, built anew. The checksum of each
 * is made right first, so that what lies behind that gate is reached. */
#include "pylog/codec.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { MAX_PLAIN_BYTES = 1 << 20, CRC_AT = 17, CRC_COVERS_FROM = 21 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_span(struct pl_span span) {
    if (span.length > 0) {
        (void)pl_crc32c(0, span.data, (size_t)span.length);
    }
}

/* Every byte that a record points to is touched; a sound batch copied is as sound. */
static void walk(struct pl_codec *codec, const struct pl_batch *batch) {
    struct pl_batch_options options = pl_batch_options_default();
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    struct pl_record_reader reader;
    bool copied = pl_batch_open_records(codec, batch, &reader) == PL_OK;
    struct pl_record record;
    while (copied && pl_record_reader_next(&reader, &record)) {
        read_span(record.key);
        read_span(record.value);
        struct pl_header_reader headers = pl_header_reader_open(&record);
        struct pl_span key, value;
        int32_t count = 0;
        for (; pl_header_reader_next(&headers, &key, &value); count++) {
            read_span(key);
            read_span(value);
        }
        CHECK_EQ(count, record.header_count);
        copied = pl_batch_builder_copy(builder, record.timestamp_delta, &record) == PL_OK;
    }
    const uint8_t *out;
    size_t n;
    if (copied && pl_batch_builder_count(builder) > 0) {
        CHECK_OK(pl_batch_builder_build(builder, codec, &out, &n));
        struct pl_batch_header header;
        CHECK_OK(pl_batch_check(out, n, PL_BATCH_FROM_LOG, &header, NULL));
    }
    pl_batch_builder_destroy(builder);
}

static void use(struct pl_codec *codec, const struct pl_batch *batch) {
    struct pl_batch_header header;
    for (int origin = 0; origin < 2; origin++) {
        const char *reason = NULL;
        enum pl_err err = pl_batch_check(batch->bytes, batch->size, (enum pl_batch_origin)origin,
                                         &header, &reason);
        CHECK((err == PL_OK) == (reason == NULL));
        if (err == PL_OK) {
            struct pl_batch_scan scan;
            enum pl_err scanned = pl_batch_scan(codec, batch, &scan);
            CHECK(scanned != PL_OK || scan.bad_record < 0);
            walk(codec, batch);
        }
    }
    struct pl_marker marker;
    (void)!pl_marker_parse(batch, &marker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pl_codec *codec;
    CHECK_OK(pl_codec_create(MAX_PLAIN_BYTES, &codec));
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    struct pl_batch_reader reader = pl_batch_reader_open(bytes, size);
    struct pl_batch batch;
    while (pl_batch_reader_next(&reader, &batch)) {
        uint8_t *at = bytes + batch.position;
        pl_put_u32(at + CRC_AT,
                   pl_crc32c(0, at + CRC_COVERS_FROM, batch.size - CRC_COVERS_FROM));
        use(codec, &batch);
    }
    CHECK(reader.position <= size);
    free(bytes);
    pl_codec_destroy(codec);
    return 0;
}
