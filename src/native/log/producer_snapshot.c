/* Producer state as a .snapshot file of Kafka, version 1:
 *
 *   version i16 · crc u32 (CRC-32C of what follows) · count i32 · producers
 *   producer: id i64 · epoch i16 · last_sequence i32 · last_offset i64 · offset_delta i32 ·
 *             timestamp i64 · coordinator_epoch i32 · txn_first_offset i64
 *
 * Of each producer only the last batch is kept.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "log/producer_state.h"

enum { VERSION = 1, CRC_AT = 2, COUNT_AT = 6, PRODUCERS_AT = 10, PRODUCER_BYTES = 46 };

static void encode_one(uint8_t *to, const struct pl_producer *producer) {
    static const struct pl_producer_batch none = {
        .last_offset = -1, .last_sequence = PL_NO_SEQUENCE, .offset_delta = 0, .timestamp_ms = -1};
    const struct pl_producer_batch *last = pl_producer_last_batch(producer);
    if (last == NULL) {
        last = &none;
    }
    pl_put_u64(to, (uint64_t)producer->id);
    pl_put_u16(to + 8, (uint16_t)producer->epoch);
    pl_put_u32(to + 10, (uint32_t)last->last_sequence);
    pl_put_u64(to + 14, (uint64_t)last->last_offset);
    pl_put_u32(to + 22, (uint32_t)last->offset_delta);
    pl_put_u64(to + 26, (uint64_t)producer->last_timestamp_ms);
    pl_put_u32(to + 34, (uint32_t)producer->coordinator_epoch);
    pl_put_u64(to + 38, (uint64_t)producer->txn_first_offset);
}

enum pl_err pl_producers_encode(const struct pl_producers *producers, uint8_t **bytes, size_t *n) {
    size_t size = PRODUCERS_AT + (size_t)producers->count * PRODUCER_BYTES;
    uint8_t *made = malloc(size);
    if (made == NULL) {
        return PL_ERR_MEMORY;
    }
    uint8_t *to = made + PRODUCERS_AT;
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        if (producers->slots[i] == NULL) {
            continue;
        }
        encode_one(to, producers->slots[i]);
        to += PRODUCER_BYTES;
    }
    pl_put_u16(made, VERSION);
    pl_put_u32(made + COUNT_AT, producers->count);
    pl_put_u32(made + CRC_AT, pl_crc32c(0, made + COUNT_AT, size - COUNT_AT));
    *bytes = made;
    *n = size;
    return PL_OK;
}

static enum pl_err decode_one(struct pl_producers *producers, const uint8_t *from) {
    struct pl_producer producer = {
        .id = pl_get_i64(from),
        .epoch = pl_get_i16(from + 8),
        .last_timestamp_ms = pl_get_i64(from + 26),
        .coordinator_epoch = pl_get_i32(from + 34),
        .txn_first_offset = pl_get_i64(from + 38),
    };
    struct pl_producer_batch last = {
        .last_sequence = pl_get_i32(from + 10),
        .last_offset = pl_get_i64(from + 14),
        .offset_delta = pl_get_i32(from + 22),
        .timestamp_ms = producer.last_timestamp_ms,
    };
    if (producer.id < 0 || pl_producers_find(producers, producer.id) != NULL) {
        return PL_ERR_CORRUPT;
    }
    if (last.last_sequence >= 0) {
        producer.batches[0] = last;
        producer.batch_count = producer.batch_next = 1;
    }
    return pl_producers_load(producers, &producer);
}

enum pl_err pl_producers_decode(struct pl_producers *producers, const uint8_t *bytes, size_t n) {
    if (n < PRODUCERS_AT || pl_get_u16(bytes) != VERSION) {
        return PL_ERR_CORRUPT;
    }
    uint32_t count = pl_get_u32(bytes + COUNT_AT);
    if (count != (n - PRODUCERS_AT) / PRODUCER_BYTES || (n - PRODUCERS_AT) % PRODUCER_BYTES != 0) {
        return PL_ERR_CORRUPT;
    }
    if (pl_get_u32(bytes + CRC_AT) != pl_crc32c(0, bytes + COUNT_AT, n - COUNT_AT)) {
        return PL_ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum pl_err err = decode_one(producers, bytes + PRODUCERS_AT + (size_t)i * PRODUCER_BYTES);
        if (err != PL_OK) {
            pl_producers_clear(producers);
            return err;
        }
    }
    return PL_OK;
}
