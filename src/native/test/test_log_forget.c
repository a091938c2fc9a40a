/* What leaves a log: retention, DeleteRecords, truncation, deletion; and leader epochs. */
#include "test/log_kit.h"

static struct kit *filled(int batches) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 1000;
    kit_open(kit, false);
    for (int i = 0; i < batches; i++) {
        kit->now.wall_ms += 10;
        kit_append(kit, (struct kit_batch){.records = 2, .producer_id = 9, .sequence = i * 2});
    }
    kit_flush(kit);
    return kit;
}

static int32_t keep_house(struct kit *kit, int64_t bound) {
    int32_t all = 0, removed;
    do { /* some at a time */
        CHECK_OK(pl_log_housekeep(kit->log, kit->now.wall_ms, bound, &removed));
        all += removed;
    } while (removed > 0);
    return all;
}

static int count_files(const struct kit *kit, const char *ending) {
    char command[300];
    snprintf(command, sizeof command, "ls '%s' | grep -c '%s$'", kit->folder, ending);
    FILE *pipe = popen(command, "r");
    int count = -1;
    CHECK(pipe != NULL && fscanf(pipe, "%d", &count) == 1);
    pclose(pipe);
    return count;
}

static void retention_by_size_keeps_the_newest_bytes(void) {
    struct kit *kit = filled(60);
    int32_t segments = kit_offsets(kit).segment_count;
    kit->config.retention_bytes = 3000;
    pl_log_configure(kit->log, &kit->config);
    int32_t removed = keep_house(kit, 120);
    CHECK(removed > 0);
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.segment_count, segments - removed);
    CHECK(offsets.size_bytes >= 3000 && offsets.size_bytes < 4000);
    CHECK(offsets.log_start > 0);
    CHECK_EQ(offsets.log_end, 120);
    struct pl_slice slice;
    CHECK_EQ(pl_log_locate(kit->log, 0, 120, 100, true, &slice), PL_ERR_OUT_OF_RANGE);
    CHECK_EQ(kit_read(kit, offsets.log_start, 120, 5000), 120 - offsets.log_start);
    CHECK_EQ(keep_house(kit, 120), 0);
    kit_end(kit);
}

static void retention_by_time_may_empty_a_log_but_keeps_its_end(void) {
    struct kit *kit = filled(60);
    kit->config.retention_ms = 300;
    pl_log_configure(kit->log, &kit->config);
    CHECK(keep_house(kit, 120) > 0);
    CHECK(kit_offsets(kit).log_start > 0 && kit_offsets(kit).log_start < 120);
    kit->now.wall_ms += 10000;
    keep_house(kit, 120);
    CHECK_EQ(kit_offsets(kit).log_start, 120);
    CHECK_EQ(kit_offsets(kit).segment_count, 1);
    CHECK_EQ(kit_offsets(kit).size_bytes, 0);
    kit_abandon(kit);
    kit_open(kit, false);
    CHECK_EQ(kit_offsets(kit).log_end, 120);
    struct pl_appended appended; /* and its producers */
    CHECK_OK(kit_stage(kit, (struct kit_batch){.records = 2, .producer_id = 9, .sequence = 118},
                       &appended));
    CHECK(appended.duplicate);
    kit_end(kit);
}

static void nothing_at_or_above_the_bound_is_removed(void) {
    struct kit *kit = filled(60);
    kit->config.retention_ms = 0;
    pl_log_configure(kit->log, &kit->config);
    kit->now.wall_ms += 10000;
    keep_house(kit, 50);
    CHECK(kit_offsets(kit).log_start > 0 && kit_offsets(kit).log_start <= 50);
    kit_end(kit);
}

static void an_open_transaction_keeps_its_segments(void) {
    struct kit *kit = filled(5);
    kit_append(kit, (struct kit_batch){.producer_id = 4, .transactional = true}); /* 10 */
    for (int i = 5; i < 60; i++) {
        kit_append(kit, (struct kit_batch){.records = 2, .producer_id = 9, .sequence = i * 2});
    }
    kit->config.retention_ms = 0;
    pl_log_configure(kit->log, &kit->config);
    kit->now.wall_ms += 10000;
    keep_house(kit, 121);
    CHECK(kit_offsets(kit).log_start <= 10);
    kit_marker(kit, 4, 0, false);
    CHECK_EQ(pl_log_last_stable(kit->log, 122), 122);
    kit->now.wall_ms += 10000;
    keep_house(kit, 122);
    CHECK_EQ(kit_offsets(kit).log_start, 122);
    kit_end(kit);
}

static void without_the_delete_policy_only_the_log_start_removes(void) {
    struct kit *kit = filled(60);
    kit->config.delete_policy = false;
    kit->config.retention_ms = 0;
    kit->config.retention_bytes = 0;
    pl_log_configure(kit->log, &kit->config);
    kit->now.wall_ms += 10000;
    CHECK_EQ(keep_house(kit, 120), 0);
    CHECK_OK(pl_log_advance_start(kit->log, 60));
    CHECK(keep_house(kit, 120) > 0);
    kit_end(kit);
}

static void deleted_records_stay_deleted(void) {
    struct kit *kit = filled(60);
    CHECK_OK(pl_log_advance_start(kit->log, 61));
    CHECK_OK(pl_log_advance_start(kit->log, 30)); /* never back */
    CHECK_EQ(kit_offsets(kit).log_start, 61);
    CHECK_EQ(pl_log_advance_start(kit->log, 121), PL_ERR_OUT_OF_RANGE);
    struct pl_slice slice;
    CHECK_EQ(pl_log_locate(kit->log, 60, 120, 100, true, &slice), PL_ERR_OUT_OF_RANGE);
    CHECK_EQ(kit_read(kit, 61, 120, 100), 60); /* whole batches: one record more */
    keep_house(kit, 120);
    kit->log_start_offset = 61;
    kit_close(kit);
    kit_open(kit, true);
    CHECK_EQ(kit_offsets(kit).log_start, 61);
    kit_end(kit);
}

static void removed_files_wait_for_their_delay_and_for_readers(void) {
    struct kit *kit = filled(60);
    struct pl_slice slice;
    CHECK_OK(pl_log_locate(kit->log, 0, 120, 1, true, &slice));
    kit->config.retention_bytes = 3000;
    kit->config.file_delete_delay_ms = 5000;
    pl_log_configure(kit->log, &kit->config);
    int32_t removed = keep_house(kit, 120);
    CHECK_EQ(count_files(kit, ".log.deleted"), removed);
    kit->now.wall_ms += 5000;
    keep_house(kit, 120);
    CHECK_EQ(count_files(kit, ".log.deleted"), 1); /* the one that is being read */
    uint8_t bytes[400];
    CHECK(slice.length <= sizeof bytes);
    CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
    pl_segment_release(slice.segment);
    CHECK_EQ(count_files(kit, ".deleted"), 0);
    kit_end(kit);
}

static void a_segment_is_rolled_when_its_time_has_come(void) {
    struct kit *kit = filled(1);
    kit->config.segment_ms = 1000;
    pl_log_configure(kit->log, &kit->config);
    keep_house(kit, 2);
    CHECK_EQ(kit_offsets(kit).segment_count, 1);
    kit->now.wall_ms += 1001;
    keep_house(kit, 2);
    CHECK_EQ(kit_offsets(kit).segment_count, 2);
    CHECK(pl_log_flush_due(kit->log, kit->now.wall_ms)); /* the sealed one's other files */
    kit_flush(kit);
    CHECK(!pl_log_flush_due(kit->log, kit->now.wall_ms));
    keep_house(kit, 2);
    CHECK_EQ(kit_offsets(kit).segment_count, 2); /* an empty one is not rolled */
    kit_append(kit, (struct kit_batch){.timestamp_ms = 5000000});
    kit_append(kit, (struct kit_batch){.timestamp_ms = 5001001});
    CHECK_EQ(kit_offsets(kit).segment_count, 3); /* by the records' own time */
    kit_end(kit);
}

static void a_full_index_rolls(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_index_bytes = 64;
    kit->config.index_interval_bytes = 0;
    kit_open(kit, false);
    for (int i = 0; i < 30; i++) {
        kit->now.wall_ms++;
        kit_append(kit, (struct kit_batch){0});
    }
    CHECK(kit_offsets(kit).segment_count >= 5);
    CHECK_EQ(kit_read(kit, 0, 30, 300), 30);
    kit_end(kit);
}

/* ---- truncation ---- */

static void a_truncated_log_goes_on_at_its_new_end(void) {
    for (int64_t end = 0; end <= 120; end += 2) {
        struct kit *kit = filled(60);
        CHECK_OK(pl_log_truncate(kit->log, end));
        struct pl_log_offsets offsets = kit_offsets(kit);
        CHECK_EQ(offsets.log_end, end);
        CHECK_EQ(offsets.flushed_end, end);
        CHECK_EQ(kit_read(kit, 0, 1000, 700), end);
        struct pl_appended appended;
        struct kit_batch next = {.records = 2, .producer_id = 9, .sequence = (int32_t)end};
        if (end > 0) {
            next.sequence = (int32_t)end + 2;
            CHECK_EQ(kit_stage(kit, next, &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
            next.sequence = (int32_t)end;
        }
        CHECK_EQ(kit_append(kit, next), end);
        kit_append(kit, (struct kit_batch){.records = 5});
        CHECK_EQ(kit_read(kit, 0, 1000, 700), end + 7);
        if (end % 4 == 0) {
            kit_close(kit);
            kit_open(kit, true);
        } else {
            kit_abandon(kit);
            kit_open(kit, false);
        }
        CHECK_EQ(kit_offsets(kit).log_end, end + 7);
        CHECK_EQ(kit_read(kit, 0, 1000, 700), end + 7);
        kit_end(kit);
    }
}

static void a_fully_truncated_log_starts_elsewhere(void) {
    struct kit *kit = filled(60);
    CHECK_OK(pl_log_truncate_fully(kit->log, 5000));
    CHECK_EQ(kit_offsets(kit).log_start, 5000);
    CHECK_EQ(kit_offsets(kit).size_bytes, 0);
    kit_abandon(kit);
    kit_open(kit, false);
    CHECK_EQ(kit_offsets(kit).log_end, 5000);
    CHECK_EQ(kit_append(kit, (struct kit_batch){0}), 5000);
    kit_end(kit);
}

static void a_flush_that_a_truncation_overtakes_counts_for_nothing(void) {
    struct kit *kit = filled(10);
    kit_append(kit, (struct kit_batch){.records = 10, .value_bytes = 10});
    struct pl_flush *flush;
    CHECK_OK(pl_log_flush_begin(kit->log, &flush));
    CHECK(flush != NULL);
    CHECK_OK(pl_log_truncate(kit->log, 20));
    kit_append(
        kit, (struct kit_batch){.records = 10, .value_bytes = 10}); /* others at the same offsets */
    pl_flush_run(flush);
    CHECK_OK(pl_log_flush_end(kit->log, flush));
    CHECK_EQ(kit_offsets(kit).flushed_end, 20);
    kit_flush(kit);
    CHECK_EQ(kit_offsets(kit).flushed_end, 30);
    kit_end(kit);
}

static void replicas_keep_the_leaders_offsets(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_append append = kit_client(kit);
    append.origin = PL_APPEND_REPLICA;
    struct pl_appended appended;
    size_t n;
    uint8_t *bytes = kit_build(kit, (struct kit_batch){.records = 2}, &n);
    pl_batch_set_base_offset(bytes, 700);
    pl_batch_set_leader_epoch(bytes, 4);
    CHECK_OK(pl_log_append(kit->log, &append, bytes, n, &appended));
    CHECK_OK(pl_log_write(kit->log));
    CHECK_EQ(appended.first_offset, 700);
    CHECK_EQ(kit_offsets(kit).log_end, 702);
    CHECK_EQ(kit_offsets(kit).latest_epoch, 4);
    CHECK_EQ(pl_log_append(kit->log, &append, bytes, n, &appended), PL_ERR_OUT_OF_RANGE);
    kit_end(kit);
}

/* ---- leader epochs ---- */

static void check_epoch(struct kit *kit, int32_t asked, int32_t epoch, int64_t end) {
    int32_t found;
    int64_t found_end;
    pl_log_epoch_end(kit->log, asked, &found, &found_end);
    CHECK_EQ(found, epoch);
    CHECK_EQ(found_end, end);
}

static void check_epochs(struct kit *kit) {
    check_epoch(kit, 0, 0, 1); /* below all known ones */
    check_epoch(kit, 1, 1, 3);
    check_epoch(kit, 2, 1, 3);
    check_epoch(kit, 4, 4, 5);
    check_epoch(kit, 5, -1, -1);
    check_epoch(kit, -1, -1, -1);
}

static void epochs_are_kept_in_the_log_and_its_checkpoint(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    check_epoch(kit, 0, -1, -1);
    CHECK_OK(pl_log_epoch_begin(kit->log, 0));
    kit_append(kit, (struct kit_batch){0});
    struct pl_append append = kit_client(kit);
    for (int32_t epoch = 1; epoch <= 4; epoch += 3) {
        append.leader_epoch = epoch;
        size_t n;
        struct pl_appended appended;
        uint8_t *bytes = kit_build(kit, (struct kit_batch){.records = 2}, &n);
        CHECK_OK(pl_log_append(kit->log, &append, bytes, n, &appended));
        CHECK_OK(pl_log_write(kit->log));
    }
    check_epochs(kit);
    kit_abandon(kit);
    kit_open(kit, false); /* from the batches */
    check_epochs(kit);
    kit_close(kit);
    kit_open(kit, true); /* from the file */
    check_epochs(kit);
    CHECK_OK(pl_log_truncate(kit->log, 3));
    CHECK_EQ(kit_offsets(kit).latest_epoch, 1);
    check_epoch(kit, 1, 1, 3);
    check_epoch(kit, 4, -1, -1);
    CHECK_OK(pl_log_epoch_begin(kit->log, 7));
    check_epoch(kit, 4, 1, 3);
    check_epoch(kit, 7, 7, 3);
    kit_end(kit);
}

/* ---- the whole log ---- */

static void a_deleted_log_leaves_no_files(void) {
    struct kit *kit = filled(60);
    struct pl_slice slice;
    CHECK_OK(pl_log_locate(kit->log, 0, 120, 1, true, &slice));
    CHECK_OK(pl_log_delete(kit->log));
    kit->log = NULL;
    uint8_t bytes[400];
    CHECK(slice.length <= sizeof bytes);
    CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
    pl_segment_release(slice.segment);
    CHECK(access(kit->folder, F_OK) != 0);
    CHECK(rmdir(kit->root) == 0); /* nothing else in it */
    CHECK(mkdir(kit->root, 0700) == 0);
    kit_open(kit, false);
    CHECK_EQ(kit_offsets(kit).log_end, 0);
    kit_end(kit);
}

struct bin {
    struct pl_garbage *first;
    int count;
};

static void keep_garbage(void *owner, struct pl_garbage *garbage) {
    struct bin *bin = owner;
    garbage->next = bin->first;
    bin->first = garbage;
    bin->count++;
}

static void removing_files_is_left_to_the_disposal(void) {
    struct kit *kit = kit_begin();
    struct bin bin = {NULL, 0};
    struct pl_disposal disposal = {&bin, keep_garbage};
    struct pl_log_open open = {
        .fs = kit->fs, .clock = &kit->clock, .folder = kit->folder, .disposal = &disposal};
    CHECK_OK(pl_log_open(&open, &kit->config, &kit->log));
    kit_append(kit, (struct kit_batch){0});
    CHECK_OK(pl_log_delete(kit->log));
    kit->log = NULL;
    CHECK_EQ(bin.count, 1);
    CHECK(rmdir(kit->root) != 0);
    bin.first->collect(bin.first);
    CHECK(rmdir(kit->root) == 0);
    CHECK(mkdir(kit->root, 0700) == 0);
    kit_end(kit);
}

int main(void) {
    RUN(retention_by_size_keeps_the_newest_bytes);
    RUN(retention_by_time_may_empty_a_log_but_keeps_its_end);
    RUN(nothing_at_or_above_the_bound_is_removed);
    RUN(an_open_transaction_keeps_its_segments);
    RUN(without_the_delete_policy_only_the_log_start_removes);
    RUN(deleted_records_stay_deleted);
    RUN(removed_files_wait_for_their_delay_and_for_readers);
    RUN(a_segment_is_rolled_when_its_time_has_come);
    RUN(a_full_index_rolls);
    RUN(a_truncated_log_goes_on_at_its_new_end);
    RUN(a_fully_truncated_log_starts_elsewhere);
    RUN(a_flush_that_a_truncation_overtakes_counts_for_nothing);
    RUN(replicas_keep_the_leaders_offsets);
    RUN(epochs_are_kept_in_the_log_and_its_checkpoint);
    RUN(a_deleted_log_leaves_no_files);
    RUN(removing_files_is_left_to_the_disposal);
    return check_end();
}
