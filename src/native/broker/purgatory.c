#include "broker/purgatory.h"

#include "base/bytes.h"
#include "broker/error_code.h"
#include "broker/state.h"

static void wait_end(struct pl_wait *wait, int16_t error);
static void timer_fire(struct pl_timer *timer);

struct pl_produce *pl_produce_create(struct pl_broker *broker, int32_t partitions) {
    size_t size = sizeof(struct pl_produce) + (size_t)partitions * sizeof(struct pl_produce_wait);
    struct pl_buf *memory = pl_buf_take(broker->options.pool, size);
    if (memory == NULL) {
        return NULL;
    }
    struct pl_produce *produce = (void *)memory->bytes;
    *produce = (struct pl_produce){.broker = broker, .memory = memory};
    produce->timer.fire = timer_fire;
    return produce;
}

static void leave_all(struct pl_produce *produce) {
    for (int32_t i = 0; produce->waiting > 0 && i < produce->count; i++) {
        pl_ring_leave(&produce->waits[i].wait.link);
    }
    pl_timer_clear(produce->broker->options.timers, &produce->timer);
}

void pl_produce_drop(struct pl_produce *produce) {
    leave_all(produce);
    pl_chain_drop(&produce->answer);
    pl_buf_give(produce->memory);
}

static void cancel(void *waiter) {
    pl_produce_drop(waiter);
}

static void complete(struct pl_produce *produce) {
    struct pl_reply *reply = produce->reply;
    leave_all(produce);
    reply->complete(reply, &produce->answer);
    pl_buf_give(produce->memory);
}

/* As Kafka's: only a failed append takes the offset back. */
static void set_error(const struct pl_produce_wait *wait, int16_t error) {
    if (wait->answer == NULL) {
        return;
    }
    pl_put_i16(wait->answer, error);
    if (error != PL_KAFKA_REQUEST_TIMED_OUT) {
        pl_put_i64(wait->answer + 2, -1);
    }
}

static void wait_end(struct pl_wait *wait, int16_t error) {
    struct pl_produce_wait *own = PL_CONTAINER(wait, struct pl_produce_wait, wait);
    struct pl_produce *produce = own->produce;
    if (error != PL_KAFKA_NONE) {
        set_error(own, error);
    }
    if (--produce->waiting == 0 && produce->reply != NULL) {
        complete(produce);
    }
}

static void timer_fire(struct pl_timer *timer) {
    struct pl_produce *produce = PL_CONTAINER(timer, struct pl_produce, timer);
    for (int32_t i = 0; i < produce->count; i++) {
        if (!pl_ring_is_empty(&produce->waits[i].wait.link)) {
            set_error(&produce->waits[i], PL_KAFKA_REQUEST_TIMED_OUT);
        }
    }
    complete(produce);
}

void pl_produce_await(struct pl_produce *produce, struct pl_partition *partition,
                      enum pl_level level, int64_t end_offset, uint8_t *answer) {
    struct pl_produce_wait *wait = &produce->waits[produce->count++];
    *wait = (struct pl_produce_wait){
        .wait = {.end_offset = end_offset, .end = wait_end}, .produce = produce, .answer = answer};
    produce->waiting++;
    pl_partition_wait(partition, level, &wait->wait);
}

void pl_produce_park(struct pl_produce *produce, struct pl_reply *reply, struct pl_chain *answer,
                     int32_t timeout_ms) {
    produce->reply = reply;
    produce->answer = *answer;
    if (produce->waiting == 0) {
        complete(produce);
        return;
    }
    reply->cancel = cancel;
    reply->waiter = produce;
    if (timeout_ms >= 0) {
        pl_timer_set(produce->broker->options.timers, &produce->timer,
                     pl_broker_monotonic_ms(produce->broker) + (uint64_t)timeout_ms + 1);
    }
}
