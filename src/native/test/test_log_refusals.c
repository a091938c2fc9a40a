/* What a log does not take from a client, what it makes of the rest, and errors of the disk. */
#include "test/log_kit.h"
#include "test/sim_fs.h"

static struct kit *opened(void (*configure)(struct pl_log_config *config)) {
    struct kit *kit = kit_begin();
    configure(&kit->config);
    kit_open(kit, false);
    return kit;
}

static void nothing_special(struct pl_log_config *config) {
    (void)config;
}

static void small(struct pl_log_config *config) {
    config->max_message_bytes = 500;
}

static void compacted(struct pl_log_config *config) {
    config->compact_policy = true;
}

static void bounded(struct pl_log_config *config) {
    config->timestamp_before_max_ms = 1000;
    config->timestamp_after_max_ms = 100;
}

static void strict(struct pl_log_config *config) {
    compacted(config);
    bounded(config);
}

static void append_time(struct pl_log_config *config) {
    config->timestamp_type = PL_TIMESTAMP_APPEND;
}

static void zstd(struct pl_log_config *config) {
    config->compression = PL_COMPRESSION_ZSTD;
}

static void check_refused(struct kit *kit, struct kit_batch batch, enum pl_err err) {
    struct pl_appended appended;
    CHECK_EQ(kit_stage(kit, batch, &appended), err);
    CHECK_EQ(kit_offsets(kit).log_end, 0);
}

static void damaged_batches_are_refused(void) {
    struct kit *kit = opened(nothing_special);
    struct pl_append append = kit_client(kit);
    struct pl_appended appended;
    size_t n;
    for (size_t at = 0; at < 100; at++) {
        uint8_t *bytes = kit_build(kit, (struct kit_batch){.records = 3}, &n);
        bytes[at] ^= 0x10;
        if (at >= 8) { /* the first eight are the offset, which must be 0 */
            CHECK(pl_log_append(kit->log, &append, bytes, n, &appended) != PL_OK ||
                  (at >= 12 && at < 16)); /* the leader epoch is the broker's */
        }
    }
    uint8_t *bytes = kit_build(kit, (struct kit_batch){.records = 3}, &n);
    CHECK_EQ(pl_log_append(kit->log, &append, bytes, n - 1, &appended), PL_ERR_CORRUPT);
    CHECK_EQ(pl_log_append(kit->log, &append, bytes, 0, &appended), PL_ERR_INVALID);
    kit_end(kit);
}

static void batches_above_the_maximum_are_refused(void) {
    struct kit *kit = opened(small);
    check_refused(kit, (struct kit_batch){.value_bytes = 500}, PL_ERR_TOO_LARGE);
    CHECK_EQ(kit_append(kit, (struct kit_batch){.value_bytes = 400}), 0);
    kit_end(kit);
}

static void a_compacted_topic_takes_no_record_without_a_key(void) {
    struct kit *kit = opened(compacted);
    for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
        struct pl_appended appended;
        struct kit_batch batch = {.records = 2, .compression = (enum pl_compression)type};
        CHECK_EQ(kit_stage(kit, batch, &appended), PL_ERR_RECORD);
        batch.key = "k";
        kit_append(kit, batch);
    }
    kit_end(kit);
}

static void times_out_of_bounds_are_refused(void) {
    struct kit *kit = opened(bounded);
    for (int type = 0; type < PL_COMPRESSION_COUNT; type++) {
        enum pl_compression compression = (enum pl_compression)type;
        check_refused(
            kit, (struct kit_batch){.timestamp_ms = KIT_START_MS + 101, .compression = compression},
            PL_ERR_TIMESTAMP);
        check_refused(
            kit,
            (struct kit_batch){.timestamp_ms = KIT_START_MS - 1001, .compression = compression},
            PL_ERR_TIMESTAMP);
    }
    kit_append(kit, (struct kit_batch){.timestamp_ms = KIT_START_MS + 100});
    kit_append(kit, (struct kit_batch){.timestamp_ms = KIT_START_MS - 1000});
    kit_append(kit, (struct kit_batch){.timestamp_ms = -1});
    kit_end(kit);
}

struct blamed { /* a record of the batch at hand: a key, or none; ms after the log's now */
    const char *key;
    int64_t late_ms;
};

static enum pl_err stage_each(struct kit *kit, const struct blamed *records, int count,
                              struct pl_bad_records *bad) {
    const struct pl_batch_options options = pl_batch_options_default();
    pl_batch_builder_reset(kit->builder, &options);
    for (int i = 0; i < count; i++) {
        CHECK_OK(pl_batch_builder_append(kit->builder, kit->now.wall_ms + records[i].late_ms,
                                         kit_text(records[i].key), kit_text("v"), NULL, 0));
    }
    const uint8_t *built;
    size_t n;
    CHECK_OK(pl_batch_builder_build(kit->builder, kit->codec, &built, &n));
    uint8_t bytes[512];
    CHECK(n <= sizeof bytes);
    memcpy(bytes, built, n);
    struct pl_append append = kit_client(kit);
    append.bad = bad;
    struct pl_appended appended;
    return pl_log_append(kit->log, &append, bytes, n, &appended);
}

static void every_record_that_is_to_blame_is_named(void) {
    struct kit *kit = opened(strict);
    const struct blamed records[] = {{"a", 0}, {NULL, 0}, {"b", 101}, {NULL, 101}, {"c", 100}};
    struct pl_bad_records bad = {0};
    CHECK_EQ(stage_each(kit, records, 5, &bad), PL_ERR_TIMESTAMP);
    CHECK_EQ(bad.count, 3);
    CHECK_EQ(bad.indexes[0], 1);
    CHECK_EQ(bad.indexes[1], 2);
    CHECK_EQ(bad.indexes[2], 3);
    bad.count = 0;
    CHECK_EQ(stage_each(kit, records, 2, &bad), PL_ERR_RECORD);
    CHECK_EQ(bad.count, 1);
    CHECK_EQ(bad.indexes[0], 1);
    CHECK_EQ(stage_each(kit, records, 2, NULL), PL_ERR_RECORD);
    pl_bad_records_free(&bad);
    kit_end(kit);
}

static struct pl_batch_header stored_header(struct kit *kit, int64_t offset, uint8_t *bytes,
                                            size_t room) {
    struct pl_slice slice;
    CHECK_OK(pl_log_locate(kit->log, offset, INT64_MAX, 1, true, &slice));
    CHECK(slice.length <= room);
    CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
    pl_segment_release(slice.segment);
    struct pl_batch_header header;
    CHECK_OK(pl_batch_check(bytes, slice.length, PL_BATCH_FROM_LOG, &header, NULL));
    return header;
}

static void with_log_append_time_the_broker_sets_the_time(void) {
    struct kit *kit = opened(append_time);
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, (struct kit_batch){.timestamp_ms = 5}, &appended));
    CHECK_EQ(appended.append_time_ms, KIT_START_MS);
    CHECK_OK(pl_log_write(kit->log));
    uint8_t bytes[1000];
    struct pl_batch_header header = stored_header(kit, 0, bytes, sizeof bytes);
    CHECK_EQ(header.max_timestamp, KIT_START_MS);
    CHECK(pl_batch_is(&header, PL_BATCH_APPEND_TIME));
    kit_end(kit);
}

static void another_compression_is_put_in_place_of_the_producers(void) {
    struct kit *kit = opened(zstd);
    struct kit_batch batch = {.records = 20,
                              .key = "k",
                              .producer_id = 3,
                              .sequence = 0,
                              .compression = PL_COMPRESSION_GZIP};
    CHECK_EQ(kit_append(kit, batch), 0);
    uint8_t bytes[8192];
    struct pl_batch_header header = stored_header(kit, 0, bytes, sizeof bytes);
    CHECK_EQ(pl_batch_compression(&header), PL_COMPRESSION_ZSTD);
    CHECK_EQ(header.records_count, 20);
    CHECK_EQ(header.producer_id, 3);
    CHECK_EQ(header.base_sequence, 0);
    CHECK_EQ(header.max_timestamp, KIT_START_MS);
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch, &appended));
    CHECK(appended.duplicate);
    kit_end(kit);
}

/* ---- the disk ---- */

static void a_full_disk_leaves_the_log_as_it_was(void) {
    struct kit *kit = kit_begin();
    struct sim_fs *sim = sim_fs_create(kit->root, 1);
    kit->fs = sim_fs_table(sim);
    kit_open(kit, false);
    kit_append(kit, (struct kit_batch){.producer_id = 5, .sequence = 0});
    for (int i = 0; i < 3; i++) {
        sim_fs_fail(sim, SIM_NO_SPACE, 1);
        struct pl_appended appended;
        CHECK_OK(kit_stage(kit, (struct kit_batch){.producer_id = 5, .sequence = 1}, &appended));
        CHECK_OK(kit_stage(kit, (struct kit_batch){.records = 4}, &appended));
        CHECK_EQ(pl_log_write(kit->log), PL_ERR_NO_SPACE);
        CHECK_EQ(kit_offsets(kit).log_end, 1);
        CHECK(!kit_offsets(kit).offline);
    }
    CHECK_EQ(kit_append(kit, (struct kit_batch){.producer_id = 5, .sequence = 1}), 1);
    CHECK_EQ(kit_read(kit, 0, 2, 5000), 2);
    kit_close(kit);
    kit->fs = &pl_fs_real;
    sim_fs_destroy(sim);
    kit_end(kit);
}

static void a_failed_flush_takes_the_log_offline(void) {
    struct kit *kit = kit_begin();
    struct sim_fs *sim = sim_fs_create(kit->root, 1);
    kit->fs = sim_fs_table(sim);
    kit_open(kit, false);
    kit_append(kit, (struct kit_batch){.records = 3});
    kit_flush(kit);
    kit_append(kit, (struct kit_batch){.records = 3});
    sim_fs_fail(sim, SIM_IO, 1);
    CHECK_EQ(kit_try_flush(kit), PL_ERR_IO);
    CHECK(kit_offsets(kit).offline);
    CHECK_EQ(kit_offsets(kit).flushed_end, 3);
    struct pl_appended appended;
    CHECK_EQ(kit_stage(kit, (struct kit_batch){0}, &appended), PL_ERR_OFFLINE);
    CHECK_EQ(kit_try_flush(kit), PL_ERR_OFFLINE);
    CHECK_EQ(kit_read(kit, 0, 6, 5000), 3); /* what was flushed */
    CHECK_EQ(pl_log_close(kit->log), PL_ERR_OFFLINE);
    kit->log = NULL;
    kit->fs = &pl_fs_real;
    sim_fs_destroy(sim);
    kit_end(kit);
}

static void an_epoch_that_finds_no_room_is_kept_by_the_recovery_point(void) {
    struct kit *kit = kit_begin();
    struct sim_fs *sim = sim_fs_create(kit->root, 1);
    kit->fs = sim_fs_table(sim);
    kit_open(kit, false);
    kit_append(kit, (struct kit_batch){.records = 3});
    kit_flush(kit);
    kit->leader_epoch = 4;
    kit_append(kit, (struct kit_batch){.records = 2});
    sim_fs_fail(sim, SIM_NO_SPACE, 1);
    CHECK_EQ(kit_try_flush(kit), PL_ERR_NO_SPACE);
    kit_append(kit, (struct kit_batch){.records = 2});
    sim_fs_fail(sim, SIM_NO_SPACE, 1);
    CHECK_EQ(kit_try_flush(kit), PL_ERR_NO_SPACE);
    CHECK_EQ(kit_offsets(kit).flushed_end, 7);
    CHECK_EQ(kit_offsets(kit).recovery_point, 3);
    sim_fs_stop(sim);
    (void)!pl_log_close(kit->log);
    sim_fs_power_cut(sim);
    kit->recovery_point = 3;
    kit_open(kit, false);
    int32_t found;
    int64_t end_offset;
    pl_log_epoch_end(kit->log, 0, &found, &end_offset);
    CHECK_EQ(end_offset, 3);
    CHECK_EQ(kit_offsets(kit).log_end, 7);
    CHECK_EQ(kit_offsets(kit).recovery_point, 7);
    kit_close(kit);
    kit->fs = &pl_fs_real;
    sim_fs_destroy(sim);
    kit_end(kit);
}

int main(void) {
    RUN(damaged_batches_are_refused);
    RUN(batches_above_the_maximum_are_refused);
    RUN(a_compacted_topic_takes_no_record_without_a_key);
    RUN(every_record_that_is_to_blame_is_named);
    RUN(times_out_of_bounds_are_refused);
    RUN(with_log_append_time_the_broker_sets_the_time);
    RUN(another_compression_is_put_in_place_of_the_producers);
    RUN(a_full_disk_leaves_the_log_as_it_was);
    RUN(a_failed_flush_takes_the_log_offline);
    RUN(an_epoch_that_finds_no_room_is_kept_by_the_recovery_point);
    return check_end();
}
