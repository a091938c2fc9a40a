/* Fetch without sessions: what is read, what is waited for, and for how long. */
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

static void append_batches(const char *topic, int32_t index, int batches, int32_t records,
                           size_t value_bytes) {
    struct rig_batch batch = rig_plain(&rig, records, value_bytes);
    for (int i = 0; i < batches; i++) {
        CHECK_EQ(rig_append(&rig, topic, index, &batch).error, 0);
    }
}

static struct rig_want want_of(const char *topic, int32_t index, int64_t offset) {
    return (struct rig_want){.topic = topic, .index = index, .offset = offset,
                             .max_bytes = 1 << 20};
}

static void every_version_reads_what_was_written(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3, 2, 100);
    struct rig_want want = want_of("topic", 0, 0);
    for (int16_t version = 4; version <= 18; version++) {
        struct rig_fetch fetch = rig_fetch_of(&want, 1);
        fetch.version = version;
        struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
        CHECK_EQ(fetched.count, 1);
        CHECK(strcmp(fetched.parts[0].topic, "topic") == 0);
        CHECK_EQ(fetched.parts[0].error, 0);
        CHECK_EQ(fetched.parts[0].high_watermark, 6);
        CHECK_EQ(fetched.parts[0].last_stable, 6);
        CHECK_EQ(fetched.parts[0].log_start, version >= 5 ? 0 : -1);
        CHECK_EQ(fetched.parts[0].batches, 3);
        CHECK_EQ(fetched.parts[0].aborted, -1);
    }
    rig_close(&rig);
}

static void an_offset_inside_a_batch_gets_the_whole_batch(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 2, 5, 10);
    struct rig_want want = want_of("topic", 0, 7);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].first_offset, 5);
    CHECK_EQ(fetched.parts[0].next_offset, 10);
    rig_close(&rig);
}

static void offsets_outside_the_log_are_out_of_range(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3, 1, 10);
    uint64_t token = rig_token(&rig);
    pl_broker_delete_records(rig.broker, token, handle, 2);
    CHECK_EQ(rig_await(&rig, token)->value, 2);
    const int64_t offsets[] = {1, 4, -1};
    for (size_t i = 0; i < 3; i++) {
        struct rig_want want = want_of("topic", 0, offsets[i]);
        struct rig_fetch fetch = rig_fetch_of(&want, 1);
        fetch.max_wait_ms = 1000;
        struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
        CHECK_EQ(fetched.parts[0].error, 1);
        CHECK_EQ(fetched.parts[0].high_watermark, -1);
        CHECK_EQ(fetched.parts[0].bytes, 0);
    }
    struct rig_want want = want_of("topic", 0, 2);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].log_start, 2);
    CHECK_EQ(fetched.parts[0].next_offset, 3);
    rig_close(&rig);
}

static void the_first_batch_is_given_whatever_its_size(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "empty", 0);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    append_batches("a", 0, 2, 1, 1000);
    append_batches("b", 0, 2, 1, 1000);
    struct rig_want wants[] = {want_of("empty", 0, 0), want_of("a", 0, 0), want_of("b", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 3);
    fetch.max_bytes = 1;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.count, 3);
    CHECK_EQ(fetched.parts[1].batches, 1);
    CHECK_EQ(fetched.parts[2].batches, 0);
    CHECK_EQ(fetched.parts[2].high_watermark, 2);
    fetch.max_bytes = 1 << 20;
    wants[1].max_bytes = 1;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[1].batches, 1);
    CHECK_EQ(fetched.parts[2].batches, 2);
    wants[2].max_bytes = 1500;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[2].batches, 1);
    rig_close(&rig);
}

static void what_one_partition_gives_is_taken_off_for_the_next(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    append_batches("a", 0, 1, 1, 1000);
    append_batches("b", 0, 2, 1, 1000);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 2);
    fetch.max_bytes = 2500;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].batches, 1);
    CHECK_EQ(fetched.parts[1].batches, 1);
    rig_close(&rig);
}

static void the_broker_has_a_limit_of_its_own(void) {
    const struct rig_options options = {.fetch_max_bytes = 2500, .session_slots = 10};
    rig_open(&rig, &options);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 5, 1, 1000);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.min_bytes = 1 << 20; /* more than there can be: not waited for */
    fetch.max_wait_ms = 1000;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].batches, 2);
    rig_close(&rig);
}

static void large_ranges_are_sent_from_the_file(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "small", 0);
    rig_add_partition(&rig, "large", 0);
    append_batches("small", 0, 1, 1, 100);
    append_batches("large", 0, 3, 1, 40000);
    struct rig_want wants[] = {want_of("small", 0, 0), want_of("large", 0, 0),
                               want_of("small", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 3);
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(reply.files, 1);
    struct rig_fetched fetched = rig_fetched(&reply);
    CHECK_EQ(fetched.parts[1].batches, 3);
    CHECK_EQ(fetched.parts[2].batches, 1);
    rig_forget(&reply);
    rig_close(&rig);
}

static void the_tail_waits_until_something_is_written(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 1, 1, 10);
    struct rig_want want = want_of("topic", 0, 1);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 500;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    rig_pass(&rig, 400);
    CHECK(!reply.completed);
    append_batches("topic", 0, 1, 1, 10);
    CHECK(reply.completed);
    CHECK_EQ(rig_fetched(&reply).parts[0].next_offset, 2);
    rig_forget(&reply);
    rig_close(&rig);
}

static void waiting_ends_with_the_time_that_was_asked_for(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 500;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    rig_pass(&rig, 499);
    CHECK(!reply.completed);
    rig_pass(&rig, 2);
    struct rig_fetched fetched = rig_fetched(&reply);
    CHECK_EQ(fetched.parts[0].error, 0);
    CHECK_EQ(fetched.parts[0].bytes, 0);
    rig_forget(&reply);
    rig_close(&rig);
}

static void min_bytes_are_collected_over_all_partitions(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 2);
    fetch.min_bytes = 2000;
    fetch.max_wait_ms = 500;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    append_batches("a", 0, 1, 1, 1200);
    CHECK(!reply.completed);
    append_batches("b", 0, 1, 1, 1200);
    struct rig_fetched fetched = rig_fetched(&reply);
    CHECK_EQ(fetched.parts[0].batches, 1);
    CHECK_EQ(fetched.parts[1].batches, 1);
    rig_forget(&reply);
    rig_close(&rig);
}

static void min_bytes_0_waits_for_nothing(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.min_bytes = 0;
    fetch.max_wait_ms = 500;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].bytes, 0);
    rig_close(&rig);
}

static void what_lies_in_further_segments_ends_the_waiting(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.segment_bytes = 3000;
    rig_add_with(&rig, "topic", 0, &config);
    append_batches("topic", 0, 6, 1, 1000);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.min_bytes = 5000;
    fetch.max_wait_ms = 500;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].batches, 2);
    rig_close(&rig);
}

static void an_unknown_partition_is_answered_but_ends_no_waiting(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_want wants[] = {want_of("nowhere", 0, 0), want_of("topic", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 2);
    fetch.max_wait_ms = 500;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK(!reply.completed);
    rig_pass(&rig, 501);
    struct rig_fetched fetched = rig_fetched(&reply);
    CHECK_EQ(fetched.count, 2);
    CHECK(strcmp(fetched.parts[0].topic, "nowhere") == 0);
    CHECK_EQ(fetched.parts[0].error, 3);
    CHECK_EQ(fetched.parts[1].error, 0);
    rig_forget(&reply);
    fetch.count = 1;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 3);
    fetch.version = 13;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 100);
    rig_close(&rig);
}

static void the_leader_epoch_of_the_client_is_compared(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0); /* of epoch 3 */
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    want.leader_epoch = 2;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 74);
    want.leader_epoch = 4;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 75);
    want.leader_epoch = 3;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 0);
    rig_close(&rig);
}

static void a_log_that_has_diverged_is_told_where(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 4, 1, 10);
    struct rig_want want = want_of("topic", 0, 6);
    want.last_fetched_epoch = 3;
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].error, 0);
    CHECK_EQ(fetched.parts[0].diverging_epoch, 3);
    CHECK_EQ(fetched.parts[0].diverging_end, 4);
    CHECK_EQ(fetched.parts[0].bytes, 0);
    want.offset = 2;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].diverging_epoch, -1);
    CHECK_EQ(fetched.parts[0].batches, 2);
    want.offset = 4; /* up to date */
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].diverging_epoch, -1);
    rig_close(&rig);
}

static void followers_are_not_known(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.replica_id = 2;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 6);
    want.leader_epoch = 3;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 75);
    rig_close(&rig);
}

static void consumers_see_nothing_that_is_not_flushed(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    rig_add_with(&rig, "topic", 0, &config);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 10000;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    struct rig_part part = {"topic", 0, bytes, (int32_t)n};
    struct rig_produce produce = {.version = 9, .acks = 0, .parts = &part, .count = 1};
    struct rig_reply unanswered = {0};
    CHECK_OK(rig_produce(&rig, &unanswered, &produce));
    pl_broker_before_sleep(rig.broker);
    CHECK(!reply.completed);
    fetch.max_wait_ms = 0;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].bytes, 0);
    fetch.replica_id = -2;
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].batches, 1);
    rig_until(&rig, &reply.completed);
    CHECK_EQ(rig_fetched(&reply).parts[0].batches, 1);
    rig_forget(&reply);
    rig_forget(&unanswered);
    free(bytes);
    rig_close(&rig);
}

static void read_committed_stops_at_an_open_transaction_and_lists_aborted_ones(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 1, 2, 10);
    struct rig_batch batch = rig_plain(&rig, 3, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = 0;
    batch.transactional = true;
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    struct rig_want want = want_of("topic", 0, 0), tail = want_of("topic", 0, 2);
    struct rig_fetch fetch = rig_fetch_of(&want, 1), waits = rig_fetch_of(&tail, 1);
    fetch.read_committed = waits.read_committed = true;
    waits.max_wait_ms = 10000;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].high_watermark, 5);
    CHECK_EQ(fetched.parts[0].last_stable, 2);
    CHECK_EQ(fetched.parts[0].next_offset, 2);
    CHECK_EQ(fetched.parts[0].aborted, 0);
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &waits);
    CHECK(!reply.completed);
    rig_write_marker(&rig, handle, 9, 1, PL_MARKER_ABORT);
    CHECK_EQ(rig_fetched(&reply).parts[0].next_offset, 6);
    CHECK_EQ(rig_fetched(&reply).parts[0].aborted, 1);
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].last_stable, 6);
    CHECK_EQ(fetched.parts[0].next_offset, 6);
    CHECK_EQ(fetched.parts[0].aborted, 1);
    CHECK_EQ(fetched.parts[0].aborted_producer, 9);
    CHECK_EQ(fetched.parts[0].aborted_first, 2);
    rig_forget(&reply);
    rig_close(&rig);
}

static void many_aborted_transactions_are_all_listed(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    enum { TRANSACTIONS = 40 };
    for (int i = 0; i < TRANSACTIONS; i++) {
        struct rig_batch batch = rig_plain(&rig, 1, 10);
        batch.producer_id = 100 + i;
        batch.producer_epoch = 0;
        batch.sequence = 0;
        batch.transactional = true;
        CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
        rig_write_marker(&rig, handle, 100 + i, 0, PL_MARKER_ABORT);
    }
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.read_committed = true;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].aborted, TRANSACTIONS);
    CHECK_EQ(fetched.parts[0].aborted_producer, 100 + TRANSACTIONS - 1);
    CHECK_EQ(fetched.parts[0].aborted_first, 2 * (TRANSACTIONS - 1));
    rig_close(&rig);
}

static void many_parked_fetches_are_all_woken(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    enum { FETCHES = 2000 };
    static struct rig_reply replies[FETCHES];
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    struct rig_fetch fetch = rig_fetch_of(wants, 2);
    fetch.max_wait_ms = 30000;
    for (int i = 0; i < FETCHES; i++) {
        fetch.max_wait_ms++;
        rig_fetch(&rig, &replies[i], &fetch);
        CHECK(!replies[i].completed);
    }
    for (int i = 0; i < FETCHES; i += 2) {
        rig_cancel(&replies[i]);
    }
    append_batches("b", 0, 1, 1, 10);
    for (int i = 1; i < FETCHES; i += 2) {
        CHECK_EQ(rig_fetched(&replies[i]).parts[1].batches, 1);
        rig_forget(&replies[i]);
    }
    rig_close(&rig);
}

static void closing_a_partition_answers_who_waits_for_its_records(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 1000;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    CHECK_EQ(rig_fetched(&reply).parts[0].error, 6);
    rig_forget(&reply);
    rig_close(&rig);
}

static void a_range_that_is_being_sent_outlives_its_topic(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 1, 1, 40000);
    struct rig_want want = want_of("topic", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.min_bytes = 100000;
    fetch.max_wait_ms = 1000;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(rig_remove(&rig, handle, true), 0);
    CHECK_EQ(rig_fetched(&reply).parts[0].error, 3);
    rig_forget(&reply);
    rig_close(&rig);
}

static void records_that_are_not_cached_are_brought_by_a_worker(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3, 1, 40000);
    rig.cache_is_cold = true;
    struct rig_want want = want_of("topic", 0, 0), tail = want_of("topic", 0, 2);
    want.max_bytes = 50000;
    struct rig_fetch fetch = rig_fetch_of(&want, 1), waits = fetch;
    struct rig_reply cold = {0}, gone = {0};
    rig_fetch(&rig, &cold, &fetch);
    rig_fetch(&rig, &gone, &fetch);
    CHECK(!cold.completed && !gone.completed);
    rig_cancel(&gone);
    waits.wants = &tail;
    CHECK_EQ(rig_fetch_now(&rig, &waits).parts[0].batches, 1); /* what was written last is there */
    rig_until(&rig, &cold.completed);
    struct rig_fetched fetched = rig_fetched(&cold);
    CHECK_EQ(fetched.parts[0].first_offset, 0);
    CHECK_EQ(fetched.parts[0].batches, 1);
    rig_forget(&cold);
    rig_close(&rig);
}

static void what_happens_to_a_partition_meanwhile_is_answered(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3, 1, 40000);
    rig.cache_is_cold = true;
    struct rig_want want = want_of("topic", 0, 0);
    want.max_bytes = 50000;
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 100;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    pl_timer_wheel_advance(&rig.timers, rig.monotonic_ms + 200);
    CHECK(!reply.completed);
    CHECK_EQ(rig_remove(&rig, handle, true), 0);
    rig_until(&rig, &reply.completed);
    CHECK_EQ(rig_fetched(&reply).parts[0].error, 3);
    rig_forget(&reply);
    rig_close(&rig);
}

int main(void) {
    RUN(every_version_reads_what_was_written);
    RUN(an_offset_inside_a_batch_gets_the_whole_batch);
    RUN(offsets_outside_the_log_are_out_of_range);
    RUN(the_first_batch_is_given_whatever_its_size);
    RUN(what_one_partition_gives_is_taken_off_for_the_next);
    RUN(the_broker_has_a_limit_of_its_own);
    RUN(large_ranges_are_sent_from_the_file);
    RUN(the_tail_waits_until_something_is_written);
    RUN(waiting_ends_with_the_time_that_was_asked_for);
    RUN(min_bytes_are_collected_over_all_partitions);
    RUN(min_bytes_0_waits_for_nothing);
    RUN(what_lies_in_further_segments_ends_the_waiting);
    RUN(an_unknown_partition_is_answered_but_ends_no_waiting);
    RUN(the_leader_epoch_of_the_client_is_compared);
    RUN(a_log_that_has_diverged_is_told_where);
    RUN(followers_are_not_known);
    RUN(consumers_see_nothing_that_is_not_flushed);
    RUN(read_committed_stops_at_an_open_transaction_and_lists_aborted_ones);
    RUN(many_aborted_transactions_are_all_listed);
    RUN(many_parked_fetches_are_all_woken);
    RUN(closing_a_partition_answers_who_waits_for_its_records);
    RUN(a_range_that_is_being_sent_outlives_its_topic);
    RUN(records_that_are_not_cached_are_brought_by_a_worker);
    RUN(what_happens_to_a_partition_meanwhile_is_answered);
    return check_end();
}
