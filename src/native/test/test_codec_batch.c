/* Check, patch and walk of record batches. */
#include "pylog/codec.h"

#include "check.h"

struct fixture {
    uint8_t bytes[PL_BATCH_HEADER_BYTES + 64];
    size_t size;
};

static void seal(struct fixture *f) {
    pl_put_u32(f->bytes + 17, pl_crc32c(0, f->bytes + 21, f->size - 21));
}

/* Two records, 9 and 7 bytes: (key "k", value "v") and (null, null), offsets 0 and 1. */
static struct fixture two_records(void) {
    static const uint8_t records[] = {
        16, 0, 0, 0, 2, 'k', 2, 'v', 0, /* length 8 */
        12, 0, 6, 2, 1, 1, 0,           /* length 6, 3 ms later */
    };
    struct fixture f = {.size = PL_BATCH_HEADER_BYTES + sizeof records};
    pl_put_i32(f.bytes + 8, (int32_t)f.size - PL_BATCH_PREFIX_BYTES);
    pl_put_i32(f.bytes + 12, -1);
    f.bytes[16] = 2;
    pl_put_i32(f.bytes + 23, 1);
    pl_put_i64(f.bytes + 27, 1000);
    pl_put_i64(f.bytes + 35, 1003);
    pl_put_i64(f.bytes + 43, -1);
    pl_put_i16(f.bytes + 51, -1);
    pl_put_i32(f.bytes + 53, -1);
    pl_put_i32(f.bytes + 57, 2);
    memcpy(f.bytes + PL_BATCH_HEADER_BYTES, records, sizeof records);
    seal(&f);
    return f;
}

static enum pl_err check_client(const struct fixture *f) {
    struct pl_batch_header header;
    return pl_batch_check(f->bytes, f->size, PL_BATCH_FROM_CLIENT, &header, NULL);
}

static enum pl_err check_stored(const struct fixture *f) {
    struct pl_batch_header header;
    return pl_batch_check(f->bytes, f->size, PL_BATCH_FROM_LOG, &header, NULL);
}

static void crc_of_the_check_string(void) {
    CHECK_EQ(pl_crc32c(0, "123456789", 9), 0xe3069283);
    CHECK_EQ(pl_crc32c(pl_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    CHECK_EQ(pl_crc32c(0, NULL, 0), 0);
}

static void murmur2_gives_the_partitions_of_the_java_client(void) {
    /* values of Kafka's own UtilsTest */
    CHECK_EQ((int32_t)pl_murmur2("21", 2), -973932308);
    CHECK_EQ((int32_t)pl_murmur2("foobar", 6), -790332482);
    CHECK_EQ((int32_t)pl_murmur2("a-little-bit-long-string", 24), -985981536);
    CHECK_EQ((int32_t)pl_murmur2("a-little-bit-longer-string", 26), -1486304829);
    CHECK_EQ((int32_t)pl_murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 48),
             -58897971);
    CHECK_EQ((int32_t)pl_murmur2("abc", 3), 479470107);
}

static void a_good_batch_passes_and_its_header_is_read(void) {
    struct fixture f = two_records();
    struct pl_batch_header h;
    CHECK_OK(pl_batch_check(f.bytes, f.size, PL_BATCH_FROM_CLIENT, &h, NULL));
    CHECK_EQ(pl_batch_size(&h), f.size);
    CHECK_EQ(h.magic, 2);
    CHECK_EQ(h.partition_leader_epoch, -1);
    CHECK_EQ(h.last_offset_delta, 1);
    CHECK_EQ(h.base_timestamp, 1000);
    CHECK_EQ(h.max_timestamp, 1003);
    CHECK_EQ(h.producer_id, -1);
    CHECK_EQ(h.records_count, 2);
    CHECK_OK(check_stored(&f));
}

static void every_flipped_bit_under_the_checksum_is_found(void) {
    struct fixture f = two_records();
    for (size_t bit = 17 * 8; bit < f.size * 8; bit++) {
        f.bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        CHECK_EQ(check_client(&f), PL_ERR_CORRUPT);
        f.bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    CHECK_OK(check_client(&f));
}

static void a_batch_cut_anywhere_is_corrupt(void) {
    struct fixture f = two_records();
    struct pl_batch_header h;
    for (size_t n = 0; n < f.size; n++) {
        const char *reason = NULL;
        CHECK_EQ(pl_batch_check(f.bytes, n, PL_BATCH_FROM_CLIENT, &h, &reason), PL_ERR_CORRUPT);
        CHECK(reason != NULL);
    }
}

static void old_formats_are_told_apart(void) {
    struct fixture f = two_records();
    f.bytes[16] = 1;
    CHECK_EQ(check_client(&f), PL_ERR_UNSUPPORTED);
    f.bytes[16] = 0;
    CHECK_EQ(check_client(&f), PL_ERR_UNSUPPORTED);
    f.bytes[16] = 3;
    CHECK_EQ(check_client(&f), PL_ERR_CORRUPT);
}

static void counts_must_agree_for_clients(void) {
    struct fixture f = two_records();
    pl_put_i32(f.bytes + 57, 1);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
    CHECK_OK(check_stored(&f)); /* compaction took one away */
    pl_put_i32(f.bytes + 57, 3);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
    CHECK_EQ(check_stored(&f), PL_ERR_CORRUPT);
    pl_put_i32(f.bytes + 57, 0);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
    CHECK_OK(check_stored(&f));
    pl_put_i32(f.bytes + 57, 1000);
    pl_put_i32(f.bytes + 23, 999);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
}

static void attributes_must_make_sense(void) {
    static const struct {
        int16_t attributes;
        enum pl_err client, stored;
    } cases[] = {
        {4, PL_OK, PL_OK}, /* zstd */
        {5, PL_ERR_INVALID, PL_ERR_CORRUPT},
        {PL_BATCH_APPEND_TIME, PL_OK, PL_OK},
        {PL_BATCH_CONTROL, PL_ERR_INVALID, PL_OK},
        {PL_BATCH_DELETE_HORIZON, PL_ERR_INVALID, PL_OK},
        {PL_BATCH_TRANSACTIONAL, PL_ERR_INVALID, PL_OK}, /* no producer id */
        {0x80, PL_ERR_INVALID, PL_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = two_records();
        pl_put_i16(f.bytes + 21, cases[i].attributes);
        seal(&f);
        CHECK_EQ(check_client(&f), cases[i].client);
        CHECK_EQ(check_stored(&f), cases[i].stored);
    }
}

static void an_idempotent_batch_needs_epoch_and_sequence(void) {
    struct fixture f = two_records();
    pl_put_i64(f.bytes + 43, 7);
    pl_put_i16(f.bytes + 51, 0);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
    pl_put_i16(f.bytes + 51, -1);
    pl_put_i32(f.bytes + 53, INT32_MAX);
    seal(&f);
    CHECK_EQ(check_client(&f), PL_ERR_INVALID);
    pl_put_i16(f.bytes + 51, 0);
    seal(&f);
    struct pl_batch_header h;
    CHECK_OK(pl_batch_check(f.bytes, f.size, PL_BATCH_FROM_CLIENT, &h, NULL));
    CHECK_EQ(pl_batch_last_sequence(&h), 0);
}

static void patches_leave_a_good_batch(void) {
    struct fixture f = two_records();
    pl_batch_set_base_offset(f.bytes, 123456789012);
    pl_batch_set_leader_epoch(f.bytes, 9);
    struct pl_batch_header h;
    CHECK_OK(pl_batch_check(f.bytes, f.size, PL_BATCH_FROM_LOG, &h, NULL));
    CHECK_EQ(h.base_offset, 123456789012);
    CHECK_EQ(pl_batch_last_offset(&h), 123456789013);
    CHECK_EQ(h.partition_leader_epoch, 9);
    pl_batch_set_append_time(f.bytes, 5000);
    CHECK_OK(pl_batch_check(f.bytes, f.size, PL_BATCH_FROM_LOG, &h, NULL));
    CHECK(pl_batch_is(&h, PL_BATCH_APPEND_TIME));
    CHECK_EQ(h.max_timestamp, 5000);
    CHECK_EQ(h.base_timestamp, 1000);
    pl_batch_set_max_timestamp(f.bytes, 6000);
    CHECK_OK(pl_batch_check(f.bytes, f.size, PL_BATCH_FROM_LOG, &h, NULL));
    CHECK_EQ(h.max_timestamp, 6000);
}

static void a_walk_gives_whole_batches_and_says_how_it_ended(void) {
    struct fixture f = two_records();
    uint8_t bytes[3 * sizeof f.bytes];
    memcpy(bytes, f.bytes, f.size);
    memcpy(bytes + f.size, f.bytes, f.size);
    for (size_t n = 0; n <= 2 * f.size; n++) {
        struct pl_batch_reader reader = pl_batch_reader_open(bytes, n);
        struct pl_batch batch;
        size_t count = 0;
        while (pl_batch_reader_next(&reader, &batch)) {
            CHECK_EQ(batch.position, count * f.size);
            CHECK_EQ(batch.size, f.size);
            count++;
        }
        CHECK_EQ(count, n / f.size);
        CHECK_EQ(reader.position, count * f.size);
        CHECK_EQ(reader.err, n % f.size == 0 ? PL_OK : PL_ERR_AGAIN);
    }
    bytes[f.size + 16] = 7;
    struct pl_batch_reader reader = pl_batch_reader_open(bytes, 2 * f.size);
    struct pl_batch batch;
    CHECK(pl_batch_reader_next(&reader, &batch));
    CHECK(!pl_batch_reader_next(&reader, &batch));
    CHECK_EQ(reader.err, PL_ERR_CORRUPT);
}

static void a_walk_over_records_gives_their_fields(void) {
    struct fixture f = two_records();
    struct pl_record_reader reader = pl_record_reader_open(
        f.bytes + PL_BATCH_HEADER_BYTES, f.size - PL_BATCH_HEADER_BYTES, 2);
    struct pl_record r;
    CHECK(pl_record_reader_next(&reader, &r));
    CHECK_EQ(r.key.length, 1);
    CHECK_EQ(r.key.data[0], 'k');
    CHECK_EQ(r.value.data[0], 'v');
    CHECK_EQ(r.header_count, 0);
    CHECK(pl_record_reader_next(&reader, &r));
    CHECK_EQ(r.offset_delta, 1);
    CHECK_EQ(r.timestamp_delta, 3);
    CHECK_EQ(r.key.length, -1);
    CHECK_EQ(r.value.length, -1);
    CHECK(!pl_record_reader_next(&reader, &r));
    CHECK_EQ(reader.cursor.err, PL_OK);
}

static size_t walk_records(const uint8_t *bytes, size_t n, int32_t count, enum pl_err *err) {
    struct pl_record_reader reader = pl_record_reader_open(bytes, n, count);
    struct pl_record record;
    size_t found = 0;
    while (pl_record_reader_next(&reader, &record)) {
        found++;
    }
    *err = reader.cursor.err;
    return found;
}

static void records_missing_or_left_over_are_malformed(void) {
    struct fixture f = two_records();
    const uint8_t *records = f.bytes + PL_BATCH_HEADER_BYTES;
    size_t n = f.size - PL_BATCH_HEADER_BYTES;
    enum pl_err err;
    CHECK_EQ(walk_records(records, n, 3, &err), 2);
    CHECK_EQ(err, PL_ERR_CORRUPT);
    CHECK_EQ(walk_records(records, n, 1, &err), 1);
    CHECK_EQ(err, PL_ERR_CORRUPT);
    for (size_t cut = 0; cut < n; cut++) {
        (void)walk_records(records, cut, 2, &err);
        CHECK_EQ(err, PL_ERR_CORRUPT);
    }
}

static void headers_are_read_in_order(void) {
    static const uint8_t bytes[] = {28, 0, 0, 0, 1, 1, 4, 2, 'a', 2, 'x', 2, 'b', 1, 0};
    struct pl_record_reader reader = pl_record_reader_open(bytes, sizeof bytes, 1);
    struct pl_record record;
    CHECK(!pl_record_reader_next(&reader, &record)); /* a byte left inside the record */
    uint8_t right[sizeof bytes - 1];
    memcpy(right, bytes, sizeof right);
    right[0] = 26;
    reader = pl_record_reader_open(right, sizeof right, 1);
    CHECK(pl_record_reader_next(&reader, &record));
    CHECK_EQ(record.header_count, 2);
    struct pl_header_reader headers = pl_header_reader_open(&record);
    struct pl_span key, value;
    CHECK(pl_header_reader_next(&headers, &key, &value));
    CHECK_EQ(key.data[0], 'a');
    CHECK_EQ(value.data[0], 'x');
    CHECK(pl_header_reader_next(&headers, &key, &value));
    CHECK_EQ(key.data[0], 'b');
    CHECK_EQ(value.length, -1);
    CHECK(!pl_header_reader_next(&headers, &key, &value));
}

int main(void) {
    RUN(crc_of_the_check_string);
    RUN(murmur2_gives_the_partitions_of_the_java_client);
    RUN(a_good_batch_passes_and_its_header_is_read);
    RUN(every_flipped_bit_under_the_checksum_is_found);
    RUN(a_batch_cut_anywhere_is_corrupt);
    RUN(old_formats_are_told_apart);
    RUN(counts_must_agree_for_clients);
    RUN(attributes_must_make_sense);
    RUN(an_idempotent_batch_needs_epoch_and_sequence);
    RUN(patches_leave_a_good_batch);
    RUN(a_walk_gives_whole_batches_and_says_how_it_ended);
    RUN(a_walk_over_records_gives_their_fields);
    RUN(records_missing_or_left_over_are_malformed);
    RUN(headers_are_read_in_order);
    return check_end();
}
