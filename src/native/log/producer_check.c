/* Which batches and markers of a producer a log takes (KIP-98, KIP-360, KIP-890). */
#include "log/producer_state.h"

static bool same_batch(const struct pl_producer_batch *stored,
                       const struct pl_batch_header *header) {
    return stored->last_sequence == pl_batch_last_sequence(header) &&
           stored->offset_delta == header->last_offset_delta;
}

static const struct pl_producer_batch *find_duplicate(const struct pl_producer *producer,
                                                      const struct pl_batch_header *header) {
    if (producer->epoch != header->producer_epoch) {
        return NULL;
    }
    for (unsigned i = 0; i < producer->batch_count; i++) {
        if (same_batch(&producer->batches[i], header)) {
            return &producer->batches[i];
        }
    }
    return NULL;
}

/* Sequences count modulo 2^31. */
static int32_t sequence_after(int32_t sequence) {
    return sequence == INT32_MAX ? 0 : sequence + 1;
}

/* Whether the batch ends at or before the last stored record, less than half the numbers back. */
static bool is_old(int32_t last_sequence, const struct pl_batch_header *header) {
    int32_t behind =
        (int32_t)(((int64_t)last_sequence - pl_batch_last_sequence(header)) & INT32_MAX);
    int32_t first_behind = (int32_t)(((int64_t)last_sequence - header->base_sequence) & INT32_MAX);
    return behind < INT32_MAX / 2 && first_behind < INT32_MAX / 2;
}

static enum pl_err check_sequence(const struct pl_producer *producer,
                                  const struct pl_batch_header *header) {
    /* Nothing is known of the producer (its records may have been deleted): any number will do. */
    if (producer == NULL || producer->epoch == PL_NO_PRODUCER_EPOCH) {
        return PL_OK;
    }
    if (producer->epoch != header->producer_epoch) {
        return header->base_sequence == 0 ? PL_OK : PL_ERR_OUT_OF_ORDER_SEQUENCE;
    }
    const struct pl_producer_batch *last = pl_producer_last_batch(producer);
    int32_t expected = last == NULL ? 0 : sequence_after(last->last_sequence);
    if (header->base_sequence == expected) {
        return PL_OK;
    }
    if (last != NULL && is_old(last->last_sequence, header)) {
        return PL_ERR_DUPLICATE_SEQUENCE;
    }
    return PL_ERR_OUT_OF_ORDER_SEQUENCE;
}

enum pl_err pl_producer_check_batch(const struct pl_producer *producer,
                                    const struct pl_batch_header *header, bool transaction_verified,
                                    const struct pl_producer_batch **duplicate) {
    *duplicate = producer == NULL ? NULL : find_duplicate(producer, header);
    if (*duplicate != NULL) {
        return PL_OK;
    }
    if (producer != NULL && header->producer_epoch < producer->epoch) {
        return PL_ERR_PRODUCER_EPOCH;
    }
    bool transactional = pl_batch_is(header, PL_BATCH_TRANSACTIONAL);
    bool open = producer != NULL && producer->txn_first_offset >= 0;
    if (transactional && !transaction_verified &&
        !(open && producer->epoch == header->producer_epoch)) {
        return PL_ERR_TXN_STATE;
    }
    enum pl_err err = check_sequence(producer, header);
    if (err != PL_OK) {
        return err;
    }
    return open && !transactional ? PL_ERR_TXN_STATE : PL_OK;
}

enum pl_err pl_txn_marker_parse(const uint8_t *bytes, const struct pl_batch_header *header,
                                struct pl_txn_marker *marker) {
    *marker = (struct pl_txn_marker){.is_marker = false};
    if (header->records_count == 0 || header->producer_id < 0) {
        return PL_OK;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    struct pl_marker parsed;
    enum pl_err err = pl_marker_parse(&batch, &parsed);
    if (err != PL_OK) {
        return PL_ERR_CORRUPT;
    }
    marker->is_marker = parsed.type == PL_MARKER_ABORT || parsed.type == PL_MARKER_COMMIT;
    marker->abort = parsed.type == PL_MARKER_ABORT;
    marker->coordinator_epoch = parsed.coordinator_epoch;
    marker->timestamp_ms = header->max_timestamp;
    return PL_OK;
}

enum pl_err pl_producer_check_marker(const struct pl_producer *producer,
                                     const struct pl_batch_header *header,
                                     const struct pl_txn_marker *marker) {
    if (producer == NULL) {
        return PL_OK;
    }
    if (header->producer_epoch < producer->epoch) {
        return PL_ERR_PRODUCER_EPOCH;
    }
    if (marker->coordinator_epoch < producer->coordinator_epoch) {
        return PL_ERR_COORDINATOR_EPOCH;
    }
    return PL_OK;
}
