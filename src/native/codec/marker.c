/* Transaction markers (KIP-98): a control batch of one record.
 *   key:   version i16, type i16
 *   value: version i16, coordinator epoch i32 (of the end of a transaction) */
#include "codec/batch_header.h"

#include <string.h>

enum { NO_SEQUENCE = -1, RECORD_BYTES = PL_MARKER_BATCH_BYTES - PL_BATCH_HEADER_BYTES };

static enum pl_err read_marker(const struct pl_record *record, struct pl_marker *marker) {
    struct pl_cursor key = pl_cursor_open(record->key.data, (size_t)record->key.length);
    pl_cursor_skip(&key, 2); /* version: later ones only add fields */
    marker->type = pl_cursor_i16(&key);
    if (key.err != PL_OK) {
        return PL_ERR_CORRUPT;
    }
    if (marker->type != PL_MARKER_ABORT && marker->type != PL_MARKER_COMMIT) {
        return PL_OK;
    }
    struct pl_cursor value = pl_cursor_open(record->value.data, (size_t)record->value.length);
    pl_cursor_skip(&value, 2);
    marker->coordinator_epoch = pl_cursor_i32(&value);
    return value.err == PL_OK ? PL_OK : PL_ERR_CORRUPT;
}

enum pl_err pl_marker_parse(const struct pl_batch *batch, struct pl_marker *marker) {
    *marker = (struct pl_marker){.type = -1, .coordinator_epoch = -1};
    if (!pl_batch_is(&batch->header, PL_BATCH_CONTROL)) {
        return PL_ERR_INVALID;
    }
    struct pl_record_reader reader =
        pl_record_reader_open(batch->bytes + PL_BATCH_HEADER_BYTES,
                              batch->size - PL_BATCH_HEADER_BYTES, batch->header.records_count);
    struct pl_record record;
    if (pl_batch_compression(&batch->header) != PL_COMPRESSION_NONE ||
        !pl_record_reader_next(&reader, &record) || record.key.length < 0 ||
        record.value.length < 0) {
        return PL_ERR_CORRUPT;
    }
    return read_marker(&record, marker);
}

void pl_marker_build(uint8_t batch[PL_MARKER_BATCH_BYTES], const struct pl_marker *marker,
                     int64_t producer_id, int16_t producer_epoch, int64_t timestamp_ms) {
    /* length 16, attributes, timestamp and offset delta 0, key of 4, value of 6, no headers */
    static const uint8_t record[RECORD_BYTES] = {32, 0, 0, 0, 8, 0, 0, 0, 0, 12};
    uint8_t *at = batch + PL_BATCH_HEADER_BYTES;
    memcpy(at, record, sizeof record);
    pl_put_i16(at + 7, marker->type);
    pl_put_i32(at + 12, marker->coordinator_epoch);
    struct pl_batch_header header = {
        .batch_length = PL_MARKER_BATCH_BYTES - PL_BATCH_PREFIX_BYTES,
        .partition_leader_epoch = -1,
        .magic = 2,
        .attributes = PL_BATCH_TRANSACTIONAL | PL_BATCH_CONTROL,
        .base_timestamp = timestamp_ms,
        .max_timestamp = timestamp_ms,
        .producer_id = producer_id,
        .producer_epoch = producer_epoch,
        .base_sequence = NO_SEQUENCE,
        .records_count = 1,
    };
    pl_batch_header_write(batch, &header);
}
