/* Compression, building of batches, markers, and old message sets. */
#include "pylog/codec.h"

#include <zlib.h>

#include "check.h"

enum { MAX_BYTES = 1 << 20 };

static struct pl_codec *codec;

static struct pl_span text(const char *s) {
    struct pl_span span = {(const uint8_t *)s, s == NULL ? -1 : (int32_t)strlen(s)};
    return span;
}

static void fill(uint8_t *to, size_t n, uint64_t seed, unsigned symbols) {
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)(check_random(&seed) >> 32) % (uint8_t)symbols;
    }
}

/* ---- compression ---- */

static void check_round_trip(enum pl_compression type, int32_t level, const uint8_t *data,
                             size_t n) {
    const uint8_t *packed, *plain;
    size_t packed_n, plain_n;
    CHECK_OK(pl_compress(codec, type, level, data, n, &packed, &packed_n));
    uint8_t *kept = malloc(packed_n + 1);
    memcpy(kept, packed, packed_n);
    CHECK_OK(pl_decompress(codec, type, kept, packed_n, &plain, &plain_n));
    CHECK_EQ(plain_n, n);
    CHECK_BYTES(plain, data, n);
    free(kept);
}

static void every_type_gives_back_what_it_took(void) {
    static const size_t sizes[] = {0, 1, 100, 4096, 32768, 32769, 65536, 300000};
    uint8_t *data = malloc(300000);
    for (unsigned symbols = 2; symbols <= 202; symbols += 100) {
        fill(data, 300000, symbols, symbols);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
                check_round_trip((enum pl_compression)type, PL_LEVEL_DEFAULT, data, sizes[i]);
            }
        }
    }
    free(data);
}

static void levels_are_taken_within_their_range(void) {
    static const struct {
        enum pl_compression type;
        int32_t least, greatest;
    } cases[] = {
        {PL_COMPRESSION_GZIP, 1, 9},
        {PL_COMPRESSION_LZ4, 1, 17},
        {PL_COMPRESSION_ZSTD, -131072, 22},
    };
    uint8_t data[5000];
    fill(data, sizeof data, 5, 9);
    const uint8_t *out;
    size_t n;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_round_trip(cases[i].type, cases[i].least, data, sizeof data);
        check_round_trip(cases[i].type, cases[i].greatest, data, sizeof data);
        check_round_trip(cases[i].type, cases[i].least, data, sizeof data);
        CHECK_EQ(pl_compress(codec, cases[i].type, cases[i].least - 1, data, 9, &out, &n),
                 PL_ERR_INVALID);
        CHECK_EQ(pl_compress(codec, cases[i].type, cases[i].greatest + 1, data, 9, &out, &n),
                 PL_ERR_INVALID);
    }
}

static void more_than_the_bound_is_refused(void) {
    struct pl_codec *small;
    CHECK_OK(pl_codec_create(1000, &small));
    static const uint8_t zeros[1001];
    for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
        const uint8_t *packed, *plain;
        size_t packed_n, n;
        enum pl_compression t = (enum pl_compression)type;
        CHECK_OK(pl_compress(codec, t, PL_LEVEL_DEFAULT, zeros, 1001, &packed, &packed_n));
        CHECK_EQ(pl_decompress(small, t, packed, packed_n, &plain, &n), PL_ERR_LIMIT);
        CHECK_OK(pl_compress(codec, t, PL_LEVEL_DEFAULT, zeros, 1000, &packed, &packed_n));
        CHECK_OK(pl_decompress(small, t, packed, packed_n, &plain, &n));
    }
    pl_codec_destroy(small);
}

static void cut_frames_are_corrupt_and_do_no_harm(void) {
    uint8_t data[3000];
    fill(data, sizeof data, 77, 40);
    for (int type = PL_COMPRESSION_GZIP; type < PL_COMPRESSION_COUNT; type++) {
        enum pl_compression t = (enum pl_compression)type;
        const uint8_t *packed, *plain;
        size_t packed_n, n;
        CHECK_OK(pl_compress(codec, t, PL_LEVEL_DEFAULT, data, sizeof data, &packed, &packed_n));
        uint8_t kept[6000];
        CHECK(packed_n < sizeof kept);
        memcpy(kept, packed, packed_n);
        for (size_t cut = 0; cut < packed_n; cut++) {
            /* framed snappy is whole after its header, and after every block */
            if (t == PL_COMPRESSION_SNAPPY && cut == 16) {
                continue;
            }
            CHECK_EQ(pl_decompress(codec, t, kept, cut, &plain, &n), PL_ERR_CORRUPT);
        }
        CHECK_OK(pl_decompress(codec, t, kept, packed_n, &plain, &n));
    }
}

static void frames_may_follow_one_another(void) {
    uint8_t data[500];
    fill(data, sizeof data, 3, 12);
    for (int type = PL_COMPRESSION_GZIP; type < PL_COMPRESSION_COUNT; type++) {
        enum pl_compression t = (enum pl_compression)type;
        const uint8_t *packed, *plain;
        size_t packed_n, n;
        CHECK_OK(pl_compress(codec, t, PL_LEVEL_DEFAULT, data, sizeof data, &packed, &packed_n));
        uint8_t twice[2000];
        CHECK(2 * packed_n <= sizeof twice);
        memcpy(twice, packed, packed_n);
        memcpy(twice + packed_n, packed, packed_n);
        CHECK_OK(pl_decompress(codec, t, twice, 2 * packed_n, &plain, &n));
        CHECK_EQ(n, 2 * sizeof data);
        CHECK_BYTES(plain, data, sizeof data);
        CHECK_BYTES(plain + sizeof data, data, sizeof data);
    }
}

static void a_raw_snappy_block_is_read(void) {
    static const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    const uint8_t *plain;
    size_t n;
    CHECK_OK(pl_decompress(codec, PL_COMPRESSION_SNAPPY, raw, sizeof raw, &plain, &n));
    CHECK_EQ(n, 5);
    CHECK_BYTES(plain, "hello", 5);
    /* says 1 GB in five bytes: no memory is taken for it */
    static const uint8_t bomb[] = {0x80, 0x80, 0x80, 0x80, 4, 0};
    CHECK_EQ(pl_decompress(codec, PL_COMPRESSION_SNAPPY, bomb, sizeof bomb, &plain, &n),
             PL_ERR_CORRUPT);
}

/* ---- building ---- */

static struct pl_batch open_batch(const uint8_t *bytes, size_t n, enum pl_batch_origin origin) {
    struct pl_batch batch = {.bytes = bytes, .size = n};
    const char *reason = "";
    if (pl_batch_check(bytes, n, origin, &batch.header, &reason) != PL_OK) {
        CHECK_FAIL("%s", reason);
    }
    CHECK_EQ(pl_batch_size(&batch.header), n);
    return batch;
}

static void a_built_batch_reads_back(void) {
    struct pl_record_header headers[] = {{text("h"), text("1")}, {text(""), text(NULL)}};
    for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
        struct pl_batch_options options = pl_batch_options_default();
        options.compression = (enum pl_compression)type;
        options.producer_id = 9;
        options.producer_epoch = 1;
        options.base_sequence = 40;
        options.transactional = true;
        struct pl_batch_builder *builder;
        CHECK_OK(pl_batch_builder_create(&options, &builder));
        CHECK_OK(pl_batch_builder_append(builder, 500, text("key"), text("value"), headers, 2));
        CHECK_OK(pl_batch_builder_append(builder, 700, text(NULL), text(NULL), NULL, 0));
        CHECK_OK(pl_batch_builder_append(builder, 400, text(""), text(""), NULL, 0));
        CHECK_EQ(pl_batch_builder_count(builder), 3);
        const uint8_t *bytes;
        size_t n;
        CHECK_OK(pl_batch_builder_build(builder, codec, &bytes, &n));
        struct pl_batch batch = open_batch(bytes, n, PL_BATCH_FROM_CLIENT);
        CHECK_EQ(batch.header.base_timestamp, 500);
        CHECK_EQ(batch.header.max_timestamp, 700);
        CHECK_EQ(pl_batch_last_sequence(&batch.header), 42);
        struct pl_record_reader reader;
        CHECK_OK(pl_batch_open_records(codec, &batch, &reader));
        struct pl_record r;
        CHECK(pl_record_reader_next(&reader, &r));
        CHECK_EQ(r.key.length, 3);
        CHECK_EQ(r.header_count, 2);
        CHECK(pl_record_reader_next(&reader, &r));
        CHECK_EQ(r.key.length, -1);
        CHECK_EQ(pl_record_timestamp(&batch.header, &r), 700);
        CHECK(pl_record_reader_next(&reader, &r));
        CHECK_EQ(pl_record_timestamp(&batch.header, &r), 400);
        CHECK_EQ(r.value.length, 0);
        CHECK_EQ(r.offset_delta, 2);
        CHECK(!pl_record_reader_next(&reader, &r));
        CHECK_EQ(reader.cursor.err, PL_OK);
        pl_batch_builder_destroy(builder);
    }
}

static void a_scan_finds_the_keyless_record_and_the_latest_time(void) {
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = PL_COMPRESSION_ZSTD;
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    CHECK_OK(pl_batch_builder_append(builder, 500, text("a"), text("1"), NULL, 0));
    CHECK_OK(pl_batch_builder_append(builder, 900, text("b"), text("2"), NULL, 0));
    CHECK_OK(pl_batch_builder_append(builder, 600, text(NULL), text("3"), NULL, 0));
    CHECK_OK(pl_batch_builder_append(builder, 900, text(NULL), text("4"), NULL, 0));
    const uint8_t *bytes;
    size_t n;
    CHECK_OK(pl_batch_builder_build(builder, codec, &bytes, &n));
    struct pl_batch batch = open_batch(bytes, n, PL_BATCH_FROM_CLIENT);
    struct pl_batch_scan scan;
    CHECK_OK(pl_batch_scan(codec, &batch, &scan));
    CHECK_EQ(scan.first_keyless, 2);
    CHECK_EQ(scan.bad_record, -1);
    CHECK_EQ(scan.max_timestamp, 900);
    CHECK_EQ(scan.max_timestamp_index, 1);
    pl_batch_builder_destroy(builder);
}

static void a_copy_keeps_offsets_and_a_scan_refuses_the_gap(void) {
    struct pl_batch_options options = pl_batch_options_default();
    options.base_offset = 1000;
    options.last_offset_delta = 9;
    options.delete_horizon_ms = 12345;
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    struct pl_record record = {.offset_delta = 3, .key = text("k"), .value = text("v")};
    CHECK_OK(pl_batch_builder_copy(builder, 50, &record));
    CHECK_EQ(pl_batch_builder_copy(builder, 50, &record), PL_ERR_INVALID);
    const uint8_t *bytes;
    size_t n;
    CHECK_OK(pl_batch_builder_build(builder, codec, &bytes, &n));
    struct pl_batch batch = open_batch(bytes, n, PL_BATCH_FROM_LOG);
    CHECK_EQ(pl_batch_last_offset(&batch.header), 1009);
    CHECK_EQ(batch.header.base_timestamp, 12345);
    struct pl_record_reader reader;
    CHECK_OK(pl_batch_open_records(codec, &batch, &reader));
    CHECK(pl_record_reader_next(&reader, &record));
    CHECK_EQ(record.offset_delta, 3);
    CHECK_EQ(pl_record_timestamp(&batch.header, &record), 50);
    struct pl_batch_scan scan;
    CHECK_EQ(pl_batch_scan(codec, &batch, &scan), PL_ERR_INVALID);
    CHECK_EQ(scan.bad_record, 0);
    pl_batch_builder_destroy(builder);
}

static void an_empty_batch_is_built_only_on_purpose(void) {
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = PL_COMPRESSION_GZIP;
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    const uint8_t *bytes;
    size_t n;
    CHECK_EQ(pl_batch_builder_build(builder, codec, &bytes, &n), PL_ERR_INVALID);
    options.last_offset_delta = 4;
    pl_batch_builder_reset(builder, &options);
    CHECK_OK(pl_batch_builder_build(builder, codec, &bytes, &n));
    CHECK_EQ(n, PL_BATCH_HEADER_BYTES);
    struct pl_batch batch = open_batch(bytes, n, PL_BATCH_FROM_LOG);
    struct pl_record_reader reader;
    CHECK_OK(pl_batch_open_records(codec, &batch, &reader));
    struct pl_record record;
    CHECK(!pl_record_reader_next(&reader, &record));
    CHECK_EQ(reader.cursor.err, PL_OK);
    pl_batch_builder_destroy(builder);
}

static void a_builder_refuses_what_cannot_be(void) {
    struct pl_batch_options options = pl_batch_options_default();
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    struct pl_record_header nameless = {text(NULL), text("v")};
    CHECK_EQ(pl_batch_builder_append(builder, 1, text(NULL), text("v"), &nameless, 1),
             PL_ERR_INVALID);
    struct pl_span huge = {(const uint8_t *)"", INT32_MAX};
    CHECK_EQ(pl_batch_builder_append(builder, 1, text(NULL), huge, NULL, 0), PL_ERR_LIMIT);
    CHECK_EQ(pl_batch_builder_count(builder), 0);
    pl_batch_builder_destroy(builder);
    options.compression = (enum pl_compression)5;
    CHECK_EQ(pl_batch_builder_create(&options, &builder), PL_ERR_INVALID);
}

/* ---- markers ---- */

static void a_marker_reads_back(void) {
    uint8_t bytes[PL_MARKER_BATCH_BYTES];
    struct pl_marker marker = {PL_MARKER_COMMIT, 77}, got;
    pl_marker_build(bytes, &marker, 5000, 3, 1234);
    struct pl_batch batch = open_batch(bytes, sizeof bytes, PL_BATCH_FROM_LOG);
    CHECK(pl_batch_is(&batch.header, PL_BATCH_TRANSACTIONAL));
    CHECK_EQ(batch.header.producer_id, 5000);
    CHECK_EQ(batch.header.base_sequence, -1);
    CHECK_OK(pl_marker_parse(&batch, &got));
    CHECK_EQ(got.type, PL_MARKER_COMMIT);
    CHECK_EQ(got.coordinator_epoch, 77);
    batch.header.attributes = PL_BATCH_TRANSACTIONAL;
    CHECK_EQ(pl_marker_parse(&batch, &got), PL_ERR_INVALID);
}

/* ---- message sets ---- */

static size_t put_message(uint8_t *at, int64_t offset, int8_t magic, int8_t attributes,
                          struct pl_span key, struct pl_span value) {
    uint8_t *p = at + 16;
    *p++ = (uint8_t)magic;
    *p++ = (uint8_t)attributes;
    if (magic == 1) {
        pl_put_i64(p, 100 + offset);
        p += 8;
    }
    struct pl_span spans[] = {key, value};
    for (int i = 0; i < 2; i++) {
        pl_put_i32(p, spans[i].length);
        p += 4;
        if (spans[i].length > 0) {
            memcpy(p, spans[i].data, (size_t)spans[i].length);
            p += spans[i].length;
        }
    }
    pl_put_i64(at, offset);
    pl_put_i32(at + 8, (int32_t)(p - at - 12));
    pl_put_u32(at + 12, (uint32_t)crc32(0, at + 16, (uInt)(p - at - 16)));
    return (size_t)(p - at);
}

static struct pl_batch convert(const uint8_t *set, size_t n, bool keep_offsets) {
    const uint8_t *bytes;
    size_t size;
    CHECK_OK(pl_message_set_to_batch(codec, set, n, keep_offsets, &bytes, &size));
    return open_batch(bytes, size, PL_BATCH_FROM_LOG);
}

static void a_message_set_becomes_a_batch(void) {
    for (int8_t magic = 0; magic < 2; magic++) {
        uint8_t set[200];
        size_t n = put_message(set, 7, magic, 0, text("k"), text("v"));
        n += put_message(set + n, 9, magic, 0, text(NULL), text("w"));
        struct pl_batch batch = convert(set, n, false);
        CHECK_EQ(batch.header.base_offset, 0);
        CHECK_EQ(batch.header.records_count, 2);
        CHECK_EQ(batch.header.last_offset_delta, 1);
        CHECK_EQ(batch.header.max_timestamp, magic == 0 ? -1 : 109);
        batch = convert(set, n, true);
        CHECK_EQ(batch.header.base_offset, 7);
        CHECK_EQ(batch.header.last_offset_delta, 2);
        set[n - 1] ^= 1;
        const uint8_t *out;
        CHECK_EQ(pl_message_set_to_batch(codec, set, n, false, &out, &n), PL_ERR_CORRUPT);
    }
}

static void a_compressed_wrapper_is_unwrapped(void) {
    for (int8_t magic = 0; magic < 2; magic++) {
        uint8_t inner[200], set[400];
        int64_t first = magic == 0 ? 50 : 0;
        size_t n = put_message(inner, first, magic, 0, text("a"), text("1"));
        n += put_message(inner + n, first + 1, magic, 0, text("b"), text("2"));
        struct pl_span packed;
        const uint8_t *out;
        size_t out_n;
        CHECK_OK(pl_compress(codec, PL_COMPRESSION_GZIP, PL_LEVEL_DEFAULT, inner, n, &out, &out_n));
        packed = (struct pl_span){out, (int32_t)out_n};
        n = put_message(set, 51, magic, PL_COMPRESSION_GZIP, text(NULL), packed);
        struct pl_batch batch = convert(set, n, true);
        CHECK_EQ(batch.header.base_offset, 50);
        CHECK_EQ(batch.header.records_count, 2);
        CHECK_EQ(pl_batch_compression(&batch.header), PL_COMPRESSION_GZIP);
        struct pl_record_reader reader;
        CHECK_OK(pl_batch_open_records(codec, &batch, &reader));
        struct pl_record record;
        CHECK(pl_record_reader_next(&reader, &record));
        CHECK(pl_record_reader_next(&reader, &record));
        CHECK_EQ(record.key.data[0], 'b');
    }
}

static void a_message_set_without_messages_is_refused(void) {
    const uint8_t *out;
    size_t n;
    CHECK_EQ(pl_message_set_to_batch(codec, NULL, 0, false, &out, &n), PL_ERR_INVALID);
}

int main(void) {
    CHECK_OK(pl_codec_create(MAX_BYTES, &codec));
    RUN(every_type_gives_back_what_it_took);
    RUN(levels_are_taken_within_their_range);
    RUN(more_than_the_bound_is_refused);
    RUN(cut_frames_are_corrupt_and_do_no_harm);
    RUN(frames_may_follow_one_another);
    RUN(a_raw_snappy_block_is_read);
    RUN(a_built_batch_reads_back);
    RUN(a_scan_finds_the_keyless_record_and_the_latest_time);
    RUN(a_copy_keeps_offsets_and_a_scan_refuses_the_gap);
    RUN(an_empty_batch_is_built_only_on_purpose);
    RUN(a_builder_refuses_what_cannot_be);
    RUN(a_marker_reads_back);
    RUN(a_message_set_becomes_a_batch);
    RUN(a_compressed_wrapper_is_unwrapped);
    RUN(a_message_set_without_messages_is_refused);
    pl_codec_destroy(codec);
    return check_end();
}
