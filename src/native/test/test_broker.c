/* Partitions come and go, and what the control plane asks of them. */
#include <pthread.h>

#include "broker/state.h"
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

static void append_batches(const char *topic, int32_t index, int batches) {
    struct rig_batch batch = rig_plain(&rig, 2, 100);
    for (int i = 0; i < batches; i++) {
        CHECK_EQ(rig_append(&rig, topic, index, &batch).error, 0);
    }
}

static const struct pl_done *append_bytes(uint64_t handle, bool coordinator,
                                          enum pl_append_wait wait) {
    struct rig_batch batch = rig_plain(&rig, 3, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    uint64_t token = rig_token(&rig);
    pl_broker_append(rig.broker, token, handle, bytes, n, coordinator, wait);
    return rig_await(&rig, token);
}

static void a_partition_serves_again_what_it_had_when_it_was_closed(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3);
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    struct pl_partition_offsets offsets;
    CHECK_EQ(pl_broker_partition_offsets(rig.broker, handle, &offsets), 6);
    uint64_t again = rig_add_partition(&rig, "topic", 0);
    CHECK(again != handle);
    CHECK_OK(pl_broker_partition_offsets(rig.broker, again, &offsets));
    CHECK_EQ(offsets.high_watermark, 6);
    CHECK_EQ(offsets.leader_epoch, 3);
    rig_close(&rig);
}

static void a_deleted_partition_begins_anew(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3);
    CHECK_EQ(rig_remove(&rig, handle, true), 0);
    handle = rig_add_partition(&rig, "topic", 0);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.log_end, 0);
    rig_close(&rig);
}

static void a_place_is_taken_once(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    rig_add_partition(&rig, "topic", 0);
    struct pl_partition_opened opened = rig_try_add(&rig, "topic", 0, &config);
    CHECK_EQ(opened.error, -1);
    CHECK_EQ(opened.handle, 0);
    CHECK_EQ(rig_try_add(&rig, "topic", -1, &config).error, -1);
    rig_close(&rig);
}

static void a_log_that_cannot_be_opened_answers_storage_errors(void) {
    rig_open(&rig, NULL);
    char command[128];
    snprintf(command, sizeof command, "touch %s/topic-0", rig.folder);
    CHECK_OK(system(command)); /* a file is where the folder should be */
    struct pl_log_config config = rig_config();
    struct pl_partition_opened opened = rig_try_add(&rig, "topic", 0, &config);
    CHECK_EQ(opened.error, 56);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 56);
    struct rig_want want = {.topic = "topic", .max_bytes = 1000};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 56);
    fetch.version = 5; /* does not know that code */
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 6);
    struct pl_partition_offsets offsets;
    CHECK_EQ(pl_broker_partition_offsets(rig.broker, opened.handle, &offsets), 56);
    CHECK(offsets.offline);
    CHECK_EQ(append_bytes(opened.handle, false, PL_WAIT_COMMITTED)->error, 56);
    CHECK_EQ(rig_remove(&rig, opened.handle, false), 0);
    rig_close(&rig);
}

static void bytes_behind_the_last_whole_batch_are_cut_and_told(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 2);
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    char command[160];
    snprintf(command, sizeof command, "printf torn >> %s/topic-0/00000000000000000000.log",
             rig.folder);
    CHECK_OK(system(command));
    struct pl_log_config config = rig_config();
    struct pl_partition_opened opened = rig_try_add(&rig, "topic", 0, &config);
    CHECK_EQ(opened.error, 0);
    CHECK_EQ(opened.bytes_cut, 4);
    CHECK_EQ(opened.end_offset, 4);
    CHECK(opened.bytes_scanned > 0);
    CHECK(!opened.cut_below_recovery_point);
    rig_close(&rig);
}

enum { PARTITIONS = 300 };

/* A call that opens PARTITIONS logs of "topic". */
static uint64_t open_many(int32_t parallel) {
    static char folders[PARTITIONS][128];
    static struct pl_partition_open opens[PARTITIONS];
    struct pl_log_config config = rig_config();
    for (int32_t i = 0; i < PARTITIONS; i++) {
        snprintf(folders[i], sizeof folders[i], "%s/topic-%d", rig.folder, (int)i);
        opens[i] = (struct pl_partition_open){
            .topic = "topic", .partition = i, .folder = folders[i], .config = &config};
    }
    uint64_t token = rig_token(&rig);
    pl_broker_open_partitions(rig.broker, token, opens, PARTITIONS, parallel);
    return token;
}

static int16_t fetch_error(int32_t partition) {
    struct rig_want want = {.topic = "topic", .index = partition, .max_bytes = 1000};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    return rig_fetch_now(&rig, &fetch).parts[0].error;
}

static void the_first_serves_while_the_last_waits(struct rig *one,
                                                  const struct pl_partition_opened *opened) {
    CHECK_EQ(opened->error, 0);
    if (one->opened == 1) {
        CHECK_EQ(fetch_error(0), 0);
        CHECK_EQ(fetch_error(PARTITIONS - 1), 6); /* NOT_LEADER_OR_FOLLOWER */
    }
}

static void each_partition_is_served_as_soon_as_it_is_open(void) {
    rig_open(&rig, NULL);
    rig.on_opened = the_first_serves_while_the_last_waits;
    uint64_t token = open_many(1);
    CHECK_EQ(rig_await(&rig, token)->error, 0);
    CHECK_EQ(rig.opened, PARTITIONS);
    CHECK_EQ(fetch_error(PARTITIONS - 1), 0);
    rig_close(&rig);
}

static int opened_after_all;

static void cancel_the_others(struct rig *one, const struct pl_partition_opened *opened) {
    opened_after_all += opened->error == 0;
    if (one->opened == 1) {
        pl_broker_cancel_openings(one->broker);
    }
}

static void an_opening_that_is_cancelled_leaves_the_others_closed(void) {
    rig_open(&rig, NULL);
    opened_after_all = 0;
    rig.on_opened = cancel_the_others;
    CHECK_EQ(rig_await(&rig, open_many(1))->error, 0);
    CHECK_EQ(rig.opened, PARTITIONS);
    CHECK_EQ(opened_after_all, 1);
    rig_close(&rig);
}

static void a_failed_disk_takes_its_partitions_offline(void) {
    rig_open(&rig, NULL);
    uint64_t bad = rig_add_partition(&rig, "topic", 0);
    rig_add_partition(&rig, "topic", 1);
    append_batches("topic", 0, 1);
    struct rig_want want = {.topic = "topic", .offset = 2, .max_bytes = 1000};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.min_bytes = 1;
    fetch.max_wait_ms = 60000;
    struct rig_reply waiting = {0};
    rig_fetch(&rig, &waiting, &fetch);
    rig_turn(&rig);
    CHECK(!waiting.completed);
    pl_broker_fail_partitions(rig.broker, &bad, 1);
    rig_turn(&rig);
    CHECK(waiting.completed);
    rig_forget(&waiting);
    CHECK_EQ(rig.offline, 1);
    CHECK_EQ(fetch_error(0), 56); /* KAFKA_STORAGE_ERROR */
    CHECK_EQ(fetch_error(1), 0);
    append_batches("topic", 1, 1);
    rig_close(&rig);
}

static void many_partitions_open_and_close_in_one_call(void) {
    rig_open(&rig, NULL);
    uint64_t token = open_many(0);
    const struct pl_done *done = rig_await(&rig, token);
    CHECK_EQ(done->length, PARTITIONS * sizeof(struct pl_partition_opened));
    const struct pl_partition_opened *opened = (const void *)done->data;
    static uint64_t handles[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        CHECK_EQ(opened[i].error, 0);
        handles[i] = opened[i].handle;
    }
    append_batches("topic", PARTITIONS - 1, 1);
    token = rig_token(&rig);
    pl_broker_close_partitions(rig.broker, token, handles, PARTITIONS, true);
    CHECK_EQ(rig_await(&rig, token)->error, 0);
    struct rig_want want = {.topic = "topic", .max_bytes = 1000};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    CHECK_EQ(rig_fetch_now(&rig, &fetch).parts[0].error, 3);
    rig_close(&rig);
}

static void calls_without_partitions_are_done_at_once(void) {
    rig_open(&rig, NULL);
    uint64_t opening = rig_token(&rig), closing = rig_token(&rig);
    pl_broker_open_partitions(rig.broker, opening, NULL, 0, 0);
    CHECK_EQ(rig.done[opening].error, 0);
    pl_broker_close_partitions(rig.broker, closing, NULL, 0, false);
    CHECK(rig.is_done[closing]);
    rig_close(&rig);
}

static void what_the_control_plane_appends_is_told_with_its_offsets(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = PL_DURABILITY_FSYNC;
    uint64_t handle = rig_add_with(&rig, "__consumer_offsets", 0, &config);
    const struct pl_done *done = append_bytes(handle, true, PL_WAIT_COMMITTED);
    CHECK_EQ(done->error, 0);
    CHECK_EQ(done->value, 0);
    CHECK_EQ(done->value2, 3);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.high_watermark, 3);
    done = append_bytes(handle, true, PL_WAIT_WRITTEN);
    CHECK_EQ(done->value, 3);
    CHECK_EQ(append_bytes(handle + 1, true, PL_WAIT_COMMITTED)->error, 6);
    rig_close(&rig);
}

static void batches_are_read_up_to_the_high_watermark_or_the_end(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3);
    uint64_t token = rig_token(&rig);
    pl_broker_read(rig.broker, token, handle, 3, 1, false);
    const struct pl_done *done = rig_await(&rig, token);
    CHECK_EQ(done->error, 0);
    CHECK_EQ(done->value, 4);
    struct pl_batch_reader reader = pl_batch_reader_open(done->data, done->length);
    struct pl_batch batch;
    CHECK(pl_batch_reader_next(&reader, &batch));
    CHECK_EQ(batch.header.base_offset, 2);
    CHECK(!pl_batch_reader_next(&reader, &batch));
    token = rig_token(&rig);
    pl_broker_read(rig.broker, token, handle, 6, 1 << 20, true);
    done = rig_await(&rig, token);
    CHECK_EQ(done->error, 0);
    CHECK_EQ(done->length, 0);
    CHECK_EQ(done->value, 6);
    token = rig_token(&rig);
    pl_broker_read(rig.broker, token, handle, 7, 1 << 20, true);
    CHECK_EQ(rig_await(&rig, token)->error, 1);
    rig_close(&rig);
}

static const struct pl_done *find_time(uint64_t handle, int64_t timestamp_ms) {
    uint64_t token = rig_token(&rig);
    pl_broker_find_time(rig.broker, token, handle, timestamp_ms, false);
    return rig_await(&rig, token);
}

static void records_are_found_by_time(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    int64_t start_ms = rig.wall_ms;
    for (int i = 0; i < 3; i++) {
        append_batches("topic", 0, 1);
        rig_pass(&rig, 1000);
    }
    const struct pl_done *done = find_time(handle, start_ms + 500);
    CHECK_EQ(done->error, 0);
    CHECK_EQ(done->value, 2);
    CHECK_EQ(done->value2, start_ms + 1000);
    int32_t epoch;
    CHECK_EQ(done->length, sizeof epoch);
    memcpy(&epoch, done->data, sizeof epoch);
    CHECK_EQ(epoch, 3);
    done = find_time(handle, start_ms + 5000);
    CHECK_EQ(done->value, -1);
    CHECK_EQ(done->value2, -1);
    done = find_time(handle, -3);
    CHECK_EQ(done->value, 4);
    CHECK_EQ(done->value2, start_ms + 2000);
    rig_close(&rig);
}

static void records_are_deleted_up_to_the_high_watermark(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 3);
    const int64_t asked[] = {2, 1, 7, -1}, start[] = {2, 2, -1, 6};
    const int16_t error[] = {0, 0, 1, 0};
    for (size_t i = 0; i < 4; i++) {
        uint64_t token = rig_token(&rig);
        pl_broker_delete_records(rig.broker, token, handle, asked[i]);
        const struct pl_done *done = rig_await(&rig, token);
        CHECK_EQ(done->error, error[i]);
        CHECK_EQ(done->value, start[i]);
    }
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.log_start, 6);
    rig_close(&rig);
}

static void the_end_of_an_epoch_is_told(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 2);
    int32_t epoch;
    int64_t end;
    CHECK_OK(pl_broker_epoch_end(rig.broker, handle, 3, &epoch, &end));
    CHECK_EQ(epoch, 3);
    CHECK_EQ(end, 4);
    CHECK_EQ(pl_broker_epoch_end(rig.broker, handle + 1, 3, &epoch, &end), 6);
    CHECK_EQ(epoch, -1);
    rig_close(&rig);
}

static void a_new_configuration_holds_for_the_next_batch(void) {
    rig_open(&rig, NULL);
    uint64_t handle = rig_add_partition(&rig, "topic", 0);
    append_batches("topic", 0, 1);
    struct pl_log_config config = rig_config();
    config.max_message_bytes = 100;
    pl_broker_configure_partition(rig.broker, handle, &config);
    struct rig_batch batch = rig_plain(&rig, 2, 100);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 10);
    rig_close(&rig);
}

static void housekeeping_applies_retention(void) {
    const struct rig_options options = {
        .fetch_max_bytes = 1 << 20, .session_slots = 1, .housekeep_interval_ms = 60000};
    rig_open(&rig, &options);
    struct pl_log_config config = rig_config();
    config.retention_ms = 30000;
    config.segment_bytes = 500;
    uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
    append_batches("topic", 0, 5);
    struct pl_partition_offsets offsets;
    for (int round = 0; round < 2; round++) {
        rig_pass(&rig, 60001);
        do {
            rig_wait_for_mail(&rig);
            rig_turn(&rig);
            CHECK_OK(pl_broker_partition_offsets(rig.broker, handle, &offsets));
        } while (offsets.log_start < 10 * (round + 1));
        while (rig.broker->housekeeping != NULL) { /* only its end sets the next timer */
            rig_wait_for_mail(&rig);
            rig_turn(&rig);
        }
        append_batches("topic", 0, 5);
    }
    rig_close(&rig);
}

static void flush_messages_1_is_durable_like_fsync(void) {
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.flush_messages = 1;
    uint64_t handle = rig_add_with(&rig, "topic", 0, &config);
    append_batches("topic", 0, 1);
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.flushed_end, 2);
    rig_close(&rig);
}

static void what_is_open_is_closed_at_the_end(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.acks = 0;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &single.produce));
    pl_broker_before_sleep(rig.broker); /* a flush is under way */
    uint64_t token = rig_token(&rig);
    pl_broker_close_partitions(rig.broker, token, &handle, 1, false);
    CHECK(!rig.is_done[token]);
    rig_single_close(&single);
    rig_close(&rig);
    CHECK(rig.is_done[token]);
}

struct reading {
    uint64_t handle;
    atomic_bool stop;
    int64_t highest;
};

static void *read_offsets(void *argument) {
    struct reading *reading = argument;
    while (!atomic_load(&reading->stop)) {
        struct pl_partition_offsets offsets;
        if (pl_broker_partition_offsets(rig.broker, reading->handle, &offsets) == 0) {
            CHECK(offsets.high_watermark >= reading->highest);
            CHECK(offsets.last_stable <= offsets.high_watermark);
            CHECK(offsets.high_watermark <= offsets.log_end);
            reading->highest = offsets.high_watermark;
        }
    }
    return NULL;
}

static void offsets_may_be_read_by_another_thread_all_the_time(void) {
    rig_open(&rig, NULL);
    struct reading reading = {.handle = rig_add_partition(&rig, "topic", 0)};
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, read_offsets, &reading));
    append_batches("topic", 0, 500);
    CHECK_EQ(rig_remove(&rig, reading.handle, true), 0);
    atomic_store(&reading.stop, true);
    CHECK_OK(pthread_join(thread, NULL));
    rig_close(&rig);
}

int main(void) {
    RUN(a_partition_serves_again_what_it_had_when_it_was_closed);
    RUN(a_deleted_partition_begins_anew);
    RUN(a_place_is_taken_once);
    RUN(a_log_that_cannot_be_opened_answers_storage_errors);
    RUN(bytes_behind_the_last_whole_batch_are_cut_and_told);
    RUN(many_partitions_open_and_close_in_one_call);
    RUN(each_partition_is_served_as_soon_as_it_is_open);
    RUN(an_opening_that_is_cancelled_leaves_the_others_closed);
    RUN(a_failed_disk_takes_its_partitions_offline);
    RUN(calls_without_partitions_are_done_at_once);
    RUN(what_the_control_plane_appends_is_told_with_its_offsets);
    RUN(batches_are_read_up_to_the_high_watermark_or_the_end);
    RUN(records_are_found_by_time);
    RUN(records_are_deleted_up_to_the_high_watermark);
    RUN(the_end_of_an_epoch_is_told);
    RUN(a_new_configuration_holds_for_the_next_batch);
    RUN(housekeeping_applies_retention);
    RUN(flush_messages_1_is_durable_like_fsync);
    RUN(what_is_open_is_closed_at_the_end);
    RUN(offsets_may_be_read_by_another_thread_all_the_time);
    return check_end();
}
