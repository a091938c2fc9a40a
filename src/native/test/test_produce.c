/* Produce: what is answered, and when. */
#include <zlib.h>

#include "broker_rig.h"

static struct rig rig;

static struct rig_part part_of(const char *topic, int32_t index, const uint8_t *bytes, size_t n) {
    return (struct rig_part){topic, index, bytes, (int32_t)n};
}

static struct rig_produce request_of(const struct rig_part *parts, int32_t count) {
    return (struct rig_produce){
        .version = 9, .acks = -1, .timeout_ms = 1000, .parts = parts, .count = count};
}

/* One part, answered at the end of the turn. */
static struct rig_produced produce_bytes(int16_t version, const char *topic, int32_t index,
                                         const uint8_t *bytes, size_t n) {
    struct rig_part part = part_of(topic, index, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    produce.version = version;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    rig_turn(&rig);
    struct rig_produced produced = rig_produced(&reply);
    rig_forget(&reply);
    return produced;
}

static struct rig_produced produce_one(int16_t version, const char *topic,
                                       const struct rig_batch *batch) {
    size_t n;
    uint8_t *bytes = rig_build(batch, &n);
    struct rig_produced produced = produce_bytes(version, topic, 0, bytes, n);
    free(bytes);
    return produced;
}

static void offsets_follow_each_other_in_every_version(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 3, 10);
    int64_t next = 0;
    for (int16_t version = 3; version <= 13; version++) {
        struct rig_produced produced = produce_one(version, "topic", &batch);
        CHECK_EQ(produced.error, 0);
        CHECK_EQ(produced.base_offset, next);
        CHECK_EQ(produced.append_time_ms, -1);
        CHECK_EQ(produced.log_start, version >= 5 ? 0 : -1);
        next += 3;
    }
    rig_close(&rig);
}

static void what_a_turn_appends_is_answered_when_it_is_written(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    uint8_t frames[3][512];
    struct rig_reply replies[3] = {0};
    for (int i = 0; i < 3; i++) {
        produce.acks = i == 1 ? 1 : -1;
        CHECK_OK(rig_produce_from(&rig, &replies[i], frames[i], sizeof frames[i], &produce));
        CHECK(!replies[i].completed);
    }
    rig_turn(&rig);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rig_produced(&replies[i]).base_offset, i);
        rig_forget(&replies[i]);
    }
    free(bytes);
    rig_close(&rig);
}

static void with_fsync_the_answer_waits_for_the_flush(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    struct rig_reply all = {0}, leader = {0};
    uint8_t frame[512];
    CHECK_OK(rig_produce(&rig, &all, &produce));
    produce.acks = 1;
    CHECK_OK(rig_produce_from(&rig, &leader, frame, sizeof frame, &produce));
    pl_broker_before_sleep(rig.broker); /* the flush may have ended, but nobody has been told */
    CHECK(!all.completed && !leader.completed);
    struct pl_partition_offsets offsets;
    CHECK_OK(pl_broker_partition_offsets(rig.broker, handle, &offsets));
    CHECK_EQ(offsets.log_end, 2);
    CHECK_EQ(offsets.high_watermark, 0);
    rig_until(&rig, &leader.completed);
    CHECK(all.completed);
    CHECK_OK(pl_broker_partition_offsets(rig.broker, handle, &offsets));
    CHECK_EQ(offsets.flushed_end, 2);
    CHECK_EQ(offsets.high_watermark, 2);
    CHECK_EQ(rig_produced(&all).error, 0);
    rig_forget(&all);
    rig_forget(&leader);
    free(bytes);
    rig_close(&rig);
}

static void acks_0_is_not_answered_and_an_error_then_ends_the_connection(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    produce.acks = 0;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    CHECK(reply.completed);
    CHECK_EQ(reply.length, 0);
    rig_turn(&rig);
    part.topic = "nowhere";
    struct rig_reply refused = {0};
    CHECK_EQ(rig_produce(&rig, &refused, &produce), PL_ERR_CLOSED);
    CHECK(!refused.completed);
    rig_turn(&rig);
    free(bytes);
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
        part_of("nowhere", 0, bytes, n), part_of("good", 1, bytes, n),
        part_of("good", -1, bytes, n),   part_of("__consumer_offsets", 0, bytes, n),
        part_of("good", 0, broken, n),   {"good", 0, NULL, -1},
        part_of("good", 0, bytes, 0),    part_of("good", 0, bytes, n - 1),
        part_of("good", 0, bytes, n),
    };
    const int16_t expected[] = {3, 3, 3, 17, 2, 87, 87, 87, 0};
    enum { COUNT = sizeof expected / sizeof expected[0] };
    struct rig_produce produce = request_of(parts, COUNT);
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
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("__transaction_state", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    produce.client_id = "__admin_client";
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    rig_turn(&rig);
    CHECK_EQ(rig_produced(&reply).error, 0);
    rig_forget(&reply);
    free(bytes);
    rig_close(&rig);
}

static void an_unknown_topic_id_is_told_apart_from_an_unknown_partition(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
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
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    produce.acks = 2;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    CHECK_EQ(rig_produced(&reply).error, 21);
    rig_forget(&reply);
    free(bytes);
    rig_close(&rig);
}

static void more_than_one_batch_is_refused_and_broken_bytes_behind_it_are_not(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
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
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
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
    config.max_message_bytes = 500;
    rig_add_with(&rig, "compacted", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 1000);
    CHECK_EQ(produce_one(9, "compacted", &batch).error, 10);
    batch = rig_plain(&rig, 2, 10);
    batch.keyless = true;
    struct rig_produced produced = produce_one(9, "compacted", &batch);
    CHECK_EQ(produced.error, 87);
    CHECK_EQ(produced.record_errors, 1);
    CHECK_EQ(produced.bad_record, 0);
    CHECK(produced.has_message);
    CHECK_EQ(produce_one(7, "compacted", &batch).error, 87);
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
    struct rig_produced produced = produce_one(9, "bounded", &batch);
    CHECK_EQ(produced.error, 32);
    CHECK(produced.has_message);
    produced = produce_one(9, "appended", &batch);
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
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
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
    CHECK_EQ(produce_one(9, "topic", &batch).error, 0);
    struct rig_want want = {.topic = "topic", .offset = 0, .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].next_offset, 10);
    CHECK(fetched.parts[0].bytes < 1000);
    rig_close(&rig);
}

static void a_repeated_batch_is_acknowledged_with_its_first_offset(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 2, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    CHECK_EQ(produce_one(9, "topic", &batch).base_offset, 0);
    batch.sequence = 2;
    CHECK_EQ(produce_one(9, "topic", &batch).base_offset, 2);
    batch.sequence = 0;
    struct rig_produced produced = produce_one(9, "topic", &batch);
    CHECK_EQ(produced.error, 0);
    CHECK_EQ(produced.base_offset, 0);
    batch.sequence = 7;
    CHECK_EQ(produce_one(9, "topic", &batch).error, 45);
    batch.producer_epoch = 0;
    batch.sequence = 4;
    CHECK_EQ(produce_one(9, "topic", &batch).error, 47);
    rig_close(&rig);
}

static void a_repeated_batch_waits_like_the_one_it_repeats(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 2, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    struct rig_reply first = {0}, again = {0};
    CHECK_OK(rig_produce(&rig, &first, &produce));
    pl_broker_before_sleep(rig.broker);
    CHECK_OK(rig_produce(&rig, &again, &produce));
    pl_broker_before_sleep(rig.broker);
    CHECK(!first.completed && !again.completed);
    rig_until(&rig, &first.completed);
    CHECK_EQ(rig_produced(&again).error, 0);
    CHECK_EQ(rig_produced(&again).base_offset, 0);
    rig_forget(&first);
    rig_forget(&again);
    free(bytes);
    rig_close(&rig);
}

static void a_repeated_batch_does_not_wait_for_younger_ones(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    uint8_t *bytes[2];
    size_t n;
    struct rig_reply replies[3] = {0};
    uint8_t frames[3][512];
    for (int i = 0; i < 3; i++) {
        batch.sequence = i % 2;
        uint8_t **own = &bytes[i % 2];
        *own = i < 2 ? rig_build(&batch, &n) : *own;
        struct rig_part part = part_of("topic", 0, *own, n);
        struct rig_produce produce = request_of(&part, 1);
        CHECK_OK(rig_produce_from(&rig, &replies[i], frames[i], sizeof frames[i], &produce));
        if (i == 0) {
            pl_broker_before_sleep(rig.broker); /* begins a flush of the first batch alone */
        }
    }
    rig_wait_for_mail(&rig);
    rig_turn(&rig);
    CHECK(replies[0].completed && replies[2].completed && !replies[1].completed);
    rig_until(&rig, &replies[1].completed);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rig_produced(&replies[i]).base_offset, i % 2);
        rig_forget(&replies[i]);
    }
    free(bytes[0]);
    free(bytes[1]);
    rig_close(&rig);
}

static void a_repeated_batch_that_is_durable_is_acknowledged_in_its_turn(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    CHECK_EQ(produce_one(9, "topic", &batch).base_offset, 0);
    rig_close(&rig);
}

static void transactional_batches_need_a_transactional_id(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    batch.transactional = true;
    CHECK_EQ(produce_one(9, "topic", &batch).error, 53);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    rig_close(&rig);
}

static struct rig_produced produce_as(struct rig_produce *produce, const struct rig_batch *batch,
                                      int32_t *unverified) {
    size_t n;
    uint8_t *bytes = rig_build(batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    produce->parts = &part;
    *unverified = rig_ask(&rig, produce);
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, produce));
    rig_turn(&rig);
    struct rig_produced produced = rig_produced(&reply);
    rig_forget(&reply);
    free(bytes);
    return produced;
}

static void a_transaction_begins_when_its_coordinator_has_agreed(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    batch.transactional = true;
    struct rig_produce produce = request_of(NULL, 1);
    produce.transactional_id = "txn";
    int32_t unverified = 0;

    CHECK_EQ(produce_as(&produce, &batch, &unverified).error, 48); /* nobody was asked */
    CHECK_EQ(unverified, 1);
    CHECK_EQ(rig.verified[0].partition, handle);
    CHECK_EQ(rig.verified[0].producer_id, 9);
    CHECK_EQ(rig.verified[0].producer_epoch, 1);

    rig.verified_count = 1;
    rig.verified[0].error = 67; /* transaction coordinator fenced, say */
    const struct pl_verification refused = rig.verified[0];
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    produce.parts = &part;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &produce));
    rig_turn(&rig);
    CHECK_EQ(rig_produced(&reply).error, refused.error);
    rig_forget(&reply);
    free(bytes);

    CHECK_EQ(produce_as(&produce, &batch, &unverified).error, 0);
    rig.verified_count = 0;
    batch.sequence = 1;
    CHECK_EQ(produce_as(&produce, &batch, &unverified).error, 0);
    CHECK_EQ(unverified, 0); /* it is open */
    batch.producer_epoch = 2;
    batch.sequence = 0;
    CHECK_EQ(produce_as(&produce, &batch, &unverified).error, 48);
    CHECK_EQ(unverified, 1); /* under another epoch it is not */
    rig_close(&rig);
}

static void a_request_without_a_transaction_is_not_asked_about(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    for (int16_t version = 3; version <= 13; version++) {
        produce.version = version;
        produce.transactional_id = NULL;
        CHECK_EQ(rig_ask(&rig, &produce), 0);
        produce.transactional_id = "txn";
        CHECK_EQ(rig_ask(&rig, &produce), 0);
    }
    free(bytes);
    rig_close(&rig);
}

static void only_acks_all_times_out_and_keeps_what_was_appended(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    produce.timeout_ms = 50;
    struct rig_reply all = {0}, leader = {0};
    uint8_t frame[512];
    CHECK_OK(rig_produce(&rig, &all, &produce));
    produce.acks = 1;
    CHECK_OK(rig_produce_from(&rig, &leader, frame, sizeof frame, &produce));
    pl_broker_before_sleep(rig.broker);
    pl_timer_wheel_advance(&rig.timers, rig.monotonic_ms + 40);
    CHECK(!all.completed);
    pl_timer_wheel_advance(&rig.timers, rig.monotonic_ms + 52);
    CHECK_EQ(rig_produced(&all).error, 7);
    CHECK(!leader.completed);
    rig_until(&rig, &leader.completed);
    CHECK_EQ(rig_produced(&leader).error, 0);
    struct pl_partition_offsets offsets;
    CHECK_OK(pl_broker_partition_offsets(rig.broker, handle, &offsets));
    CHECK_EQ(offsets.high_watermark, 2);
    rig_forget(&all);
    rig_forget(&leader);
    free(bytes);
    rig_close(&rig);
}

static void a_connection_that_goes_away_takes_its_answer_along(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    const struct rig_part parts[] = {part_of("topic", 0, bytes, n), part_of("topic", 0, bytes, n)};
    struct rig_produce produce = request_of(parts, 2);
    struct rig_reply gone = {0}, stays = {0};
    uint8_t frame[512];
    CHECK_OK(rig_produce(&rig, &gone, &produce));
    CHECK_OK(rig_produce_from(&rig, &stays, frame, sizeof frame, &produce));
    rig_cancel(&gone); /* in the turn of its request, before the write */
    rig_until(&rig, &stays.completed);
    struct rig_produced produced[2];
    rig_produced_all(&stays, produced, 2);
    CHECK_EQ(produced[1].base_offset, 3);
    CHECK(!gone.completed);
    rig_forget(&stays);
    free(bytes);
    rig_close(&rig);
}

static void a_full_disk_fails_what_was_staged_and_nothing_else(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(produce_one(9, "topic", &batch).base_offset, 0);
    atomic_store(&rig.disk_is_full, true);
    struct rig_produced produced = produce_one(9, "topic", &batch);
    CHECK_EQ(produced.error, 56);
    CHECK_EQ(produced.base_offset, -1);
    atomic_store(&rig.disk_is_full, false);
    CHECK_EQ(produce_one(9, "topic", &batch).base_offset, 1);
    CHECK_EQ(rig.offline, 0);
    struct pl_engine_counters counters = {0};
    pl_broker_read_counters(rig.broker, &counters);
    CHECK_EQ(counters.write_errors, 1);
    rig_close(&rig);
}

static void a_full_disk_leaves_those_alone_who_wait_for_their_flush(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0); /* the files are made */
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = part_of("topic", 0, bytes, n);
    struct rig_produce produce = request_of(&part, 1);
    struct rig_reply written = {0}, refused = {0};
    CHECK_OK(rig_produce(&rig, &written, &produce));
    pl_broker_before_sleep(rig.broker);
    atomic_store(&rig.disk_is_full, true);
    CHECK_OK(rig_produce(&rig, &refused, &produce));
    pl_broker_before_sleep(rig.broker);
    CHECK_EQ(rig_produced(&refused).error, 56);
    CHECK(!written.completed);
    rig_until(&rig, &written.completed);
    CHECK_EQ(rig_produced(&written).error, 0);
    rig_forget(&written);
    rig_forget(&refused);
    free(bytes);
    rig_close(&rig);
}

static void a_failed_flush_takes_the_log_offline_and_is_told_once(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    atomic_store(&rig.flush_fails, true);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    atomic_store(&rig.flush_fails, false);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    CHECK_EQ(rig.offline, 1);
    struct pl_partition_offsets offsets;
    CHECK_OK(pl_broker_partition_offsets(rig.broker, handle, &offsets));
    CHECK(offsets.offline);
    CHECK_EQ(offsets.high_watermark, 1);
    rig_close(&rig);
}

static void closing_a_partition_answers_who_waits_for_it(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    for (int deleted = 0; deleted < 2; deleted++) {
        uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
        struct rig_batch batch = rig_plain(&rig, 1, 10);
        size_t n;
        uint8_t *bytes = rig_build(&batch, &n);
        struct rig_part part = part_of("topic", 0, bytes, n);
        struct rig_produce produce = request_of(&part, 1);
        struct rig_reply reply = {0};
        CHECK_OK(rig_produce(&rig, &reply, &produce));
        CHECK_EQ(rig_remove(&rig, handle, deleted == 1), 0);
        CHECK_EQ(rig_produced(&reply).error, deleted == 1 ? 3 : 6);
        rig_forget(&reply);
        CHECK_EQ(produce_bytes(9, "topic", 0, bytes, n).error, 3);
        free(bytes);
    }
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
    RUN(with_fsync_the_answer_waits_for_the_flush);
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
    RUN(a_repeated_batch_is_acknowledged_with_its_first_offset);
    RUN(a_repeated_batch_waits_like_the_one_it_repeats);
    RUN(a_repeated_batch_does_not_wait_for_younger_ones);
    RUN(a_repeated_batch_that_is_durable_is_acknowledged_in_its_turn);
    RUN(transactional_batches_need_a_transactional_id);
    RUN(a_transaction_begins_when_its_coordinator_has_agreed);
    RUN(a_request_without_a_transaction_is_not_asked_about);
    RUN(only_acks_all_times_out_and_keeps_what_was_appended);
    RUN(a_connection_that_goes_away_takes_its_answer_along);
    RUN(a_full_disk_fails_what_was_staged_and_nothing_else);
    RUN(a_full_disk_leaves_those_alone_who_wait_for_their_flush);
    RUN(a_failed_flush_takes_the_log_offline_and_is_told_once);
    RUN(closing_a_partition_answers_who_waits_for_it);
    RUN(bytes_that_are_no_request_are_refused);
    return check_end();
}
