/* Calls of the control plane that end when a partition can be read further. */
#include "rig_produce.h"

static struct rig rig;

static uint64_t await_from(uint64_t handle, int64_t offset, bool read_committed) {
    uint64_t token = rig_token(&rig);
    pl_broker_await_readable(rig.broker, token, handle, offset, read_committed);
    return token;
}

static void append(int32_t records) {
    struct rig_batch batch = rig_plain(&rig, records, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
}

static void what_can_be_read_already_is_told_at_once(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append(3);
    uint64_t token = await_from(handle, 2, false);
    CHECK(rig.is_done[token]);
    CHECK_EQ(rig.done[token].error, 0);
    rig_close(&rig);
}

static void it_waits_for_the_high_watermark_and_is_told_once(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    uint64_t next = await_from(handle, 0, false), later = await_from(handle, 3, false);
    rig_turn(&rig);
    CHECK(!rig.is_done[next] && !rig.is_done[later]);
    append(2);
    CHECK(rig.is_done[next] && !rig.is_done[later]);
    append(1); /* the record at offset 2 */
    CHECK(!rig.is_done[later]);
    append(1);
    CHECK_EQ(rig_await(&rig, later)->error, 0);
    rig_close(&rig);
}

static void what_is_appended_and_not_flushed_wakes_nobody(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    uint64_t token = await_from(handle, 0, false);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &single.produce));
    pl_broker_before_sleep(rig.broker); /* the flush may have ended, but nobody has been told */
    CHECK(!rig.is_done[token]);
    CHECK_EQ(rig_await(&rig, token)->error, 0);
    CHECK_EQ(rig_offsets(&rig, handle).high_watermark, 1);
    rig_until(&rig, &reply.completed);
    rig_forget(&reply);
    rig_single_close(&single);
    rig_close(&rig);
}

static void an_open_transaction_holds_back_who_reads_committed(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    uint64_t all = await_from(handle, 0, false), committed = await_from(handle, 0, true);
    struct rig_batch batch = rig_of_producer(&rig, 2, 0);
    batch.transactional = true;
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    CHECK(rig.is_done[all] && !rig.is_done[committed]);
    rig_write_marker(&rig, handle, 9, 1, PL_MARKER_COMMIT);
    CHECK_EQ(rig_await(&rig, committed)->error, 0);
    rig_close(&rig);
}

static void many_wait_for_one_partition_and_go_in_any_order(void) {
    enum { WAITING = 20 };
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    uint64_t tokens[WAITING];
    for (int i = 0; i < WAITING; i++) {
        tokens[i] = await_from(handle, (i * 7) % WAITING, false);
    }
    for (int end = 1; end <= WAITING; end++) {
        append(1);
        for (int i = 0; i < WAITING; i++) {
            CHECK_EQ(rig.is_done[tokens[i]], (i * 7) % WAITING < end);
        }
    }
    rig_close(&rig);
}

static void a_partition_that_is_closed_answers_who_waits(void) {
    for (int deleted = 0; deleted < 2; deleted++) {
        uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
        uint64_t token = await_from(handle, 0, false);
        CHECK_EQ(rig_remove(&rig, handle, deleted == 1), 0);
        CHECK_EQ(rig_await(&rig, token)->error, deleted == 1 ? 3 : 6);
        rig_close(&rig);
    }
}

static void a_log_that_goes_offline_answers_who_waits(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    append(1);
    uint64_t token = await_from(handle, 1, false);
    atomic_store(&rig.flush_fails, true);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    CHECK_EQ(rig_await(&rig, token)->error, 56);
    rig_close(&rig);
}

static void a_handle_that_is_gone_is_refused(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    uint64_t token = await_from(handle, 0, false);
    CHECK(rig.is_done[token]);
    CHECK_EQ(rig.done[token].error, 6);
    rig_close(&rig);
}

static void who_still_waits_at_the_end_is_answered(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    uint64_t token = await_from(handle, 0, false);
    rig_close(&rig);
    CHECK(rig.is_done[token]);
    CHECK_EQ(rig.done[token].error, 6);
}

int main(void) {
    RUN(what_can_be_read_already_is_told_at_once);
    RUN(it_waits_for_the_high_watermark_and_is_told_once);
    RUN(what_is_appended_and_not_flushed_wakes_nobody);
    RUN(an_open_transaction_holds_back_who_reads_committed);
    RUN(many_wait_for_one_partition_and_go_in_any_order);
    RUN(a_partition_that_is_closed_answers_who_waits);
    RUN(a_log_that_goes_offline_answers_who_waits);
    RUN(a_handle_that_is_gone_is_refused);
    RUN(who_still_waits_at_the_end_is_answered);
    return check_end();
}
