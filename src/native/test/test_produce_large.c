/* Produce of large batches, which a worker writes: what goes on meanwhile, and how it may end. */
#include <semaphore.h>

#include "base/buf.h"
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

/* ---- a disk that lets large writes wait ---- */

enum { LARGE_BYTES = 48 * 1024, AT_ONCE = 2 }; /* of a batch; so many are one large write */

static sem_t may_write;
static atomic_int writes_begun;

static enum pl_err write_when_told(void *context, int fd, const struct iovec *iov, int count,
                                   uint64_t at) {
    if (iov->iov_len >= LARGE_BYTES) {
        atomic_fetch_add(&writes_begun, 1);
        while (sem_wait(&may_write) != 0) {
        }
    }
    return rig_write(context, fd, iov, count, at);
}

static uint64_t open_topic(enum pl_durability durability) {
    CHECK_OK(sem_init(&may_write, 0, 0));
    atomic_store(&writes_begun, 0);
    uint64_t handle = rig_open_topic(&rig, durability);
    rig.fs.write_at = write_when_told; /* the broker has the table's address */
    return handle;
}

static void let_write(int writes) {
    while (writes-- > 0) {
        CHECK_OK(sem_post(&may_write));
    }
}

static void close_rig(void) {
    rig_close(&rig);
    CHECK_OK(sem_destroy(&may_write));
}

struct large { /* requests of one turn, each with a large batch, in buffers of the pool */
    struct pl_buf *memory[AT_ONCE];
    struct rig_reply replies[AT_ONCE];
};

static void send_large(struct large *large, int16_t acks) {
    struct rig_batch batch = rig_plain(&rig, 1, LARGE_BYTES);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.acks = acks;
    for (int i = 0; i < AT_ONCE; i++) {
        large->memory[i] = pl_buf_take(rig.pool, RIG_FRAME);
        CHECK(large->memory[i] != NULL);
        large->replies[i] = (struct rig_reply){0};
        rig.memory = large->memory[i];
        size_t length = rig_write_produce(rig.memory->bytes, RIG_FRAME, &single.produce);
        CHECK_OK(rig_send(&rig, &large->replies[i], 0, single.produce.version, rig.memory->bytes,
                          length, NULL));
        rig.memory = NULL;
        pl_buf_give(large->memory[i]); /* as the connection does when the turn ends */
    }
    rig_single_close(&single);
    pl_broker_before_sleep(rig.broker);
}

static bool is_answered(const struct large *large) {
    return large->replies[0].completed && large->replies[AT_ONCE - 1].completed;
}

static void check_answers(struct large *large, int64_t first_offset, int16_t error) {
    for (int i = 0; i < AT_ONCE; i++) {
        struct rig_produced produced = rig_produced(&large->replies[i]);
        CHECK_EQ(produced.error, error);
        CHECK_EQ(produced.base_offset, error == 0 ? first_offset + i : -1);
        rig_forget(&large->replies[i]);
    }
}

static void await_answers(struct large *large) {
    rig_until(&rig, &large->replies[AT_ONCE - 1].completed);
    CHECK(is_answered(large));
}

/* ---- tests ---- */

static void others_are_served_while_a_large_batch_is_written(void) {
    uint64_t handle = open_topic(PL_DURABILITY_OS);
    rig_add_partition(&rig, "other", 0);
    struct rig_batch small = rig_plain(&rig, 1, 10);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &small).base_offset, 0);
    struct large large;
    send_large(&large, -1);
    CHECK(!is_answered(&large));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rig_produce_batch(&rig, 9, "other", &small).base_offset, i);
    }
    struct pl_partition_offsets offsets = rig_offsets(&rig, handle);
    CHECK_EQ(offsets.log_end, 1); /* as far as it can be read */
    CHECK_EQ(offsets.high_watermark, 1);
    CHECK(large.memory[0]->references == 1); /* held until it is written */
    let_write(1);
    await_answers(&large);
    check_answers(&large, 1, 0);
    CHECK_EQ(atomic_load(&writes_begun), 1);
    CHECK_EQ(rig_offsets(&rig, handle).high_watermark, 3);
    close_rig();
}

static void small_batches_are_written_in_their_turn(void) {
    open_topic(PL_DURABILITY_OS);
    struct rig_batch small = rig_plain(&rig, 1, LARGE_BYTES / 2);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &small).base_offset, 0);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &small).base_offset, 1);
    close_rig();
}

static void what_follows_a_large_batch_waits_for_it(void) {
    open_topic(PL_DURABILITY_OS);
    struct large large, next;
    send_large(&large, 1);
    struct rig_batch batch = rig_of_producer(&rig, 1, 0);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply small = {0}, again = {0};
    CHECK_OK(rig_produce(&rig, &small, &single.produce));
    pl_broker_before_sleep(rig.broker);
    CHECK_OK(rig_produce(&rig, &again, &single.produce)); /* a repetition waits alike */
    pl_broker_before_sleep(rig.broker);
    send_large(&next, 1);
    CHECK(!is_answered(&large) && !small.completed && !again.completed && !is_answered(&next));
    let_write(1);
    await_answers(&large);
    CHECK(!small.completed && !is_answered(&next)); /* they are one write, and large */
    let_write(1);
    await_answers(&next);
    CHECK_EQ(rig_produced(&small).base_offset, AT_ONCE);
    CHECK_EQ(rig_produced(&again).base_offset, AT_ONCE);
    check_answers(&large, 0, 0);
    check_answers(&next, AT_ONCE + 1, 0);
    rig_forget(&small);
    rig_forget(&again);
    rig_single_close(&single);
    close_rig();
}

static void readers_see_a_large_batch_when_it_is_written(void) {
    open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, 1);
    struct rig_want want = {.topic = "topic", .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.max_wait_ms = 500;
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    rig_turn(&rig);
    CHECK(!reply.completed);
    let_write(1);
    rig_until(&rig, &reply.completed);
    CHECK(reply.length > LARGE_BYTES * AT_ONCE);
    await_answers(&large);
    check_answers(&large, 0, 0);
    rig_forget(&reply);
    close_rig();
}

static void with_fsync_a_large_batch_is_flushed_after_it_is_written(void) {
    uint64_t handle = open_topic(PL_DURABILITY_FSYNC);
    struct large large;
    send_large(&large, -1);
    CHECK_EQ(rig_offsets(&rig, handle).flushed_end, 0);
    let_write(1);
    await_answers(&large);
    CHECK_EQ(rig_offsets(&rig, handle).flushed_end, AT_ONCE);
    check_answers(&large, 0, 0);
    close_rig();
}

static void a_full_disk_fails_a_large_batch_and_what_follows_it(void) {
    uint64_t handle = open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply small = {0};
    CHECK_OK(rig_produce(&rig, &small, &single.produce));
    pl_broker_before_sleep(rig.broker);
    atomic_store(&rig.disk_is_full, true);
    let_write(1);
    await_answers(&large);
    check_answers(&large, 0, 56);
    CHECK_EQ(rig_produced(&small).error, 56);
    CHECK_EQ(rig_offsets(&rig, handle).log_end, 0);
    atomic_store(&rig.disk_is_full, false);
    CHECK_EQ(rig_produce_now(&rig, &single.produce).base_offset, 0);
    CHECK_EQ(rig.offline, 0);
    rig_forget(&small);
    rig_single_close(&single);
    close_rig();
}

static void a_disk_error_takes_the_log_offline(void) {
    open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    atomic_store(&rig.write_fails, true);
    let_write(1);
    await_answers(&large);
    check_answers(&large, 0, 56);
    CHECK_EQ(rig.offline, 1);
    close_rig();
}

static void a_partition_that_fails_meanwhile_answers_at_once(void) {
    uint64_t handle = open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    pl_broker_fail_partitions(rig.broker, &handle, 1);
    CHECK(is_answered(&large));
    check_answers(&large, 0, 56);
    let_write(1);
    close_rig(); /* the write ends after its partition */
}

static void acks_0_waits_for_the_write_too(void) {
    open_topic(PL_DURABILITY_FSYNC);
    struct large large;
    send_large(&large, 0);
    CHECK(!is_answered(&large)); /* so that its connection is not read without a bound */
    let_write(1);
    await_answers(&large);
    for (int i = 0; i < AT_ONCE; i++) {
        CHECK_EQ(large.replies[i].length, 0);
        rig_forget(&large.replies[i]);
    }
    close_rig();
}

static void a_failed_write_without_an_answer_is_told_to_nobody(void) {
    open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, 0);
    atomic_store(&rig.disk_is_full, true);
    let_write(1);
    await_answers(&large);
    CHECK_EQ(large.replies[0].length, 0);
    rig_forget(&large.replies[0]);
    rig_forget(&large.replies[1]);
    close_rig();
}

static void a_connection_that_goes_away_leaves_its_batch_to_the_write(void) {
    uint64_t handle = open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    rig_cancel(&large.replies[0]);
    let_write(1);
    rig_until(&rig, &large.replies[1].completed);
    CHECK_EQ(rig_produced(&large.replies[1]).base_offset, 1);
    CHECK_EQ(rig_offsets(&rig, handle).high_watermark, AT_ONCE);
    rig_forget(&large.replies[1]);
    close_rig();
}

static void closing_waits_for_the_write_and_what_follows_it(void) {
    for (int deleted = 0; deleted < 2; deleted++) {
        uint64_t handle = open_topic(PL_DURABILITY_FSYNC);
        struct large large;
        send_large(&large, -1);
        struct rig_batch batch = rig_plain(&rig, 1, 10);
        struct rig_single single;
        rig_single_open(&single, "topic", &batch);
        struct rig_reply small = {0};
        CHECK_OK(rig_produce(&rig, &small, &single.produce));
        pl_broker_before_sleep(rig.broker);
        uint64_t token = rig_token(&rig);
        pl_broker_close_partitions(rig.broker, token, &handle, 1, deleted == 1);
        rig_turn(&rig);
        CHECK(!rig.is_done[token]);
        CHECK_EQ(is_answered(&large), deleted == 1);
        let_write(1);
        CHECK_EQ(rig_await(&rig, token)->error, 0);
        check_answers(&large, 0, deleted == 1 ? 3 : 0);
        CHECK_EQ(rig_produced(&small).error, deleted == 1 ? 3 : 0);
        CHECK_EQ(atomic_load(&writes_begun), 1);
        rig_forget(&small);
        rig_single_close(&single);
        if (deleted == 0) {
            handle = rig_add_partition(&rig, "topic", 0);
            CHECK_EQ(rig_offsets(&rig, handle).log_end, AT_ONCE + 1);
        }
        close_rig();
    }
}

static void the_broker_stops_after_the_write(void) {
    open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    struct rig_reply small = {0};
    CHECK_OK(rig_produce(&rig, &small, &single.produce));
    pl_broker_before_sleep(rig.broker);
    let_write(1);
    rig_cancel(&large.replies[0]);
    rig_cancel(&large.replies[1]);
    rig_cancel(&small);
    rig_single_close(&single);
    close_rig();
}

static void the_control_plane_appends_behind_a_large_batch(void) {
    uint64_t handle = open_topic(PL_DURABILITY_OS);
    struct large large;
    send_large(&large, -1);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    size_t n;
    uint8_t *bytes = rig_build(&batch, &n);
    uint64_t token = rig_token(&rig);
    pl_broker_append(rig.broker, token, handle, bytes, n, true, PL_WAIT_COMMITTED);
    rig_turn(&rig);
    CHECK(!rig.is_done[token]);
    let_write(1);
    CHECK_EQ(rig_await(&rig, token)->value, AT_ONCE);
    await_answers(&large);
    check_answers(&large, 0, 0);
    close_rig();
}

int main(void) {
    RUN(others_are_served_while_a_large_batch_is_written);
    RUN(small_batches_are_written_in_their_turn);
    RUN(what_follows_a_large_batch_waits_for_it);
    RUN(readers_see_a_large_batch_when_it_is_written);
    RUN(with_fsync_a_large_batch_is_flushed_after_it_is_written);
    RUN(a_full_disk_fails_a_large_batch_and_what_follows_it);
    RUN(a_disk_error_takes_the_log_offline);
    RUN(a_partition_that_fails_meanwhile_answers_at_once);
    RUN(acks_0_waits_for_the_write_too);
    RUN(a_failed_write_without_an_answer_is_told_to_nobody);
    RUN(a_connection_that_goes_away_leaves_its_batch_to_the_write);
    RUN(closing_waits_for_the_write_and_what_follows_it);
    RUN(the_broker_stops_after_the_write);
    RUN(the_control_plane_appends_behind_a_large_batch);
    return check_end();
}
