/* Record batches of Kafka's format, magic 2: check, patch, walk, build, compress.
 *
 * Embeddable: a static library with no state but CPU dispatch, no threads, no files. All
 * functions may be called from any thread; an object (codec, builder, reader) belongs to one
 * thread at a time. Foreign bytes may be anything: no function reads outside what it is given.
 *
 *   0  base_offset i64        21 attributes i16           43 producer_id i64
 *   8  batch_length i32       23 last_offset_delta i32    51 producer_epoch i16
 *  12  leader epoch i32       27 base_timestamp i64       53 base_sequence i32
 *  16  magic i8               35 max_timestamp i64        57 records_count i32
 *  17  crc u32 (CRC-32C of all bytes from 21 on)          61 records, maybe compressed
 *
 * Base offset and leader epoch lie outside the CRC, so that a broker sets them in place.
 * Format: Kafka's documentation, "Record Batch"; KIP-98 (format), KIP-32 (time), KIP-110 (zstd).
 */
#ifndef PYLOG_CODEC_H
#define PYLOG_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- checksum and hash ---- */

/* CRC-32C (Castagnoli) of data continued from `crc`; start with 0. The fastest way that this
 * processor has, chosen once at load. */
uint32_t pl_crc32c(uint32_t crc, const void *data, size_t n);

/* Murmur2 with the seed of Kafka's default partitioner: the partition of a key is
 * (pl_murmur2(key) & 0x7fffffff) % partitions. */
uint32_t pl_murmur2(const void *data, size_t n);

/* ---- batch header ---- */

enum {
    PL_BATCH_PREFIX_BYTES = 12, /* base offset and batch length, in front of what it counts */
    PL_BATCH_HEADER_BYTES = 61,
    PL_RECORD_MIN_BYTES = 7, /* null key, null value, no headers */
};

enum pl_compression {
    PL_COMPRESSION_NONE,
    PL_COMPRESSION_GZIP,
    PL_COMPRESSION_SNAPPY,
    PL_COMPRESSION_LZ4,
    PL_COMPRESSION_ZSTD,
    PL_COMPRESSION_COUNT
};

enum pl_batch_attribute {
    PL_BATCH_COMPRESSION = 0x07, /* enum pl_compression */
    PL_BATCH_APPEND_TIME = 0x08, /* every record has max_timestamp as its time */
    PL_BATCH_TRANSACTIONAL = 0x10,
    PL_BATCH_CONTROL = 0x20,        /* one transaction marker (or another control record) */
    PL_BATCH_DELETE_HORIZON = 0x40, /* base_timestamp is the cleaner's delete horizon (KIP-534) */
    PL_BATCH_KNOWN_ATTRIBUTES = 0x7f
};

struct pl_batch_header {
    int64_t base_offset;
    int32_t batch_length; /* bytes after the prefix */
    int32_t partition_leader_epoch;
    uint32_t crc;
    int8_t magic;
    int16_t attributes;
    int16_t producer_epoch;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp; /* ms */
    int64_t producer_id;                   /* -1: not idempotent */
    int32_t base_sequence;
    int32_t records_count;
};

/* Size of the whole batch. */
static inline size_t pl_batch_size(const struct pl_batch_header *header) {
    return PL_BATCH_PREFIX_BYTES + (size_t)header->batch_length;
}

static inline int64_t pl_batch_last_offset(const struct pl_batch_header *header) {
    return header->base_offset + header->last_offset_delta;
}

/* The sequence number of the last record; sequence numbers wrap from INT32_MAX to 0. */
static inline int32_t pl_batch_last_sequence(const struct pl_batch_header *header) {
    if (header->base_sequence < 0) {
        return -1;
    }
    int64_t last = (int64_t)header->base_sequence + header->last_offset_delta;
    return (int32_t)(last & INT32_MAX);
}

static inline enum pl_compression pl_batch_compression(const struct pl_batch_header *header) {
    return (enum pl_compression)(header->attributes & PL_BATCH_COMPRESSION);
}

static inline bool pl_batch_is(const struct pl_batch_header *header,
                               enum pl_batch_attribute attribute) {
    return (header->attributes & (int)attribute) != 0;
}

/* Reads the header at the start of `bytes`; the records need not be there. A batch_length that is
 * too small for a header or above PL_MAX_BATCH_BYTES, or an unknown magic, is PL_ERR_CORRUPT.
 * PL_ERR_AGAIN: n ends inside the header. PL_ERR_UNSUPPORTED: magic 0 or 1; then base_offset,
 * batch_length, partition_leader_epoch and magic are set and the rest is zero (in those formats
 * the bytes of the epoch are a CRC). */
PL_MUST_CHECK enum pl_err pl_batch_header_parse(const uint8_t *bytes, size_t n,
                                                struct pl_batch_header *header);

enum pl_batch_origin {
    PL_BATCH_FROM_CLIENT, /* all rules for a batch that a producer sends */
    PL_BATCH_FROM_LOG     /* stored or replicated: compaction may have removed records,
                             control batches are welcome, offsets are real */
};

/* The batch at the start of `bytes`: whole, known magic, right CRC-32C, counts, offsets,
 * producer fields and attribute bits that make sense. Does not look inside the records.
 *   PL_ERR_CORRUPT      length, magic or checksum wrong; or a stored batch that cannot be
 *   PL_ERR_UNSUPPORTED  magic 0 or 1
 *   PL_ERR_INVALID      well formed and intact, but against the rules for clients
 * `reason`, if not NULL, gets a static English text on an error. `header` is set from what was
 * read, also on PL_ERR_INVALID. Follow-up bytes are not touched: see pl_batch_size. */
PL_MUST_CHECK enum pl_err pl_batch_check(const uint8_t *bytes, size_t n,
                                         enum pl_batch_origin origin,
                                         struct pl_batch_header *header, const char **reason);

/* In place, on a batch that was checked. */
void pl_batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void pl_batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch);
/* Log append time: max_timestamp and the attribute; computes the CRC anew. */
void pl_batch_set_append_time(uint8_t *batch, int64_t append_time_ms);
/* max_timestamp with create time (found from the records); computes the CRC anew. */
void pl_batch_set_max_timestamp(uint8_t *batch, int64_t max_timestamp_ms);

/* ---- walking batches ---- */

struct pl_batch {
    struct pl_batch_header header;
    const uint8_t *bytes; /* in the reader's bytes */
    size_t size;          /* whole */
    size_t position;      /* bytes in front of it */
};

struct pl_batch_reader {
    const uint8_t *bytes;
    size_t length, position; /* position: bytes of the batches already given */
    enum pl_err err;
};

static inline struct pl_batch_reader pl_batch_reader_open(const uint8_t *bytes, size_t n) {
    struct pl_batch_reader reader = {bytes, n, 0, PL_OK};
    return reader;
}

/* The next batch, its header parsed and its length within the bytes; nothing else is checked.
 * False at the end, where reader->err says why:
 *   PL_OK               after the last byte
 *   PL_ERR_AGAIN        the bytes end inside a batch (as a Fetch may give them, or a torn write)
 *   PL_ERR_UNSUPPORTED  a message of magic 0 or 1 is at `position`
 *   PL_ERR_CORRUPT      what is at `position` cannot be a batch */
bool pl_batch_reader_next(struct pl_batch_reader *reader, struct pl_batch *batch);

/* ---- walking records ---- */

struct pl_record {
    int32_t offset_delta;
    int64_t timestamp_delta;
    struct pl_span key, value;
    struct pl_span headers; /* as encoded, without their count; see pl_header_reader */
    int32_t header_count;
};

struct pl_record_reader {
    struct pl_cursor cursor; /* err: PL_ERR_CORRUPT when a record is malformed */
    int32_t remaining;
};

/* Over `count` uncompressed records, as they lie after the batch header. */
static inline struct pl_record_reader pl_record_reader_open(const uint8_t *records, size_t n,
                                                            int32_t count) {
    struct pl_record_reader reader = {pl_cursor_open(records, n), count};
    return reader;
}

/* The next record, wholly checked (its headers too). False after the last one or on malformed
 * bytes; records missing and bytes left over are malformed. Look at reader->cursor.err then. */
bool pl_record_reader_next(struct pl_record_reader *reader, struct pl_record *record);

struct pl_header_reader {
    struct pl_cursor cursor;
    int32_t remaining;
};

static inline struct pl_header_reader pl_header_reader_open(const struct pl_record *record) {
    struct pl_header_reader reader = {
        pl_cursor_open(record->headers.data, (size_t)record->headers.length),
        record->header_count};
    return reader;
}

/* False after the last header. The key is never null. */
bool pl_header_reader_next(struct pl_header_reader *reader, struct pl_span *key,
                           struct pl_span *value);

#ifdef __cplusplus
}
#endif

#endif
