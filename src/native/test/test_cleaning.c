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
    RUN(a_topic_may_be_deleted_while_it_is_compacted);
    RUN(a_broker_may_stop_while_it_compacts);
    return check_end();
}
