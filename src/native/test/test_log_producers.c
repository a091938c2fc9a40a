/* Idempotent producers and transactions (KIP-98): what is refused, what is a repetition, what a
 * restart remembers, where the last stable offset stands. */
#include "test/log_kit.h"

enum { PRODUCER = 7 };

static struct kit_batch batch_of(int16_t epoch, int32_t sequence, int records) {
    return (struct kit_batch){
        .producer_id = PRODUCER, .epoch = epoch, .sequence = sequence, .records = records};
}

static struct kit_batch in_txn(int64_t producer_id, int32_t sequence) {
    return (struct kit_batch){
        .producer_id = producer_id, .sequence = sequence, .transactional = true};
}

static void a_repeated_batch_answers_its_first_offset(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(kit_append(kit, batch_of(0, i * 2, 2)), i * 2);
    }
    for (int i = 0; i < 5; i++) {
        struct pl_appended appended;
        CHECK_OK(kit_stage(kit, batch_of(0, i * 2, 2), &appended));
        CHECK(appended.duplicate);
        CHECK_EQ(appended.first_offset, i * 2);
        CHECK_EQ(appended.end_offset, i * 2 + 2);
    }
    CHECK_EQ(kit_offsets(kit).log_end, 10);
    kit_end(kit);
}

static void a_batch_staged_in_the_same_turn_is_a_repetition_too(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch_of(0, 0, 1), &appended));
    CHECK_OK(kit_stage(kit, batch_of(0, 0, 1), &appended));
    CHECK(appended.duplicate);
    CHECK_OK(kit_stage(kit, batch_of(0, 1, 1), &appended));
    CHECK(!appended.duplicate);
    CHECK_OK(pl_log_write(kit->log));
    CHECK_EQ(kit_offsets(kit).log_end, 2);
    kit_end(kit);
}

static void older_batches_than_the_last_five_are_refused_as_duplicates(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    for (int i = 0; i < 7; i++) {
        kit_append(kit, batch_of(0, i, 1));
    }
    struct pl_appended appended;
    CHECK_EQ(kit_stage(kit, batch_of(0, 1, 1), &appended), PL_ERR_DUPLICATE_SEQUENCE);
    CHECK_OK(kit_stage(kit, batch_of(0, 2, 1), &appended));
    CHECK(appended.duplicate);
    kit_end(kit);
}

static void gaps_and_old_epochs_are_refused(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_appended appended;
    CHECK_EQ(kit_append(kit, batch_of(3, 40, 1)), 0); /* unknown producer: any number */
    CHECK_EQ(kit_stage(kit, batch_of(3, 42, 1), &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    CHECK_EQ(kit_stage(kit, batch_of(2, 41, 1), &appended), PL_ERR_PRODUCER_EPOCH);
    CHECK_EQ(kit_stage(kit, batch_of(4, 41, 1), &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    CHECK_EQ(kit_append(kit, batch_of(4, 0, 1)), 1);
    CHECK_EQ(kit_stage(kit, batch_of(3, 41, 1), &appended), PL_ERR_PRODUCER_EPOCH);
    kit_end(kit);
}

static void sequences_wrap_to_zero(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    kit_append(kit, batch_of(0, INT32_MAX - 1, 1));
    kit_append(kit, batch_of(0, INT32_MAX, 3)); /* INT32_MAX, 0, 1 */
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch_of(0, INT32_MAX, 3), &appended));
    CHECK(appended.duplicate);
    CHECK_EQ(kit_stage(kit, batch_of(0, 3, 1), &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    CHECK_EQ(kit_append(kit, batch_of(0, 2, 1)), 4);
    kit_end(kit);
}

static void check_remembers(struct kit *kit, int64_t end) {
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch_of(0, (int32_t)end - 1, 1), &appended));
    CHECK(appended.duplicate);
    CHECK_EQ(appended.first_offset, end - 1);
    CHECK_EQ(kit_stage(kit, batch_of(0, (int32_t)end + 1, 1), &appended),
             PL_ERR_OUT_OF_ORDER_SEQUENCE);
}

static void a_restart_remembers_producers(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 1000;
    kit_open(kit, false);
    for (int i = 0; i < 40; i++) {
        kit_append(kit, batch_of(0, i, 1));
    }
    kit_close(kit);
    kit_open(kit, true);
    check_remembers(kit, 40);
    for (int i = 40; i < 60; i++) {
        kit_append(kit, batch_of(0, i, 1));
    }
    kit_abandon(kit);
    kit_open(kit, false);
    check_remembers(kit, 60);
    kit_flush(kit);
    kit->recovery_point = 60;
    kit_abandon(kit);
    kit_open(kit, false); /* from a snapshot and one segment */
    CHECK_EQ(kit->recovered.segments_scanned, 1);
    check_remembers(kit, 60);
    kit_end(kit);
}

static void a_damaged_snapshot_is_made_up_for_by_the_batches(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    for (int i = 0; i < 10; i++) {
        kit_append(kit, batch_of(0, i, 1));
    }
    kit_close(kit);
    char path[200];
    snprintf(path, sizeof path, "%s/00000000000000000010.snapshot", kit->folder);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 20, SEEK_SET), 0);
    CHECK(fputc(0x55, file) != EOF);
    CHECK_EQ(fclose(file), 0);
    kit_open(kit, true);
    check_remembers(kit, 10);
    kit_end(kit);
}

static void silent_producers_are_forgotten(void) {
    struct kit *kit = kit_begin();
    kit->config.producer_id_expiration_ms = 1000;
    kit_open(kit, false);
    kit_append(kit, batch_of(0, 0, 1));
    kit_append(kit, in_txn(8, 0));
    kit->now.wall_ms += 3600 * 1000;
    int32_t removed;
    CHECK_OK(pl_log_housekeep(kit->log, kit->now.wall_ms, 2, &removed));
    struct pl_producer_view views[4];
    size_t count = 4;
    CHECK_OK(pl_log_producers(kit->log, views, &count));
    CHECK_EQ(count, 1); /* an open transaction keeps its producer */
    CHECK_EQ(views[0].producer_id, 8);
    CHECK_EQ(views[0].transaction_start, 1);
    kit_end(kit);
}

/* ---- transactions ---- */

static void the_last_stable_offset_waits_for_the_marker_to_be_replicated(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    kit_append(kit, (struct kit_batch){0});
    kit_append(kit, in_txn(PRODUCER, 0)); /* 1 */
    kit_append(kit, in_txn(8, 0));        /* 2 */
    CHECK_EQ(pl_log_last_stable(kit->log, 3), 1);
    kit_marker(kit, PRODUCER, 0, false); /* 3 */
    CHECK_EQ(pl_log_last_stable(kit->log, 3), 1);
    CHECK_EQ(pl_log_last_stable(kit->log, 4), 2);
    kit_marker(kit, 8, 0, true); /* 4 */
    CHECK_EQ(pl_log_last_stable(kit->log, 4), 2);
    CHECK_EQ(pl_log_last_stable(kit->log, 5), 5);
    CHECK_EQ(kit_offsets(kit).first_unstable, -1);
    kit_end(kit);
}

static void aborted_transactions_are_told_to_readers(void) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 1000;
    kit_open(kit, false);
    int32_t sequence = 0;
    for (int i = 0; i < 40; i++) { /* 3 offsets each: data, data, marker */
        kit_append(kit, in_txn(PRODUCER, sequence++));
        kit_append(kit, in_txn(PRODUCER, sequence++));
        kit_marker(kit, PRODUCER, 0, i % 2 == 0);
    }
    for (int restart = 0; restart < 3; restart++) {
        struct pl_aborted aborted[64];
        size_t count = 64;
        CHECK_OK(pl_log_aborted(kit->log, 0, 120, aborted, &count));
        CHECK_EQ(count, 20);
        CHECK_EQ(aborted[3].first_offset, 18);
        count = 64;
        CHECK_OK(pl_log_aborted(kit->log, 19, 30, aborted, &count));
        CHECK_EQ(count, 2); /* 18..20 and 24..26 */
        CHECK_EQ(aborted[0].first_offset, 18);
        count = 1;
        CHECK_OK(pl_log_aborted(kit->log, 0, 120, aborted, &count));
        CHECK_EQ(count, 20); /* more than there was room for */
        if (restart == 0) {
            kit_close(kit);
        } else {
            kit_abandon(kit);
        }
        kit_open(kit, restart == 0);
    }
    kit_end(kit);
}

static void an_open_transaction_survives_a_restart(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    kit_append(kit, in_txn(PRODUCER, 0));
    kit_close(kit);
    kit_open(kit, true);
    CHECK_EQ(kit_offsets(kit).first_unstable, 0);
    CHECK_EQ(pl_log_last_stable(kit->log, 1), 0);
    kit_marker(kit, PRODUCER, 0, true);
    CHECK_EQ(pl_log_last_stable(kit->log, 2), 2);
    kit_end(kit);
}

static void markers_of_fenced_coordinators_and_producers_are_refused(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    kit_append(kit, in_txn(PRODUCER, 0));
    CHECK_OK(kit_stage_marker(kit, PRODUCER, 1, true, 5)); /* fences epoch 0 */
    CHECK_EQ(kit_stage_marker(kit, PRODUCER, 1, true, 4), PL_ERR_COORDINATOR_EPOCH);
    CHECK_EQ(kit_stage_marker(kit, PRODUCER, 0, true, 5), PL_ERR_PRODUCER_EPOCH);
    struct pl_appended appended;
    CHECK_EQ(kit_stage(kit, in_txn(PRODUCER, 1), &appended), PL_ERR_PRODUCER_EPOCH);
    CHECK_OK(pl_log_write(kit->log));
    kit_end(kit);
}

static void batches_outside_a_verified_transaction_are_refused(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    struct pl_append append = kit_client(kit);
    append.transaction_verified = false;
    struct pl_appended appended;
    size_t n;
    uint8_t *bytes = kit_build(kit, in_txn(PRODUCER, 0), &n);
    CHECK_EQ(pl_log_append(kit->log, &append, bytes, n, &appended), PL_ERR_TXN_STATE);
    kit_append(kit, in_txn(PRODUCER, 0)); /* verified: it is open now */
    bytes = kit_build(kit, in_txn(PRODUCER, 1), &n);
    CHECK_OK(pl_log_append(kit->log, &append, bytes, n, &appended));
    CHECK_EQ(kit_stage(kit, batch_of(0, 2, 1), &appended), PL_ERR_TXN_STATE);
    CHECK_OK(pl_log_write(kit->log));
    kit_end(kit);
}

static void clients_may_not_write_markers(void) {
    struct kit *kit = kit_begin();
    kit_open(kit, false);
    uint8_t bytes[PL_MARKER_BATCH_BYTES];
    struct pl_marker marker = {PL_MARKER_COMMIT, 0};
    pl_marker_build(bytes, &marker, PRODUCER, 0, 1);
    struct pl_append append = kit_client(kit);
    struct pl_appended appended;
    CHECK_EQ(pl_log_append(kit->log, &append, bytes, sizeof bytes, &appended), PL_ERR_INVALID);
    kit_end(kit);
}

int main(void) {
    RUN(a_repeated_batch_answers_its_first_offset);
    RUN(a_batch_staged_in_the_same_turn_is_a_repetition_too);
    RUN(older_batches_than_the_last_five_are_refused_as_duplicates);
    RUN(gaps_and_old_epochs_are_refused);
    RUN(sequences_wrap_to_zero);
    RUN(a_restart_remembers_producers);
    RUN(a_damaged_snapshot_is_made_up_for_by_the_batches);
    RUN(silent_producers_are_forgotten);
    RUN(the_last_stable_offset_waits_for_the_marker_to_be_replicated);
    RUN(aborted_transactions_are_told_to_readers);
    RUN(an_open_transaction_survives_a_restart);
    RUN(markers_of_fenced_coordinators_and_producers_are_refused);
    RUN(batches_outside_a_verified_transaction_are_refused);
    RUN(clients_may_not_write_markers);
    return check_end();
}
