/* The batch header: parse, check, patch, and the walk over batches. */
#include "codec/batch_header.h"

#include <assert.h>

enum header_position {
    AT_BASE_OFFSET = 0,
    AT_BATCH_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_RECORDS_COUNT = 57,
};

enum {
    MESSAGE_MIN_BYTES = 14, /* magic 0: crc, magic, attributes, null key, null value */
    MAGIC = 2,
};

static enum pl_err parse_prefix(const uint8_t *bytes, struct pl_batch_header *header) {
    *header = (struct pl_batch_header){
        .base_offset = pl_get_i64(bytes + AT_BASE_OFFSET),
        .batch_length = pl_get_i32(bytes + AT_BATCH_LENGTH),
        .partition_leader_epoch = pl_get_i32(bytes + AT_LEADER_EPOCH),
        .magic = (int8_t)bytes[AT_MAGIC],
    };
    if (header->magic < 0 || header->magic > MAGIC) {
        return PL_ERR_CORRUPT;
    }
    int32_t least = header->magic == MAGIC ? PL_BATCH_HEADER_BYTES - PL_BATCH_PREFIX_BYTES
                                           : MESSAGE_MIN_BYTES;
    if (header->batch_length < least || header->batch_length > PL_MAX_BATCH_BYTES) {
        return PL_ERR_CORRUPT;
    }
    return header->magic == MAGIC ? PL_OK : PL_ERR_UNSUPPORTED;
}

enum pl_err pl_batch_header_parse(const uint8_t *bytes, size_t n, struct pl_batch_header *header) {
    if (n <= AT_MAGIC) {
        *header = (struct pl_batch_header){0};
        return PL_ERR_AGAIN;
    }
    enum pl_err err = parse_prefix(bytes, header);
    if (err != PL_OK) {
        return err;
    }
    if (n < PL_BATCH_HEADER_BYTES) {
        return PL_ERR_AGAIN;
    }
    header->crc = pl_get_u32(bytes + AT_CRC);
    header->attributes = pl_get_i16(bytes + AT_ATTRIBUTES);
    header->last_offset_delta = pl_get_i32(bytes + AT_LAST_OFFSET_DELTA);
    header->base_timestamp = pl_get_i64(bytes + AT_BASE_TIMESTAMP);
    header->max_timestamp = pl_get_i64(bytes + AT_MAX_TIMESTAMP);
    header->producer_id = pl_get_i64(bytes + AT_PRODUCER_ID);
    header->producer_epoch = pl_get_i16(bytes + AT_PRODUCER_EPOCH);
    header->base_sequence = pl_get_i32(bytes + AT_BASE_SEQUENCE);
    header->records_count = pl_get_i32(bytes + AT_RECORDS_COUNT);
    return PL_OK;
}

/* ---- rules ---- */

/* Whether the uncompressed records could fit; a compressed body says nothing of the count. */
static bool count_fits(const struct pl_batch_header *h) {
    if (h->records_count > PL_MAX_RECORDS_PER_BATCH) {
        return false;
    }
    int64_t body = h->batch_length - (PL_BATCH_HEADER_BYTES - PL_BATCH_PREFIX_BYTES);
    int64_t least = (int64_t)h->records_count * PL_RECORD_MIN_BYTES;
    return pl_batch_compression(h) != PL_COMPRESSION_NONE || least <= body;
}

static const char *fault_of_any(const struct pl_batch_header *h) {
    if (pl_batch_compression(h) >= PL_COMPRESSION_COUNT) {
        return "unknown compression type";
    }
    if (h->last_offset_delta < 0) {
        return "negative last offset delta";
    }
    if (!count_fits(h)) {
        return "more records than the batch can hold";
    }
    return NULL;
}

static const char *fault_of_producer(const struct pl_batch_header *h) {
    if (h->producer_id < 0) {
        return pl_batch_is(h, PL_BATCH_TRANSACTIONAL) ? "transactional batch without a producer id"
                                                      : NULL;
    }
    if (h->producer_epoch < 0) {
        return "producer id without an epoch";
    }
    return h->base_sequence < 0 ? "producer id without a sequence number" : NULL;
}

static const char *fault_of_client(const struct pl_batch_header *h) {
    if (h->base_offset != 0) {
        return "base offset other than 0";
    }
    if (h->records_count <= 0) {
        return "batch without records";
    }
    if ((int64_t)h->last_offset_delta + 1 != h->records_count) {
        return "records count differs from the range of offsets";
    }
    if (pl_batch_is(h, PL_BATCH_CONTROL)) {
        return "control batch from a client";
    }
    if ((h->attributes & ~(PL_BATCH_KNOWN_ATTRIBUTES & ~PL_BATCH_DELETE_HORIZON)) != 0) {
        return "attribute bits that a client may not set";
    }
    return fault_of_producer(h);
}

static const char *fault_of_stored(const struct pl_batch_header *h) {
    if (h->records_count < 0 || h->records_count > (int64_t)h->last_offset_delta + 1) {
        return "records count outside the range of offsets";
    }
    if (h->base_offset < 0 || h->base_offset > INT64_MAX - 1 - h->last_offset_delta) {
        return "offset out of range";
    }
    return NULL;
}

static enum pl_err parse_whole(const uint8_t *bytes, size_t n, struct pl_batch_header *header,
                               const char **fault) {
    enum pl_err err = pl_batch_header_parse(bytes, n, header);
    if (err == PL_ERR_UNSUPPORTED) {
        *fault = "message format of magic 0 or 1";
        return err;
    }
    if (err == PL_ERR_CORRUPT) {
        *fault = "impossible batch length or magic";
        return err;
    }
    if (err == PL_ERR_AGAIN || pl_batch_size(header) > n) {
        *fault = "batch longer than its bytes";
        return PL_ERR_CORRUPT;
    }
    return PL_OK;
}

enum pl_err pl_batch_check(const uint8_t *bytes, size_t n, enum pl_batch_origin origin,
                           struct pl_batch_header *header, const char **reason) {
    const char *fault = NULL;
    enum pl_err err = parse_whole(bytes, n, header, &fault);
    if (err == PL_OK) {
        size_t covered = pl_batch_size(header) - AT_ATTRIBUTES;
        if (pl_crc32c(0, bytes + AT_ATTRIBUTES, covered) != header->crc) {
            fault = "wrong checksum";
            err = PL_ERR_CORRUPT;
        }
    }
    if (err == PL_OK) {
        bool client = origin == PL_BATCH_FROM_CLIENT;
        fault = fault_of_any(header);
        if (fault == NULL) {
            fault = client ? fault_of_client(header) : fault_of_stored(header);
        }
        if (fault != NULL) {
            err = client ? PL_ERR_INVALID : PL_ERR_CORRUPT;
        }
    }
    if (fault != NULL && reason != NULL) {
        *reason = fault;
    }
    return err;
}

/* ---- patches ---- */

void pl_batch_set_base_offset(uint8_t *batch, int64_t base_offset) {
    pl_put_i64(batch + AT_BASE_OFFSET, base_offset);
}

void pl_batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch) {
    pl_put_i32(batch + AT_LEADER_EPOCH, leader_epoch);
}

static void set_crc(uint8_t *batch) {
    int32_t batch_length = pl_get_i32(batch + AT_BATCH_LENGTH);
    assert(batch_length >= PL_BATCH_HEADER_BYTES - PL_BATCH_PREFIX_BYTES);
    size_t covered = PL_BATCH_PREFIX_BYTES + (size_t)batch_length - AT_ATTRIBUTES;
    pl_put_u32(batch + AT_CRC, pl_crc32c(0, batch + AT_ATTRIBUTES, covered));
}

void pl_batch_set_append_time(uint8_t *batch, int64_t append_time_ms) {
    int16_t attributes = pl_get_i16(batch + AT_ATTRIBUTES);
    pl_put_i16(batch + AT_ATTRIBUTES, (int16_t)(attributes | PL_BATCH_APPEND_TIME));
    pl_put_i64(batch + AT_MAX_TIMESTAMP, append_time_ms);
    set_crc(batch);
}

void pl_batch_set_max_timestamp(uint8_t *batch, int64_t max_timestamp_ms) {
    pl_put_i64(batch + AT_MAX_TIMESTAMP, max_timestamp_ms);
    set_crc(batch);
}

void pl_batch_header_write(uint8_t *batch, const struct pl_batch_header *header) {
    pl_put_i64(batch + AT_BASE_OFFSET, header->base_offset);
    pl_put_i32(batch + AT_BATCH_LENGTH, header->batch_length);
    pl_put_i32(batch + AT_LEADER_EPOCH, header->partition_leader_epoch);
    batch[AT_MAGIC] = (uint8_t)header->magic;
    pl_put_i16(batch + AT_ATTRIBUTES, header->attributes);
    pl_put_i32(batch + AT_LAST_OFFSET_DELTA, header->last_offset_delta);
    pl_put_i64(batch + AT_BASE_TIMESTAMP, header->base_timestamp);
    pl_put_i64(batch + AT_MAX_TIMESTAMP, header->max_timestamp);
    pl_put_i64(batch + AT_PRODUCER_ID, header->producer_id);
    pl_put_i16(batch + AT_PRODUCER_EPOCH, header->producer_epoch);
    pl_put_i32(batch + AT_BASE_SEQUENCE, header->base_sequence);
    pl_put_i32(batch + AT_RECORDS_COUNT, header->records_count);
    set_crc(batch);
}

/* ---- the walk ---- */

bool pl_batch_reader_next(struct pl_batch_reader *reader, struct pl_batch *batch) {
    size_t left = reader->length - reader->position;
    if (reader->err != PL_OK || left == 0) {
        return false;
    }
    const uint8_t *at = reader->bytes + reader->position;
    reader->err = pl_batch_header_parse(at, left, &batch->header);
    if (reader->err == PL_OK && pl_batch_size(&batch->header) > left) {
        reader->err = PL_ERR_AGAIN;
    }
    if (reader->err != PL_OK) {
        return false;
    }
    batch->bytes = at;
    batch->size = pl_batch_size(&batch->header);
    batch->position = reader->position;
    reader->position += batch->size;
    return true;
}
