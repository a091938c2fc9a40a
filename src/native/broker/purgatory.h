/* Produce answers that wait until what was appended is durable or committed.
 *
 * The answer is encoded when the request is handled; while it waits only error codes in it may
 * still change. It is completed when its last partition has ended, or by its timeout.
 */
#ifndef PYLOG_BROKER_PURGATORY_H
#define PYLOG_BROKER_PURGATORY_H

#include <stdint.h>

#include "base/reply.h"
#include "broker/partition.h"

struct pl_produce;

struct pl_produce_wait {
    struct pl_wait wait;
    struct pl_produce *produce;
    uint8_t *answer; /* error code i16, base offset i64: in the encoded answer; NULL: in none */
};

struct pl_produce { /* owned by itself until its answer is completed or canceled */
    struct pl_broker *broker;
    struct pl_reply *reply; /* NULL while the request is still being handled */
    struct pl_buf *memory;  /* in which this lies */
    struct pl_chain answer;
    struct pl_timer timer;
    int32_t count, waiting; /* waits in use; of them not ended */
    struct pl_produce_wait waits[];
};

/* With room for `partitions` waits; NULL without memory. */
PL_MUST_CHECK struct pl_produce *pl_produce_create(struct pl_broker *broker, int32_t partitions);
/* Only before park: lets go of everything. */
void pl_produce_drop(struct pl_produce *produce);
/* One more partition to wait for; `answer` as in struct pl_produce_wait. */
void pl_produce_await(struct pl_produce *produce, struct pl_partition *partition,
                      enum pl_level level, int64_t end_offset, uint8_t *answer);
/* Takes the answer; completes it at once when nothing is waited for. timeout_ms < 0: never. */
void pl_produce_park(struct pl_produce *produce, struct pl_reply *reply, struct pl_chain *answer,
                     int32_t timeout_ms);

#endif
