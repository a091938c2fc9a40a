/* A log's life without faults: append, write, flush, read, roll, close, open. */
#include "test/log_kit.h"

static void an_empty_folder_is_an_empty_log(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.log_start, 0);
    CHECK_EQ(offsets.log_end, 0);
    CHECK_EQ(offsets.segment_count, 0);
    CHECK_EQ(offsets.latest_epoch, -1);
    struct pl_slice slice;
    CHECK_OK(pl_log_locate(kit->log, 0, 10, 1000, true, &slice));
    CHECK(slice.segment == NULL);
    CHECK_EQ(pl_log_locate(kit->log, 1, 10, 1000, true, &slice), PL_ERR_OUT_OF_RANGE);
    kit_close(kit);
    kit_open(kit, true);
    CHECK_EQ(kit_offsets(kit).log_end, 0);
    kit_end(kit);
}

static void staged_batches_become_readable_by_write_and_durable_by_flush(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, (struct kit_batch){.records = 3}, &appended));
    CHECK_EQ(appended.first_offset, 0);
    CHECK_EQ(appended.end_offset, 3);
    CHECK_OK(kit_stage(kit, (struct kit_batch){.records = 2}, &appended));
    CHECK_EQ(appended.first_offset, 3);
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.log_end, 5);
    CHECK_EQ(offsets.written_end, 0);
    CHECK_EQ(kit_read(kit, 0, 5, 1 << 20), 0);
    CHECK_OK(pl_log_write(kit->log));
    CHECK_EQ(kit_offsets(kit).written_end, 5);
    CHECK_EQ(kit_offsets(kit).flushed_end, 0);
    CHECK_EQ(kit_read(kit, 0, 5, 1 << 20), 5);
    CHECK(pl_log_flush_due(kit->log, kit->now.wall_ms));
    kit_flush(kit);
    CHECK_EQ(kit_offsets(kit).flushed_end, 5);
    CHECK(!pl_log_flush_due(kit->log, kit->now.wall_ms));
    kit_end(kit);
}

static void fill(struct kit *kit, int batches) {
    for (int i = 0; i < batches; i++) {
        kit->now.wall_ms++;
        kit_append(kit,
                   (struct kit_batch){.records = 1 + i % 3, .value_bytes = (size_t)(50 + i % 400)});
    }
}

static void every_offset_is_found_whatever_the_slice_size(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 20000;
    kit->config.index_interval_bytes = 500;
    kit_open(kit, false);
    fill(kit, 600);
    int64_t end = kit_offsets(kit).log_end;
    CHECK(kit_offsets(kit).segment_count > 5);
    for (int64_t offset = 0; offset < end; offset += 7) {
        CHECK(kit_read(kit, offset, end, 1) >= end - offset);
    }
    CHECK_EQ(kit_read(kit, 0, end, 700), end);
    CHECK_EQ(kit_read(kit, 0, end, 100000), end);
    for (int64_t bound = 1; bound < end; bound += 11) {
        kit_read(kit, 0, bound, 4000); /* checks that nothing lies at or above the bound */
    }
    kit_end(kit);
}

static void a_clean_close_is_opened_without_a_scan(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 20000;
    kit_open(kit, false);
    fill(kit, 300);
    int64_t end = kit_offsets(kit).log_end;
    kit_close(kit);
    kit_open(kit, true);
    CHECK_EQ(kit->recovered.bytes_scanned, 0);
    CHECK_EQ(kit_offsets(kit).log_end, end);
    CHECK_EQ(kit_offsets(kit).flushed_end, end);
    CHECK_EQ(kit_read(kit, 0, end, 5000), end);
    CHECK_EQ(kit_append(kit, (struct kit_batch){0}), end);
    CHECK_EQ(kit_read(kit, 0, end + 1, 5000), end + 1);
    kit_end(kit);
}

static void a_killed_process_loses_nothing_that_was_written(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 20000;
    kit_open(kit, false);
    fill(kit, 300);
    int64_t end = kit_offsets(kit).log_end;
    kit_abandon(kit);
    kit_open(kit, false);
    CHECK(kit->recovered.bytes_scanned > 0);
    CHECK_EQ(kit->recovered.bytes_cut, 0);
    CHECK_EQ(kit_offsets(kit).log_end, end);
    CHECK_EQ(kit_read(kit, 0, end, 5000), end);
    kit_end(kit);
}

static void only_fsync_durability_waits_for_a_flush_of_what_a_killed_process_left(void) {
    for (int os = 0; os < 2; os++) {
        struct kit *kit = kit_begin();
        kit->config.segment_bytes = 20000;
        kit->config.durability = os ? PL_DURABILITY_OS : PL_DURABILITY_FSYNC;
        kit_open(kit, false);
        fill(kit, 300);
        int64_t end = kit_offsets(kit).log_end;
        kit_abandon(kit);
        kit_open(kit, false);
        CHECK_EQ(kit_offsets(kit).recovery_point, os ? 0 : end);
        CHECK_EQ(kit_offsets(kit).flushed_end, os ? 0 : end);
        CHECK_EQ(pl_log_flush_due(kit->log, kit->now.wall_ms), os != 0);
        CHECK_EQ(kit_read(kit, 0, end, 5000), end);
        kit_flush(kit);
        CHECK_EQ(kit_offsets(kit).recovery_point, end);
        CHECK(!pl_log_flush_due(kit->log, kit->now.wall_ms));
        kit_end(kit);
    }
}

static void batches_that_cross_the_blocks_of_a_scan_are_found_whole(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    for (int i = 0; i < 300; i++) { /* their ends come at all places within a block */
        kit_append(kit, (struct kit_batch){.value_bytes = 1 + (size_t)i * 211 % 60000});
    }
    kit_abandon(kit);
    kit_open(kit, false);
    CHECK(kit->recovered.bytes_scanned > 4 * 1024 * 1024);
    CHECK_EQ(kit->recovered.bytes_cut, 0);
    CHECK_EQ(kit_offsets(kit).log_end, 300);
    kit_end(kit);
}

int main(void) {
    RUN(an_empty_folder_is_an_empty_log);
    RUN(staged_batches_become_readable_by_write_and_durable_by_flush);
    RUN(every_offset_is_found_whatever_the_slice_size);
    RUN(a_clean_close_is_opened_without_a_scan);
    RUN(a_killed_process_loses_nothing_that_was_written);
    RUN(only_fsync_durability_waits_for_a_flush_of_what_a_killed_process_left);
    RUN(batches_that_cross_the_blocks_of_a_scan_are_found_whole);
    return check_end();
}
