/* A broker compacts the topics that ask for it, and lets go of them when they are closed. */
#include "rig_produce.h"

enum { ROUND_MS = 20 * 1000 };

static uint64_t add_compacted(struct rig *rig, const char *topic) {
    struct pl_log_config config = rig_config();
    config.segment_bytes = 4096;
    config.compact_policy = true;
    config.min_cleanable_dirty_ratio = 0;
    config.durability = PL_DURABILITY_FSYNC;
    return rig_add_with(rig, topic, 0, &config);
}

static void open_rig(struct rig *rig) {
    static const struct rig_options options = {
        .fetch_max_bytes = 1 << 20, .session_slots = 1, .housekeep_interval_ms = ROUND_MS};
    rig_open(rig, &options);
}

static void fill(struct rig *rig, const char *topic) {
    for (int i = 0; i < 40; i++) {
        struct rig_batch batch = rig_plain(rig, 2, 500);
        CHECK_EQ(rig_append(rig, topic, 0, &batch).error, 0);
    }
}

static struct pl_partition_offsets offsets_of(struct rig *rig, uint64_t handle) {
    struct pl_partition_offsets offsets;
    CHECK_EQ(pl_broker_partition_offsets(rig->broker, handle, &offsets), 0);
    return offsets;
}

static void a_compacted_topic_shrinks(void) {
    struct rig rig;
    open_rig(&rig);
    uint64_t handle = add_compacted(&rig, "compacted");
    uint64_t other = rig_add_partition(&rig, "plain", 0);
    fill(&rig, "compacted");
    fill(&rig, "plain");
    int64_t plain_bytes = offsets_of(&rig, other).size_bytes;
    CHECK(offsets_of(&rig, handle).size_bytes > 40000);
    rig_pass(&rig, ROUND_MS);
    while (offsets_of(&rig, handle).size_bytes > 12000) {
        rig_wait_for_mail(&rig);
        rig_turn(&rig);
    }
    CHECK_EQ(offsets_of(&rig, handle).log_end, 80);
    CHECK_EQ(offsets_of(&rig, other).size_bytes, plain_bytes);
    rig_close(&rig);
}

/* The byte that says how long the records of the first segment's first batch are. */
static void spoil_first_segment(struct rig *rig, const char *topic) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s-0/00000000000000000000.log", rig->folder, topic);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 100, SEEK_SET), 0);
    CHECK_EQ(fputc(0xff, file), 0xff);
    CHECK_EQ(fclose(file), 0);
}

static void a_log_with_a_rotten_batch_is_reported_once_and_left_alone(void) {
    struct rig rig;
    open_rig(&rig);
    uint64_t rotten = add_compacted(&rig, "rotten");
    uint64_t sound = add_compacted(&rig, "sound");
    fill(&rig, "rotten");
    fill(&rig, "sound");
    int64_t bytes = offsets_of(&rig, rotten).size_bytes;
    spoil_first_segment(&rig, "rotten");
    rig_pass(&rig, ROUND_MS);
    while (rig.uncleanable == 0 || offsets_of(&rig, sound).size_bytes > 12000) {
        rig_wait_for_mail(&rig);
        rig_turn(&rig);
    }
    CHECK_EQ(rig.uncleanable, rotten);
    CHECK(offsets_of(&rig, rotten).uncleanable);
    CHECK(!offsets_of(&rig, sound).uncleanable);
    CHECK_EQ(offsets_of(&rig, rotten).size_bytes, bytes);
    CHECK_EQ(offsets_of(&rig, rotten).cleaned_end, 0);
    CHECK(!offsets_of(&rig, rotten).offline);
    struct pl_engine_counters counters = {0};
    pl_broker_read_counters(rig.broker, &counters);
    CHECK_EQ(counters.clean_errors, 1);
    CHECK_EQ(counters.cleans, 1);
    CHECK(counters.clean_bytes_read > counters.clean_bytes_written);
    CHECK(counters.clean_records_removed > 60);
    rig_close(&rig);
}

static void several_logs_are_compacted_at_a_time(void) {
    struct rig rig;
    open_rig(&rig);
    static const char *const topics[] = {"a", "b", "c", "d", "e"};
    enum { TOPICS = sizeof topics / sizeof *topics };
    uint64_t handles[TOPICS];
    for (int i = 0; i < TOPICS; i++) {
        handles[i] = add_compacted(&rig, topics[i]);
        fill(&rig, topics[i]);
    }
    const struct pl_cleaner_settings settings = {
        .threads = 3,
        .map_bytes = 3 << 20,
        .map_load = 0.5,
        .io_bytes = 1,
        .bytes_per_second = 1e300,
        .backoff_ms = 1000,
    };
    pl_broker_configure_cleaner(rig.broker, &settings);
    rig_pass(&rig, 1000);
    for (int i = 0; i < TOPICS; i++) {
        while (offsets_of(&rig, handles[i]).size_bytes > 12000) {
            rig_wait_for_mail(&rig);
            rig_turn(&rig);
        }
    }
    rig_close(&rig);
}

static void a_cleaner_without_threads_rests(void) {
    struct rig rig;
    open_rig(&rig);
    uint64_t handle = add_compacted(&rig, "compacted");
    fill(&rig, "compacted");
    struct pl_cleaner_settings settings = {
        .map_bytes = 1 << 20, .map_load = 0.5, .bytes_per_second = 1e300, .backoff_ms = 1000};
    pl_broker_configure_cleaner(rig.broker, &settings);
    rig_pass(&rig, 1000);
    rig_pass(&rig, 1000);
    CHECK(offsets_of(&rig, handle).size_bytes > 40000);
    settings.threads = 1;
    pl_broker_configure_cleaner(rig.broker, &settings);
    rig_pass(&rig, 1000);
    while (offsets_of(&rig, handle).size_bytes > 12000) {
        rig_wait_for_mail(&rig);
        rig_turn(&rig);
    }
    rig_close(&rig);
}

static void a_topic_may_be_deleted_while_it_is_compacted(void) {
    for (int i = 0; i < 10; i++) {
        struct rig rig;
        open_rig(&rig);
        uint64_t handle = add_compacted(&rig, "compacted");
        fill(&rig, "compacted");
        rig_pass(&rig, ROUND_MS); /* the job is under way, or will be */
        CHECK_EQ(rig_remove(&rig, handle, i % 2 == 0), 0);
        rig_close(&rig);
    }
}

static void a_broker_may_stop_while_it_compacts(void) {
    for (int i = 0; i < 10; i++) {
        struct rig rig;
        open_rig(&rig);
        add_compacted(&rig, "compacted");
        fill(&rig, "compacted");
        rig_pass(&rig, ROUND_MS);
        rig_close(&rig);
    }
}

int main(void) {
    RUN(a_compacted_topic_shrinks);
    RUN(a_log_with_a_rotten_batch_is_reported_once_and_left_alone);
    RUN(several_logs_are_compacted_at_a_time);
    RUN(a_cleaner_without_threads_rests);
    RUN(a_topic_may_be_deleted_while_it_is_compacted);
    RUN(a_broker_may_stop_while_it_compacts);
    return check_end();
}
