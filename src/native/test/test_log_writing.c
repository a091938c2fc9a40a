/* A write under way: what is appended, read, removed and lost meanwhile. */
#include "test/log_kit.h"

/* ---- a disk that fails on demand ---- */

static struct pl_fs disk;
static enum pl_err disk_error; /* of the next writes */

static enum pl_err write_or_fail(void *context, int fd, const struct iovec *iov, int count,
                                 uint64_t at) {
    if (disk_error == PL_OK) {
        return pl_fs_real.write_at(context, fd, iov, count, at);
    }
    struct iovec half = {iov->iov_base, iov->iov_len / 2}; /* it may have got a part done */
    CHECK_OK(pl_fs_real.write_at(context, fd, &half, 1, at));
    return disk_error;
}

static struct kit *open_kit(void) {
    struct kit *kit = kit_begin();
    disk = pl_fs_real;
    disk.write_at = write_or_fail;
    disk_error = PL_OK;
    kit->fs = &disk;
    kit_open(kit, false);
    return kit;
}

static int64_t stage(struct kit *kit, struct kit_batch batch) {
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch, &appended));
    return appended.first_offset;
}

static struct pl_write *begin(struct kit *kit) {
    struct pl_write *write;
    CHECK_OK(pl_log_write_begin(kit->log, &write));
    CHECK(write != NULL);
    return write;
}

static void end(struct kit *kit, struct pl_write *write) {
    pl_write_run(write);
    CHECK_OK(pl_log_write_end(kit->log, write));
}

/* Opened again after a clean close it holds so many records. */
static void check_after_close(struct kit *kit, int64_t records) {
    kit_close(kit);
    kit_open(kit, true);
    CHECK_EQ(kit->recovered.bytes_scanned, 0);
    CHECK_EQ(kit_read(kit, kit_offsets(kit).log_start, kit_offsets(kit).written_end, 1 << 20),
             records);
    kit_end(kit);
}

static const struct kit_batch plain = {.records = 1};

static struct kit_batch of_producer(int32_t sequence, bool transactional) {
    return (struct kit_batch){
        .producer_id = 7, .sequence = sequence, .transactional = transactional};
}

/* ---- tests ---- */

static void appends_go_on_while_a_write_is_under_way(void) {
    struct kit *kit = open_kit();
    kit_append(kit, plain);
    stage(kit, plain);
    CHECK(pl_log_staged_bytes(kit->log) > 0);
    struct pl_write *write = begin(kit);
    CHECK_EQ(pl_log_staged_bytes(kit->log), 0);
    CHECK_EQ(stage(kit, plain), 2);
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.written_end, 1);
    CHECK_EQ(offsets.log_end, 3);
    CHECK_EQ(kit_read(kit, 0, offsets.written_end, 1000), 1);
    struct pl_slice slice;
    CHECK_OK(pl_log_locate(kit->log, 1, 1, 1000, true, &slice)); /* on its way is not there */
    CHECK(slice.segment == NULL);
    end(kit, write);
    CHECK_EQ(kit_offsets(kit).written_end, 2);
    CHECK_EQ(kit_read(kit, 0, 2, 1000), 2);
    CHECK_OK(pl_log_write(kit->log));
    CHECK_EQ(kit_read(kit, 1, 3, 1000), 2);
    check_after_close(kit, 3);
}

static void nothing_staged_is_nothing_to_write(void) {
    struct kit *kit = open_kit();
    struct pl_write *write;
    CHECK_OK(pl_log_write_begin(kit->log, &write));
    CHECK(write == NULL);
    kit_end(kit);
}

static void only_one_write_is_under_way(void) {
    struct kit *kit = open_kit();
    stage(kit, plain);
    struct pl_write *write = begin(kit), *second;
    stage(kit, plain);
    CHECK_EQ(pl_log_write_begin(kit->log, &second), PL_ERR_BUSY);
    CHECK_EQ(pl_log_write(kit->log), PL_ERR_BUSY);
    CHECK_EQ(pl_log_truncate(kit->log, 0), PL_ERR_BUSY);
    CHECK_EQ(pl_log_truncate_fully(kit->log, 0), PL_ERR_BUSY);
    end(kit, write);
    CHECK_OK(pl_log_write(kit->log));
    check_after_close(kit, 2);
}

static void a_failed_write_takes_back_what_came_since(void) {
    struct kit *kit = open_kit();
    kit->config.segment_bytes = 500;
    pl_log_configure(kit->log, &kit->config);
    kit_append(kit, of_producer(0, false));
    int64_t size = kit_offsets(kit).size_bytes;
    stage(kit, of_producer(1, false));
    stage(kit, of_producer(2, false)); /* a segment of its own */
    struct pl_write *write = begin(kit);
    for (int32_t sequence = 3; sequence < 8; sequence++) { /* some more segments */
        stage(kit, of_producer(sequence, true));
    }
    disk_error = PL_ERR_NO_SPACE;
    pl_write_run(write);
    CHECK_EQ(pl_log_write_end(kit->log, write), PL_ERR_NO_SPACE);
    disk_error = PL_OK;
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.log_end, 1);
    CHECK_EQ(offsets.written_end, 1);
    CHECK_EQ(offsets.size_bytes, size);
    CHECK_EQ(offsets.segment_count, 1);
    CHECK_EQ(offsets.first_unstable, -1);
    struct pl_appended appended;
    CHECK_EQ(kit_stage(kit, of_producer(2, false), &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    CHECK_EQ(kit_append(kit, of_producer(1, false)), 1);
    check_after_close(kit, 2);
}

static void a_failed_write_leaves_the_one_before_it(void) {
    struct kit *kit = open_kit();
    stage(kit, of_producer(0, true));
    struct pl_write *write = begin(kit);
    stage(kit, of_producer(1, true));
    end(kit, write);
    disk_error = PL_ERR_NO_SPACE;
    CHECK_EQ(pl_log_write(kit->log), PL_ERR_NO_SPACE);
    disk_error = PL_OK;
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_EQ(offsets.log_end, 1);
    CHECK_EQ(offsets.first_unstable, 0); /* its transaction was begun by what is written */
    CHECK_EQ(kit_append(kit, of_producer(1, true)), 1);
    kit_marker(kit, 7, 0, false);
    CHECK_EQ(pl_log_last_stable(kit->log, 3), 3);
    check_after_close(kit, 3);
}

static void a_marker_on_its_way_ends_no_transaction_for_readers(void) {
    struct kit *kit = open_kit();
    kit_append(kit, of_producer(0, true));
    CHECK_OK(kit_stage_marker(kit, 7, 0, true, 0));
    struct pl_write *write = begin(kit);
    stage(kit, plain);
    CHECK_EQ(pl_log_last_stable(kit->log, 1), 0);
    disk_error = PL_ERR_NO_SPACE;
    pl_write_run(write);
    CHECK_EQ(pl_log_write_end(kit->log, write), PL_ERR_NO_SPACE);
    disk_error = PL_OK;
    CHECK_EQ(pl_log_last_stable(kit->log, 1), 0);
    kit_marker(kit, 7, 0, true);
    CHECK_EQ(pl_log_last_stable(kit->log, 2), 2);
    check_after_close(kit, 2);
}

static void a_disk_error_ends_the_log_for_both(void) {
    struct kit *kit = open_kit();
    kit_append(kit, plain);
    stage(kit, plain);
    struct pl_write *write = begin(kit);
    stage(kit, plain);
    disk_error = PL_ERR_IO;
    pl_write_run(write);
    CHECK_EQ(pl_log_write_end(kit->log, write), PL_ERR_IO);
    disk_error = PL_OK;
    CHECK(kit_offsets(kit).offline);
    CHECK_EQ(kit_offsets(kit).log_end, 1);
    CHECK_EQ(pl_log_close(kit->log), PL_ERR_OFFLINE);
    kit_open(kit, false);
    CHECK_EQ(kit_read(kit, 0, kit_offsets(kit).written_end, 1000), 1);
    kit_end(kit);
}

static void a_log_that_goes_offline_meanwhile_shows_nothing_of_the_write(void) {
    struct kit *kit = open_kit();
    kit_append(kit, plain);
    kit_flush(kit);
    stage(kit, plain);
    struct pl_write *write = begin(kit);
    stage(kit, plain);
    pl_log_set_offline(kit->log);
    pl_write_run(write);
    CHECK_EQ(pl_log_write_end(kit->log, write), PL_ERR_OFFLINE);
    CHECK_EQ(kit_offsets(kit).log_end, 1);
    CHECK_EQ(kit_read(kit, 0, 1, 1000), 1);
    CHECK_EQ(pl_log_close(kit->log), PL_ERR_OFFLINE);
    kit->log = NULL;
    kit_end(kit);
}

static void both_stages_may_need_segments_of_their_own(void) {
    struct kit *kit = open_kit();
    kit->config.segment_bytes = 400;
    pl_log_configure(kit->log, &kit->config);
    int64_t appended = 0;
    for (int i = 0; i < 20; i++) {
        stage(kit, plain);
        struct pl_write *write = begin(kit);
        for (int more = i % 4; more > 0; more--) {
            stage(kit, plain);
        }
        appended += 1 + i % 4;
        end(kit, write);
        /* The end of the write may be the start of a segment that is not written yet. */
        int64_t written_end = kit_offsets(kit).written_end;
        CHECK_EQ(kit_read(kit, 0, written_end, 250), written_end);
        CHECK_OK(pl_log_write(kit->log));
        CHECK_EQ(kit_read(kit, written_end, appended, 250), appended - written_end);
    }
    CHECK_EQ(kit_offsets(kit).written_end, appended);
    CHECK(kit_offsets(kit).segment_count > 10);
    check_after_close(kit, appended);
}

static void a_flush_goes_on_beside_a_write(void) {
    struct kit *kit = open_kit();
    kit_append(kit, plain);
    stage(kit, plain);
    struct pl_write *write = begin(kit);
    struct pl_flush *flush;
    CHECK_OK(pl_log_flush_begin(kit->log, &flush));
    pl_write_run(write);
    pl_flush_run(flush);
    CHECK_OK(pl_log_write_end(kit->log, write));
    CHECK_OK(pl_log_flush_end(kit->log, flush));
    CHECK_EQ(kit_offsets(kit).flushed_end, 1); /* of what was written when it began */
    CHECK(pl_log_flush_due(kit->log, kit->now.wall_ms));
    kit_flush(kit);
    CHECK_EQ(kit_offsets(kit).flushed_end, 2);
    check_after_close(kit, 2);
}

static void old_segments_go_while_a_write_is_under_way(void) {
    struct kit *kit = open_kit();
    kit->config.segment_bytes = 400;
    kit->config.retention_ms = 1000;
    pl_log_configure(kit->log, &kit->config);
    for (int i = 0; i < 10; i++) {
        kit_append(kit, plain);
    }
    kit->now.wall_ms += 2000;
    stage(kit, plain);
    struct pl_write *write = begin(kit);
    stage(kit, plain);
    int32_t removed;
    CHECK_OK(pl_log_housekeep(kit->log, kit->now.wall_ms, 10, &removed));
    CHECK(removed > 2);
    int64_t log_start = kit_offsets(kit).log_start;
    disk_error = PL_ERR_NO_SPACE; /* it is taken back to the right segment all the same */
    pl_write_run(write);
    CHECK_EQ(pl_log_write_end(kit->log, write), PL_ERR_NO_SPACE);
    disk_error = PL_OK;
    CHECK_EQ(kit_offsets(kit).log_end, 10);
    stage(kit, plain);
    write = begin(kit);
    CHECK_OK(pl_log_housekeep(kit->log, kit->now.wall_ms, 10, &removed));
    end(kit, write);
    CHECK_EQ(kit_offsets(kit).log_end, 11);
    check_after_close(kit, 11 - log_start);
}

static void what_is_on_its_way_does_not_expire(void) {
    struct kit *kit = open_kit();
    kit->config.producer_id_expiration_ms = 1000;
    kit->config.retention_ms = 1000;
    pl_log_configure(kit->log, &kit->config);
    stage(kit, of_producer(0, false));
    struct pl_write *write = begin(kit);
    struct kit_batch other = of_producer(0, false);
    other.producer_id = 8;
    stage(kit, other);
    kit->now.wall_ms += 100 * 1000;
    int32_t removed;
    CHECK_OK(pl_log_housekeep(kit->log, kit->now.wall_ms, 0, &removed));
    CHECK_EQ(removed, 0);
    end(kit, write);
    CHECK_OK(pl_log_write(kit->log));
    CHECK_EQ(kit_append(kit, of_producer(1, false)), 2); /* its producer is still known */
    check_after_close(kit, 3);
}

/* Entries of the index leave memory some hundred at a time; those that may be taken back do not. */
static void index_entries_of_what_is_staged_stay_in_memory(void) {
    struct kit *kit = open_kit();
    kit->config.index_interval_bytes = 1;
    pl_log_configure(kit->log, &kit->config);
    for (int i = 0; i < 2 * 512; i += 16) { /* an entry a batch, but the first */
        for (int more = 0; more < 16; more++) {
            stage(kit, plain);
        }
        struct pl_write *write = begin(kit);
        for (int more = 0; more < 8; more++) {
            stage(kit, plain);
        }
        end(kit, write);
        disk_error = PL_ERR_NO_SPACE;
        CHECK_EQ(pl_log_write(kit->log), PL_ERR_NO_SPACE);
        disk_error = PL_OK;
        CHECK_EQ(kit_offsets(kit).log_end, i + 16);
    }
    for (int64_t offset = 0; offset < 1024; offset += 37) {
        CHECK_EQ(kit_read(kit, offset, 1024, 2000), 1024 - offset);
    }
    check_after_close(kit, 1024);
}

int main(void) {
    RUN(appends_go_on_while_a_write_is_under_way);
    RUN(nothing_staged_is_nothing_to_write);
    RUN(only_one_write_is_under_way);
    RUN(a_failed_write_takes_back_what_came_since);
    RUN(a_failed_write_leaves_the_one_before_it);
    RUN(a_marker_on_its_way_ends_no_transaction_for_readers);
    RUN(a_disk_error_ends_the_log_for_both);
    RUN(a_log_that_goes_offline_meanwhile_shows_nothing_of_the_write);
    RUN(both_stages_may_need_segments_of_their_own);
    RUN(a_flush_goes_on_beside_a_write);
    RUN(old_segments_go_while_a_write_is_under_way);
    RUN(what_is_on_its_way_does_not_expire);
    RUN(index_entries_of_what_is_staged_stay_in_memory);
    return check_end();
}
