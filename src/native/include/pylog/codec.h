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

/* ---- compression ---- */

/* Contexts and scratch memory of the compression libraries, kept from call to call. One thread
 * at a time. What a function gives back through `out` lies in this memory and stays until the
 * next call with the same codec. */
struct pl_codec;

/* `max_bytes` bounds what any decompression may give (PL_ERR_LIMIT above it). */
PL_MUST_CHECK enum pl_err pl_codec_create(size_t max_bytes, struct pl_codec **codec);
void pl_codec_destroy(struct pl_codec *codec);

#define PL_LEVEL_DEFAULT INT32_MIN

/* As Kafka frames each type: gzip members; snappy in the blocks of snappy-java; an LZ4 frame of
 * independent 64 KB blocks; a zstd frame. Levels: gzip 1..9, lz4 1..17 (below 3 the fast way),
 * zstd -131072..22; snappy has none and ignores it; others are PL_ERR_INVALID. NONE copies. */
PL_MUST_CHECK enum pl_err pl_compress(struct pl_codec *codec, enum pl_compression type,
                                      int32_t level, const uint8_t *data, size_t n,
                                      const uint8_t **out, size_t *out_n);
/* Takes concatenated frames, and snappy without framing too. Malformed or cut: PL_ERR_CORRUPT. */
PL_MUST_CHECK enum pl_err pl_decompress(struct pl_codec *codec, enum pl_compression type,
                                        const uint8_t *data, size_t n, const uint8_t **out,
                                        size_t *out_n);

/* ---- a whole batch ---- */

/* Opens the records of a checked batch, decompressed into the codec's memory when need be. */
PL_MUST_CHECK enum pl_err pl_batch_open_records(struct pl_codec *codec,
                                                const struct pl_batch *batch,
                                                struct pl_record_reader *reader);

/* ms; the base is the delete horizon's when that attribute is set */
static inline int64_t pl_record_timestamp(const struct pl_batch_header *header,
                                          const struct pl_record *record) {
    return pl_batch_is(header, PL_BATCH_APPEND_TIME)
               ? header->max_timestamp
               : (int64_t)((uint64_t)header->base_timestamp + (uint64_t)record->timestamp_delta);
}

struct pl_batch_scan {
    int32_t first_keyless; /* index of the first record with a null key, -1: none */
    int32_t bad_record;    /* index of the record that broke a rule, -1: none */
    int64_t max_timestamp; /* ms, of the records; -1: none has one */
    int32_t max_timestamp_index; /* the first record with it */
};

/* Reads every record of a client's batch. PL_ERR_CORRUPT: does not decompress, or malformed;
 * PL_ERR_INVALID: offset deltas are not 0, 1, 2 …; PL_ERR_LIMIT: decompresses to too much.
 * A keyless record is no error here: what it means is up to the topic. */
PL_MUST_CHECK enum pl_err pl_batch_scan(struct pl_codec *codec, const struct pl_batch *batch,
                                        struct pl_batch_scan *scan);

/* ---- building ---- */

struct pl_batch_options {
    enum pl_compression compression;
    int32_t level; /* PL_LEVEL_DEFAULT */
    int32_t partition_leader_epoch;
    int32_t base_sequence;
    int64_t base_offset;
    int64_t producer_id;
    int16_t producer_epoch;
    bool transactional, control;
    int32_t last_offset_delta; /* -1: that of the last record; else a batch may be empty */
    int64_t append_time_ms;    /* -1: create time; else every record has this time */
    int64_t delete_horizon_ms; /* -1: none (KIP-534) */
};

/* No compression, offset 0, no producer, epoch -1, everything else absent. */
struct pl_batch_options pl_batch_options_default(void);

struct pl_record_header {
    struct pl_span key, value;
};

struct pl_batch_builder;

/* Options are copied. PL_ERR_INVALID: a compression type that does not exist. */
PL_MUST_CHECK enum pl_err pl_batch_builder_create(const struct pl_batch_options *options,
                                                  struct pl_batch_builder **builder);
void pl_batch_builder_destroy(struct pl_batch_builder *builder);
/* Forgets the records, keeps the memory. */
void pl_batch_builder_reset(struct pl_batch_builder *builder,
                            const struct pl_batch_options *options);

/* Adds a record at the next offset; everything is copied. timestamp_ms: -1 for none. On an error
 * the builder is as before: PL_ERR_LIMIT (PL_MAX_BATCH_BYTES, PL_MAX_RECORDS_PER_BATCH),
 * PL_ERR_INVALID (a header with a null key, a negative header_count), PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_batch_builder_append(struct pl_batch_builder *builder,
                                                  int64_t timestamp_ms, struct pl_span key,
                                                  struct pl_span value,
                                                  const struct pl_record_header *headers,
                                                  int32_t header_count);
/* Adds a record that was read from another batch, headers and all, at record->offset_delta, which
 * must be above the last one's. */
PL_MUST_CHECK enum pl_err pl_batch_builder_copy(struct pl_batch_builder *builder,
                                                int64_t timestamp_ms,
                                                const struct pl_record *record);

int32_t pl_batch_builder_count(const struct pl_batch_builder *builder);
/* Of the batch, were it built now without compression. */
size_t pl_batch_builder_size(const struct pl_batch_builder *builder);

/* The whole batch, sealed. `out` lies in the builder's memory and stays until it is used again;
 * further records may be appended, and a larger batch built. PL_ERR_INVALID: no record, a level
 * that does not exist, or a last_offset_delta below that of the last record. */
PL_MUST_CHECK enum pl_err pl_batch_builder_build(struct pl_batch_builder *builder,
                                                 struct pl_codec *codec, const uint8_t **out,
                                                 size_t *out_n);

/* ---- transaction markers (KIP-98) ---- */

enum pl_marker_type { PL_MARKER_ABORT = 0, PL_MARKER_COMMIT = 1 };

struct pl_marker {
    int16_t type; /* enum pl_marker_type; other control records have other numbers */
    int32_t coordinator_epoch; /* of the two above, else -1 */
};

enum { PL_MARKER_BATCH_BYTES = 78 };

/* Of a checked control batch. PL_ERR_INVALID: no control batch, PL_ERR_CORRUPT: malformed. */
PL_MUST_CHECK enum pl_err pl_marker_parse(const struct pl_batch *batch, struct pl_marker *marker);
void pl_marker_build(uint8_t batch[PL_MARKER_BATCH_BYTES], const struct pl_marker *marker,
                     int64_t producer_id, int16_t producer_epoch, int64_t timestamp_ms);

/* ---- message sets of magic 0 and 1 ---- */

/* The bytes at the start that are whole messages of magic 0 or 1, by their sizes. */
size_t pl_message_set_span(const uint8_t *bytes, size_t n);

/* Rewrites a message set (KIP-32's formats, compressed wrappers included) as one batch with the
 * compression of its first message. Offsets start at 0 without `keep_offsets`; with it they stay
 * as they are stored, and so do gaps. PL_ERR_CORRUPT: cut, wrong checksum or malformed;
 * PL_ERR_INVALID: no message; PL_ERR_UNSUPPORTED: a batch of magic 2 among them. */
PL_MUST_CHECK enum pl_err pl_message_set_to_batch(struct pl_codec *codec, const uint8_t *bytes,
                                                  size_t n, bool keep_offsets,
                                                  const uint8_t **out, size_t *out_n);

#ifdef __cplusplus
}
#endif

#endif
