/* Incremental fetch sessions (KIP-227). */
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

static void open_with_slots(int32_t slots) {
    const struct rig_options options = {.fetch_max_bytes = 50 << 20, .session_slots = slots};
    rig_open(&rig, &options);
}

static void append_one(const char *topic, int32_t index) {
    struct rig_batch batch = rig_plain(&rig, 1, 100);
    CHECK_EQ(rig_append(&rig, topic, index, &batch).error, 0);
}

static struct rig_want want_of(const char *topic, int32_t index, int64_t offset) {
    return (struct rig_want){.topic = topic, .index = index, .offset = offset,
                             .max_bytes = 1 << 20};
}

/* A full request that asks for a session; returns its id. */
static int32_t begin(const struct rig_want *wants, int32_t count) {
    struct rig_fetch fetch = rig_fetch_of(wants, count);
    fetch.session_epoch = 0;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.error, 0);
    CHECK_EQ(fetched.count, count);
    return fetched.session_id;
}

static struct rig_fetch next_of(int32_t session_id, int32_t epoch, const struct rig_want *wants,
                                int32_t count) {
    struct rig_fetch fetch = rig_fetch_of(wants, count);
    fetch.session_id = session_id;
    fetch.session_epoch = epoch;
    fetch.min_bytes = 0;
    return fetch;
}

static struct rig_fetched follow(int32_t session_id, int32_t epoch, const struct rig_want *wants,
                                 int32_t count) {
    struct rig_fetch fetch = next_of(session_id, epoch, wants, count);
    return rig_fetch_now(&rig, &fetch);
}

static void only_what_has_changed_is_answered(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    append_one("a", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    int32_t id = begin(wants, 2);
    CHECK(id > 0);
    wants[0].offset = 1;
    struct rig_fetched fetched = follow(id, 1, wants, 1);
    CHECK_EQ(fetched.error, 0);
    CHECK_EQ(fetched.session_id, id);
    CHECK_EQ(fetched.count, 0);
    append_one("b", 0);
    fetched = follow(id, 2, NULL, 0);
    CHECK_EQ(fetched.count, 1);
    CHECK(strcmp(fetched.parts[0].topic, "b") == 0);
    CHECK_EQ(fetched.parts[0].batches, 1);
    /* The client has not moved on: the records are sent again. */
    CHECK_EQ(follow(id, 3, NULL, 0).parts[0].batches, 1);
    rig_close(&rig);
}

static void without_a_session_everything_is_answered(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    struct rig_want want = want_of("a", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.session_id, 0);
    CHECK_EQ(fetched.count, 1);
    rig_close(&rig);
}

static void partitions_are_added_and_forgotten(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    append_one("a", 0);
    append_one("b", 0);
    struct rig_want a = want_of("a", 0, 0), b = want_of("b", 0, 0);
    int32_t id = begin(&a, 1);
    struct rig_fetch fetch = next_of(id, 1, &b, 1);
    fetch.forgotten = &a;
    fetch.forgotten_count = 1;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.count, 1);
    CHECK(strcmp(fetched.parts[0].topic, "b") == 0);
    /* With its last partition the session goes. */
    fetch = next_of(id, 2, NULL, 0);
    fetch.forgotten = &b;
    fetch.forgotten_count = 1;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.error, 0);
    CHECK_EQ(fetched.session_id, 0);
    CHECK_EQ(follow(id, 3, NULL, 0).error, 70);
    rig_close(&rig);
}

static void a_wrong_epoch_and_an_unknown_session_are_errors(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    struct rig_want want = want_of("a", 0, 0);
    int32_t id = begin(&want, 1);
    CHECK_EQ(follow(id, 2, NULL, 0).error, 71);
    CHECK_EQ(follow(id + 1, 1, NULL, 0).error, 70);
    CHECK_EQ(follow(id, 1, NULL, 0).error, 0);
    CHECK_EQ(follow(id, 1, NULL, 0).error, 71);
    rig_close(&rig);
}

static void names_and_ids_are_not_mixed(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    append_one("a", 0);
    struct rig_want want = want_of("a", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.version = 13;
    fetch.session_epoch = 0;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].batches, 1);
    int32_t id = fetched.session_id;
    CHECK_EQ(follow(id, 1, NULL, 0).error, 106);
    fetch = next_of(id, 1, NULL, 0);
    fetch.version = 17;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.error, 0);
    CHECK(strcmp(fetched.parts[0].topic, "a") == 0);
    rig_close(&rig);
}

static void a_full_request_closes_the_session_that_it_names(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    struct rig_want want = want_of("a", 0, 0);
    int32_t id = begin(&want, 1);
    CHECK_EQ(follow(id, -1, &want, 1).session_id, 0);
    CHECK_EQ(follow(id, 1, NULL, 0).error, 70);
    rig_close(&rig);
}

static void whoever_gave_records_goes_to_the_end(void) {
    open_with_slots(10);
    struct rig_want wants[3];
    for (int32_t i = 0; i < 3; i++) {
        rig_add_partition(&rig, "topic", i);
        append_one("topic", i);
        wants[i] = want_of("topic", i, 0);
    }
    struct rig_fetch fetch = rig_fetch_of(wants, 3);
    fetch.session_epoch = 0;
    fetch.max_bytes = 1;
    int32_t id = rig_fetch_now(&rig, &fetch).session_id;
    const int32_t expected[] = {0, 1, 2, 0};
    for (int32_t i = 0; i < 4; i++) {
        fetch = next_of(id, i + 1, NULL, 0);
        fetch.max_bytes = 1; /* room for one batch, which nobody acknowledges */
        struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
        CHECK_EQ(fetched.count, 1);
        CHECK_EQ(fetched.parts[0].index, expected[i]);
        CHECK_EQ(fetched.parts[0].batches, 1);
    }
    rig_close(&rig);
}

static void a_high_watermark_is_told_without_records_when_there_is_no_room(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    int32_t id = begin(wants, 2);
    append_one("a", 0);
    append_one("b", 0);
    struct rig_fetch fetch = next_of(id, 1, NULL, 0);
    fetch.max_bytes = 1;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.count, 2);
    CHECK_EQ(fetched.parts[0].batches, 1);
    CHECK_EQ(fetched.parts[1].batches, 0);
    CHECK_EQ(fetched.parts[1].high_watermark, 1);
    rig_close(&rig);
}

static void neighbours_of_one_topic_are_answered_together(void) {
    open_with_slots(10);
    struct rig_want wants[3];
    for (int32_t i = 0; i < 3; i++) {
        rig_add_partition(&rig, "topic", i);
        wants[i] = want_of("topic", i, 0);
    }
    int32_t id = begin(wants, 3);
    append_one("topic", 0);
    append_one("topic", 2);
    struct rig_fetch fetch = next_of(id, 1, NULL, 0);
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    struct rig_fetched fetched = rig_fetched(&reply);
    CHECK_EQ(fetched.count, 2);
    CHECK_EQ(fetched.parts[1].index, 2);
    /* header tags, throttle time, error, session id, then the count of topics + 1 */
    CHECK_EQ(reply.bytes[1 + 4 + 2 + 4], 2);
    rig_forget(&reply);
    rig_close(&rig);
}

static void a_session_waits_for_all_its_partitions(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    int32_t id = begin(wants, 2);
    struct rig_fetch fetch = next_of(id, 1, NULL, 0);
    fetch.min_bytes = 1;
    fetch.max_wait_ms = 1000;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK(!reply.completed);
    append_one("b", 0);
    CHECK_EQ(rig_fetched(&reply).count, 1);
    rig_forget(&reply);
    rig_close(&rig);
}

static void a_request_that_overtakes_a_waiting_one_invalidates_it(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "a", 0);
    struct rig_want want = want_of("a", 0, 0);
    int32_t id = begin(&want, 1);
    struct rig_fetch fetch = next_of(id, 1, NULL, 0);
    fetch.min_bytes = 1;
    fetch.max_wait_ms = 1000;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(follow(id, 2, NULL, 0).error, 0);
    append_one("a", 0);
    CHECK_EQ(rig_fetched(&reply).error, 71);
    CHECK_EQ(rig_fetched(&reply).count, 0);
    rig_forget(&reply);
    rig_close(&rig);
}

static void a_topic_may_come_and_go_under_a_session(void) {
    open_with_slots(10);
    struct rig_want want = want_of("late", 0, 0);
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.session_epoch = 0;
    struct rig_fetched fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.parts[0].error, 3);
    int32_t id = fetched.session_id;
    CHECK_EQ(follow(id, 1, NULL, 0).parts[0].error, 3); /* an error is told every time */
    uint64_t handle = rig_add_partition(&rig, "late", 0);
    append_one("late", 0);
    CHECK_EQ(follow(id, 2, NULL, 0).parts[0].batches, 1);
    CHECK_EQ(rig_remove(&rig, handle, true), 0);
    fetched = follow(id, 3, NULL, 0);
    CHECK_EQ(fetched.parts[0].error, 3);
    CHECK(strcmp(fetched.parts[0].topic, "late") == 0);
    rig_add_partition(&rig, "late", 0);
    fetched = follow(id, 4, NULL, 0);
    CHECK_EQ(fetched.count, 1); /* the high watermark is told again after an error */
    CHECK_EQ(fetched.parts[0].high_watermark, 0);
    rig_close(&rig);
}

static void without_a_slot_there_is_no_session(void) {
    open_with_slots(1);
    rig_add_partition(&rig, "a", 0);
    struct rig_want want = want_of("a", 0, 0);
    int32_t id = begin(&want, 1);
    CHECK(id != 0);
    CHECK_EQ(begin(&want, 1), 0);
    CHECK_EQ(follow(id, 1, NULL, 0).error, 0);
    rig_close(&rig);
}

static void a_stale_session_makes_room(void) {
    open_with_slots(2);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    int32_t stale = begin(wants, 2), used = begin(wants, 1);
    rig_pass(&rig, 119000);
    CHECK_EQ(follow(used, 1, NULL, 0).error, 0);
    rig_pass(&rig, 2000);
    CHECK(begin(wants, 1) != 0);
    CHECK_EQ(follow(stale, 1, NULL, 0).error, 70);
    CHECK_EQ(follow(used, 2, NULL, 0).error, 0);
    rig_close(&rig);
}

static void a_larger_session_takes_the_slot_of_a_smaller_one_that_is_old(void) {
    open_with_slots(2);
    rig_add_partition(&rig, "a", 0);
    rig_add_partition(&rig, "b", 0);
    struct rig_want wants[] = {want_of("a", 0, 0), want_of("b", 0, 0)};
    int32_t large = begin(wants, 2), small = begin(wants, 1);
    CHECK_EQ(begin(wants, 2), 0);
    rig_pass(&rig, 119000);
    CHECK_EQ(follow(large, 1, NULL, 0).error, 0);
    CHECK_EQ(follow(small, 1, NULL, 0).error, 0);
    rig_pass(&rig, 2000); /* both are older than two minutes now, and were used since */
    CHECK(begin(wants, 2) != 0);
    CHECK_EQ(follow(small, 2, NULL, 0).error, 70);
    CHECK_EQ(follow(large, 2, NULL, 0).error, 0);
    rig_close(&rig);
}

static void many_partitions_of_a_session_are_found_again(void) {
    open_with_slots(10);
    rig_add_partition(&rig, "topic", 0);
    static struct rig_want wants[RIG_ANSWERS];
    for (int32_t i = 0; i < RIG_ANSWERS; i++) {
        wants[i] = want_of("topic", i, 0); /* but the first they do not exist */
    }
    int32_t id = begin(wants, RIG_ANSWERS);
    append_one("topic", 0);
    struct rig_fetched fetched = follow(id, 1, wants, RIG_ANSWERS);
    CHECK_EQ(fetched.count, RIG_ANSWERS);
    struct rig_fetch fetch = next_of(id, 2, NULL, 0);
    fetch.forgotten = wants + 1;
    fetch.forgotten_count = RIG_ANSWERS - 1;
    fetched = rig_fetch_now(&rig, &fetch);
    CHECK_EQ(fetched.count, 1);
    CHECK_EQ(fetched.parts[0].batches, 1);
    rig_close(&rig);
}

int main(void) {
    RUN(only_what_has_changed_is_answered);
    RUN(without_a_session_everything_is_answered);
    RUN(partitions_are_added_and_forgotten);
    RUN(a_wrong_epoch_and_an_unknown_session_are_errors);
    RUN(names_and_ids_are_not_mixed);
    RUN(a_full_request_closes_the_session_that_it_names);
    RUN(whoever_gave_records_goes_to_the_end);
    RUN(a_high_watermark_is_told_without_records_when_there_is_no_room);
    RUN(neighbours_of_one_topic_are_answered_together);
    RUN(a_session_waits_for_all_its_partitions);
    RUN(a_request_that_overtakes_a_waiting_one_invalidates_it);
    RUN(a_topic_may_come_and_go_under_a_session);
    RUN(without_a_slot_there_is_no_session);
    RUN(a_stale_session_makes_room);
    RUN(a_larger_session_takes_the_slot_of_a_smaller_one_that_is_old);
    RUN(many_partitions_of_a_session_are_found_again);
    return check_end();
}
