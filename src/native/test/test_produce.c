/* Produce: what is answered. */
#include <zlib.h>

#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

/* One part, answered at the end of the turn. */
static struct rig_produced produce_bytes(int16_t version, const char *topic, int32_t index,
                                         const uint8_t *bytes, size_t n) {
    struct rig_part part = rig_part_of(topic, index, bytes, n);
    struct rig_produce produce = rig_produce_of(&part, 1);
    produce.version = version;
    return rig_produce_now(&rig, &produce);
}

static void offsets_follow_each_other_in_every_version(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 3, 10);
    int64_t next = 0;
    for (int16_t version = 3; version <= 13; version++) {
        struct rig_produced produced = rig_produce_batch(&rig, version, "topic", &batch);
        CHECK_EQ(produced.error, 0);
        CHECK_EQ(produced.base_offset, next);
        CHECK_EQ(produced.append_time_ms, -1);
        CHECK_EQ(produced.log_start, version >= 5 ? 0 : -1);
        next += 3;
    }
    rig_close(&rig);
}

static void what_a_turn_appends_is_answered_when_it_is_written(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply replies[3] = {0};
    for (int i = 0; i < 3; i++) {
        single.produce.acks = i == 1 ? 1 : -1;
        CHECK_OK(rig_produce(&rig, &replies[i], &single.produce));
        CHECK(!replies[i].completed);
    }
    rig_turn(&rig);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rig_produced(&replies[i]).base_offset, i);
        rig_forget(&replies[i]);
    }
    rig_single_close(&single);
    rig_close(&rig);
}

static void acks_0_is_not_answered_and_an_error_then_ends_the_connection(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.acks = 0;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &single.produce));
    rig_turn(&rig);
    CHECK(reply.completed);
    CHECK_EQ(reply.length, 0);
    single.part.topic = "nowhere";
    struct rig_reply refused = {0};
    CHECK_EQ(rig_produce(&rig, &refused, &single.produce), PL_ERR_CLOSED);
    CHECK(!refused.completed);
    rig_turn(&rig);
    rig_single_close(&single);
    rig_close(&rig);
}

static void each_partition_of_a_request_has_its_own_error(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "good", 0);
    rig_add_partition(&rig, "__consumer_offsets", 0);
    struct rig_batch batch = rig_plain(&rig, 2, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    uint8_t *broken = rig_build(&batch, &n);
    broken[n - 1] ^= 1;
    const struct rig_part parts[] = {
        rig_part_of("nowhere", 0, bytes, n), rig_part_of("good", 1, bytes, n),
        rig_part_of("good", -1, bytes, n),   rig_part_of("__consumer_offsets", 0, bytes, n),
        rig_part_of("good", 0, broken, n),   {"good", 0, NULL, -1},
        rig_part_of("good", 0, bytes, 0),    rig_part_of("good", 0, bytes, n - 1),
        rig_part_of("good", 0, bytes, n),
    };
    const int16_t expected[] = {3, 3, 3, 17, 2, 87, 87, 87, 0};
    enum { COUNT = sizeof expected / sizeof expected[0] };
    struct rig_produce produce = rig_produce_of(parts, COUNT);
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    rig_turn(&rig);
    struct rig_produced produced[COUNT];
    rig_produced_all(&reply, produced, COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(produced[i].error, expected[i]);
        CHECK_EQ(produced[i].base_offset, expected[i] == 0 ? 0 : -1);
        CHECK_EQ(produced[i].index, parts[i].index);
    }
    rig_forget(&reply);
    free(bytes);
    free(broken);
    rig_close(&rig);
}

static void an_admin_may_write_to_an_internal_topic(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "__transaction_state", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "__transaction_state", &batch);
    single.produce.client_id = "__admin_client";
    CHECK_EQ(rig_produce_now(&rig, &single.produce).error, 0);
    rig_single_close(&single);
    rig_close(&rig);
}

static void an_unknown_topic_id_is_told_apart_from_an_unknown_partition(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    CHECK_EQ(produce_bytes(13, "nowhere", 0, bytes, n).error, 100);
    CHECK_EQ(produce_bytes(13, "topic", 7, bytes, n).error, 3);
    CHECK_EQ(produce_bytes(12, "nowhere", 0, bytes, n).error, 3);
    free(bytes);
    rig_close(&rig);
}

static void acks_that_do_not_exist_are_refused(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.acks = 2;
    CHECK_EQ(rig_produce_now(&rig, &single.produce).error, 21);
    rig_single_close(&single);
    rig_close(&rig);
}

static void more_than_one_batch_is_refused_and_broken_bytes_behind_it_are_not(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    uint8_t *two = malloc(2 * n);
    memcpy(two, bytes, n);
    memcpy(two + n, bytes, n);
    CHECK_EQ(produce_bytes(9, "topic", 0, two, 2 * n).error, 87);
    CHECK_EQ(produce_bytes(9, "topic", 0, two, 2 * n - 1).error, 0);
    free(two);
    free(bytes);
    rig_close(&rig);
}

static void zstd_needs_version_7(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    bytes[22] = PL_COMPRESSION_ZSTD; /* the CRC is looked at later */
    CHECK_EQ(produce_bytes(6, "topic", 0, bytes, n).error, 76);
    CHECK_EQ(produce_bytes(7, "topic", 0, bytes, n).error, 2);
    free(bytes);
    rig_close(&rig);
}

static void a_large_batch_and_a_keyless_record_are_refused_by_the_topic(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.compact_policy = true;
    config.max_message_bytes = 900;
    rig_add_with(&rig, "compacted", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 1000);
    CHECK_EQ(rig_produce_batch(&rig, 9, "compacted", &batch).error, 10);
    batch = rig_plain(&rig, 20, 10);
    batch.keyless = true;
    struct rig_produced produced = rig_produce_batch(&rig, 9, "compacted", &batch);
    CHECK_EQ(produced.error, 87);
    CHECK_EQ(produced.record_errors, 20);
    CHECK_EQ(produced.bad_record, 19);
    CHECK(produced.has_message);
    CHECK_EQ(rig_produce_batch(&rig, 7, "compacted", &batch).error, 87);
    rig_close(&rig);
}

static void timestamps_outside_the_bounds_are_refused_and_append_time_replaces_them(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.timestamp_after_max_ms = 1000;
    rig_add_with(&rig, "bounded", 0, &config);
    config.timestamp_type = PL_TIMESTAMP_APPEND;
    rig_add_with(&rig, "appended", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    batch.timestamp_ms += 5000;
    struct rig_produced produced = rig_produce_batch(&rig, 9, "bounded", &batch);
    CHECK_EQ(produced.error, 32);
    CHECK(produced.has_message);
    produced = rig_produce_batch(&rig, 9, "appended", &batch);
    CHECK_EQ(produced.error, 0);
    CHECK_EQ(produced.append_time_ms, rig.wall_ms);
    rig_close(&rig);
}

/* One message of magic 1: null key, value of n bytes. */
static size_t build_message(uint8_t *to, size_t n, int64_t timestamp_ms) {
    struct pl_writer out = pl_writer_open(to, 512);
    pl_write_i64(&out, 0);
    pl_write_i32(&out, (int32_t)(22 + n));
    pl_write_i32(&out, 0); /* the checksum, below */
    pl_write_i8(&out, 1);
    pl_write_i8(&out, 0);
    pl_write_i64(&out, timestamp_ms);
    pl_write_i32(&out, -1);
    pl_write_i32(&out, (int32_t)n);
    memset(pl_writer_take(&out, n), 'v', n);
    pl_put_u32(to + 12, (uint32_t)crc32(0, to + 16, (uInt)(6 + 8 + 4 + n)));
    return out.length;
}

static void message_sets_of_old_clients_become_batches(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    uint8_t set[1024];
    size_t n = build_message(set, 10, rig.wall_ms);
    n += build_message(set + n, 20, rig.wall_ms);
    for (int16_t version = 0; version <= 2; version++) {
        struct rig_produced produced = produce_bytes(version, "topic", 0, set, n);
        CHECK_EQ(produced.error, 0);
        CHECK_EQ(produced.base_offset, version * 2);
    }
    CHECK_EQ(produce_bytes(3, "topic", 0, set, n).error, 87);
    set[n - 1] ^= 1;
    CHECK_EQ(produce_bytes(2, "topic", 0, set, n).error, 2);
    struct rig_want want = {.topic = "topic", .offset = 0, .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].batches, 3);
    CHECK_EQ(fetched.parts[0].next_offset, 6);
    rig_close(&rig);
}

static void a_topic_may_name_the_compression(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.compression = PL_COMPRESSION_LZ4;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 10, 400);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).error, 0);
    struct rig_want want = {.topic = "topic", .offset = 0, .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].next_offset, 10);
    CHECK(fetched.parts[0].bytes < 1000);
    rig_close(&rig);
}

static void bytes_that_are_no_request_are_refused(void) {
    rig_open(&rig, NULL);
    struct rig_reply reply = {0};
    uint8_t body[] = {0, 0, 0, 1, 0xff, 0xff, 0xff, 0x7f};
    CHECK_EQ(rig_send(&rig, &reply, 0, 9, body, sizeof body, NULL), PL_ERR_INVALID);
    CHECK(!reply.completed);
    rig_close(&rig);
}

int main(void) {
    RUN(offsets_follow_each_other_in_every_version);
    RUN(what_a_turn_appends_is_answered_when_it_is_written);
    RUN(acks_0_is_not_answered_and_an_error_then_ends_the_connection);
    RUN(each_partition_of_a_request_has_its_own_error);
    RUN(an_admin_may_write_to_an_internal_topic);
    RUN(an_unknown_topic_id_is_told_apart_from_an_unknown_partition);
    RUN(acks_that_do_not_exist_are_refused);
    RUN(more_than_one_batch_is_refused_and_broken_bytes_behind_it_are_not);
    RUN(zstd_needs_version_7);
    RUN(a_large_batch_and_a_keyless_record_are_refused_by_the_topic);
    RUN(timestamps_outside_the_bounds_are_refused_and_append_time_replaces_them);
    RUN(message_sets_of_old_clients_become_batches);
    RUN(a_topic_may_name_the_compression);
    RUN(bytes_that_are_no_request_are_refused);
    return check_end();
}
