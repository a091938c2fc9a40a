/* Produce: when it is answered, and what it is told when the disk fails. */
#include "rig_produce.h"

static struct rig rig;

static void with_fsync_the_answer_waits_for_the_flush(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply all = {0}, leader = {0};
    CHECK_OK(rig_produce(&rig, &all, &single.produce));
    single.produce.acks = 1;
    CHECK_OK(rig_produce(&rig, &leader, &single.produce));
    pl_broker_before_sleep(rig.broker); /* the flush may have ended, but nobody has been told */
    CHECK(!all.completed && !leader.completed);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.log_end, 2);
    CHECK_EQ(offsets.high_watermark, 0);
    rig_until(&rig, &leader.completed);
    CHECK(all.completed);
    offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.flushed_end, 2);
    CHECK_EQ(offsets.high_watermark, 2);
    CHECK_EQ(rig_produced(&all).error, 0);
    rig_forget(&all);
    rig_forget(&leader);
    rig_single_close(&single);
    rig_close(&rig);
}

static void a_repeated_batch_waits_like_the_one_it_repeats(void) {
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_of_producer(&rig, 2, 0);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply first = {0}, again = {0};
    CHECK_OK(rig_produce(&rig, &first, &single.produce));
    pl_broker_before_sleep(rig.broker);
    CHECK_OK(rig_produce(&rig, &again, &single.produce));
    pl_broker_before_sleep(rig.broker);
    CHECK(!first.completed && !again.completed);
    rig_until(&rig, &first.completed);
    CHECK_EQ(rig_produced(&again).error, 0);
    CHECK_EQ(rig_produced(&again).base_offset, 0);
    rig_forget(&first);
    rig_forget(&again);
    rig_single_close(&single);
    rig_close(&rig);
}

static void a_repeated_batch_does_not_wait_for_younger_ones(void) {
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_of_producer(&rig, 1, 0);
    uint8_t *bytes[2];
    size_t n;
    struct rig_reply replies[3] = {0};
    for (int i = 0; i < 3; i++) {
        batch.sequence = i % 2;
        uint8_t **own = &bytes[i % 2];
        *own = i < 2 ? rig_build(&batch, &n) : *own;
        struct rig_part part = rig_part_of("topic", 0, *own, n);
        struct rig_produce produce = rig_produce_of(&part, 1);
        CHECK_OK(rig_produce(&rig, &replies[i], &produce));
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
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_of_producer(&rig, 1, 0);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).base_offset, 0);
    rig_close(&rig);
}

static void only_acks_all_times_out_and_keeps_what_was_appended(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.timeout_ms = 50;
    struct rig_reply all = {0}, leader = {0};
    CHECK_OK(rig_produce(&rig, &all, &single.produce));
    single.produce.acks = 1;
    CHECK_OK(rig_produce(&rig, &leader, &single.produce));
    pl_broker_before_sleep(rig.broker);
    pl_timer_wheel_advance(&rig.timers, rig.monotonic_ms + 40);
    CHECK(!all.completed);
    pl_timer_wheel_advance(&rig.timers, rig.monotonic_ms + 52);
    CHECK_EQ(rig_produced(&all).error, 7);
    CHECK(!leader.completed);
    rig_until(&rig, &leader.completed);
    CHECK_EQ(rig_produced(&leader).error, 0);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.high_watermark, 2);
    rig_forget(&all);
    rig_forget(&leader);
    rig_single_close(&single);
    rig_close(&rig);
}

static void a_connection_that_goes_away_takes_its_answer_along(void) {
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = rig_part_of("topic", 0, bytes, n);
    const struct rig_part parts[] = {part, part};
    struct rig_produce produce = rig_produce_of(parts, 2);
    struct rig_reply gone = {0}, stays = {0};
    CHECK_OK(rig_produce(&rig, &gone, &produce));
    CHECK_OK(rig_produce(&rig, &stays, &produce));
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
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).base_offset, 0);
    atomic_store(&rig.disk_is_full, true);
    struct rig_produced produced = rig_produce_batch(&rig, 9, "topic", &batch);
    CHECK_EQ(produced.error, 56);
    CHECK_EQ(produced.base_offset, -1);
    atomic_store(&rig.disk_is_full, false);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).base_offset, 1);
    CHECK_EQ(rig.offline, 0);
    struct pl_engine_counters counters = {0};
    pl_broker_read_counters(rig.broker, &counters);
    CHECK_EQ(counters.write_errors, 1);
    rig_close(&rig);
}

static void a_full_disk_leaves_those_alone_who_wait_for_their_flush(void) {
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0); /* the files are made */
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply written = {0}, refused = {0};
    CHECK_OK(rig_produce(&rig, &written, &single.produce));
    pl_broker_before_sleep(rig.broker);
    atomic_store(&rig.disk_is_full, true);
    CHECK_OK(rig_produce(&rig, &refused, &single.produce));
    pl_broker_before_sleep(rig.broker);
    CHECK_EQ(rig_produced(&refused).error, 56);
    CHECK(!written.completed);
    rig_until(&rig, &written.completed);
    CHECK_EQ(rig_produced(&written).error, 0);
    rig_forget(&written);
    rig_forget(&refused);
    rig_single_close(&single);
    rig_close(&rig);
}

static void a_failed_flush_takes_the_log_offline_and_is_told_once(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    atomic_store(&rig.flush_fails, true);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    atomic_store(&rig.flush_fails, false);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    CHECK_EQ(rig.offline, 1);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
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
        struct rig_single single;
        rig_single_open(&single, "topic", &batch);
        struct rig_reply reply = {0};
        CHECK_OK(rig_produce(&rig, &reply, &single.produce));
        CHECK_EQ(rig_remove(&rig, handle, deleted == 1), 0);
        CHECK_EQ(rig_produced(&reply).error, deleted == 1 ? 3 : 0); /* it is flushed */
        rig_forget(&reply);
        CHECK_EQ(rig_produce_now(&rig, &single.produce).error, 3);
        rig_single_close(&single);
    }
    rig_close(&rig);
}

int main(void) {
    RUN(with_fsync_the_answer_waits_for_the_flush);
    RUN(a_repeated_batch_waits_like_the_one_it_repeats);
    RUN(a_repeated_batch_does_not_wait_for_younger_ones);
    RUN(a_repeated_batch_that_is_durable_is_acknowledged_in_its_turn);
    RUN(only_acks_all_times_out_and_keeps_what_was_appended);
    RUN(a_connection_that_goes_away_takes_its_answer_along);
    RUN(a_full_disk_fails_what_was_staged_and_nothing_else);
    RUN(a_full_disk_leaves_those_alone_who_wait_for_their_flush);
    RUN(a_failed_flush_takes_the_log_offline_and_is_told_once);
    RUN(closing_a_partition_answers_who_waits_for_it);
    return check_end();
}
