#include "log/inspect.h"

#include <stdlib.h>

#include "log/log_state.h"

struct pl_tracker {
    struct pl_producers producers;
};

struct pl_tracker *pl_tracker_create(void) {
    struct pl_tracker *tracker = calloc(1, sizeof *tracker);
    if (tracker != NULL) {
        pl_producers_init(&tracker->producers);
    }
    return tracker;
}

void pl_tracker_destroy(struct pl_tracker *tracker) {
    pl_producers_free(&tracker->producers);
    free(tracker);
}

int pl_tracker_load(struct pl_tracker *tracker, const uint8_t *snapshot, size_t n) {
    pl_producers_clear(&tracker->producers);
    return (int)pl_producers_decode(&tracker->producers, snapshot, n);
}

int pl_tracker_add(struct pl_tracker *tracker, const uint8_t *batch, size_t n,
                   struct pl_tracked_abort *abort) {
    *abort = (struct pl_tracked_abort){.producer_id = -1};
    struct pl_batch_header header;
    enum pl_err err = pl_batch_check(batch, n, PL_BATCH_FROM_LOG, &header, NULL);
    if (err != PL_OK || header.producer_id < 0) {
        return (int)err;
    }
    struct pl_txn_end end;
    err = pl_producers_note(&tracker->producers, &header, batch, &end);
    if (err != PL_OK) {
        return (int)err;
    }
    pl_producers_keep(&tracker->producers);
    pl_producers_forget_ended(&tracker->producers, INT64_MAX);
    if (end.aborted) {
        *abort = (struct pl_tracked_abort){
            .producer_id = header.producer_id,
            .first_offset = end.first_offset,
            .last_offset = header.base_offset,
            .last_stable_offset = end.last_stable_offset,
        };
    }
    return (int)PL_OK;
}

size_t pl_producers_view(const struct pl_producers *producers, struct pl_producer_view *views,
                         size_t room) {
    size_t found = 0;
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        const struct pl_producer *producer = producers->slots[i];
        if (producer == NULL) {
            continue;
        }
        if (found < room) {
            const struct pl_producer_batch *last = pl_producer_last_batch(producer);
            views[found] = (struct pl_producer_view){
                .producer_id = producer->id,
                .last_timestamp_ms = producer->last_timestamp_ms,
                .transaction_start = producer->txn_first_offset,
                .last_sequence = last == NULL ? PL_NO_SEQUENCE : last->last_sequence,
                .coordinator_epoch = producer->coordinator_epoch,
                .epoch = producer->epoch,
            };
        }
        found++;
    }
    return found;
}

size_t pl_tracker_producers(const struct pl_tracker *tracker, struct pl_producer_view *views,
                            size_t room) {
    return pl_producers_view(&tracker->producers, views, room);
}
