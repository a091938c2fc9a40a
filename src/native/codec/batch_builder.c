/* Batches out of records. The records are encoded as they come, behind a gap for the header;
 * building fills the gap, or compresses into a second piece of memory. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/batch_header.h"
#include "codec/compress.h"

struct pl_batch_builder { /* owned by who created it */
    struct pl_batch_options options;
    struct pl_memory plain;  /* header gap, records */
    struct pl_memory packed; /* header gap, records compressed */
    int32_t count;
    int32_t last_offset_delta; /* -1: no record */
    int64_t base_timestamp, max_timestamp;
};

struct pl_batch_options pl_batch_options_default(void) {
    return (struct pl_batch_options){
        .compression = PL_COMPRESSION_NONE,
        .level = PL_LEVEL_DEFAULT,
        .partition_leader_epoch = -1,
        .base_sequence = -1,
        .producer_id = -1,
        .producer_epoch = -1,
        .last_offset_delta = -1,
        .append_time_ms = -1,
        .delete_horizon_ms = -1,
    };
}

void pl_batch_builder_reset(struct pl_batch_builder *builder,
                            const struct pl_batch_options *options) {
    builder->options = *options;
    pl_memory_clear(&builder->plain);
    pl_memory_clear(&builder->packed);
    builder->count = 0;
    builder->last_offset_delta = -1;
    builder->base_timestamp = options->delete_horizon_ms;
    builder->max_timestamp = -1;
}

enum pl_err pl_batch_builder_create(const struct pl_batch_options *options,
                                    struct pl_batch_builder **builder) {
    if ((unsigned)options->compression >= PL_COMPRESSION_COUNT) {
        return PL_ERR_INVALID;
    }
    *builder = calloc(1, sizeof **builder);
    if (*builder == NULL) {
        return PL_ERR_MEMORY;
    }
    pl_batch_builder_reset(*builder, options);
    return PL_OK;
}

void pl_batch_builder_destroy(struct pl_batch_builder *builder) {
    if (builder != NULL) {
        pl_memory_free(&builder->plain);
        pl_memory_free(&builder->packed);
        free(builder);
    }
}

int32_t pl_batch_builder_count(const struct pl_batch_builder *builder) { return builder->count; }

size_t pl_batch_builder_size(const struct pl_batch_builder *builder) {
    size_t length = builder->plain.length;
    return length < PL_BATCH_HEADER_BYTES ? PL_BATCH_HEADER_BYTES : length;
}

/* ---- encoding ---- */

/* What goes into a record: headers either as pairs or as encoded bytes. */
struct draft {
    int32_t offset_delta;
    int64_t timestamp_delta;
    struct pl_span key, value;
    const struct pl_record_header *headers;
    struct pl_span encoded_headers;
    int32_t header_count;
};

static size_t span_size(struct pl_span span) {
    size_t length = span.length > 0 ? (size_t)span.length : 0;
    return pl_varlong_size(span.length < 0 ? -1 : span.length) + length;
}

static uint8_t *put_span(uint8_t *to, struct pl_span span) {
    to += pl_put_varlong(to, span.length < 0 ? -1 : span.length);
    if (span.length > 0) {
        memcpy(to, span.data, (size_t)span.length);
        to += span.length;
    }
    return to;
}

static size_t headers_size(const struct draft *draft) {
    if (draft->headers == NULL) {
        return (size_t)draft->encoded_headers.length;
    }
    size_t size = 0;
    for (int32_t i = 0; i < draft->header_count; i++) {
        size += span_size(draft->headers[i].key) + span_size(draft->headers[i].value);
    }
    return size;
}

static uint8_t *put_headers(uint8_t *to, const struct draft *draft) {
    if (draft->headers == NULL) {
        size_t length = (size_t)draft->encoded_headers.length;
        if (length > 0) {
            memcpy(to, draft->encoded_headers.data, length);
        }
        return to + length;
    }
    for (int32_t i = 0; i < draft->header_count; i++) {
        to = put_span(to, draft->headers[i].key);
        to = put_span(to, draft->headers[i].value);
    }
    return to;
}

static size_t body_size(const struct draft *draft) {
    return 1 + pl_varlong_size(draft->timestamp_delta) + pl_varlong_size(draft->offset_delta) +
           span_size(draft->key) + span_size(draft->value) +
           pl_varlong_size(draft->header_count) + headers_size(draft);
}

static uint8_t *put_record(uint8_t *to, const struct draft *draft, size_t size) {
    to += pl_put_varlong(to, (int64_t)size);
    *to++ = 0; /* attributes */
    to += pl_put_varlong(to, draft->timestamp_delta);
    to += pl_put_varlong(to, draft->offset_delta);
    to = put_span(to, draft->key);
    to = put_span(to, draft->value);
    to += pl_put_varlong(to, draft->header_count);
    return put_headers(to, draft);
}

static enum pl_err reserve_record(struct pl_batch_builder *builder, size_t size) {
    struct pl_memory *plain = &builder->plain;
    size_t gap = plain->length == 0 ? PL_BATCH_HEADER_BYTES : 0;
    size_t more = gap + PL_VARINT_MAX_BYTES + size;
    if (size > PL_MAX_BATCH_BYTES || plain->length + more > PL_MAX_BATCH_BYTES ||
        builder->count == PL_MAX_RECORDS_PER_BATCH) {
        return PL_ERR_LIMIT;
    }
    enum pl_err err = pl_memory_reserve(plain, more);
    if (err == PL_OK) {
        plain->length += gap;
    }
    return err;
}

static enum pl_err add(struct pl_batch_builder *builder, int64_t timestamp_ms,
                       struct draft *draft) {
    bool first = builder->count == 0 && builder->options.delete_horizon_ms < 0;
    int64_t base = first ? timestamp_ms : builder->base_timestamp;
    draft->timestamp_delta = (int64_t)((uint64_t)timestamp_ms - (uint64_t)base);
    size_t size = body_size(draft);
    enum pl_err err = reserve_record(builder, size);
    if (err != PL_OK) {
        return err;
    }
    struct pl_memory *plain = &builder->plain;
    uint8_t *end = put_record(plain->bytes + plain->length, draft, size);
    plain->length = (size_t)(end - plain->bytes);
    assert(plain->length <= plain->capacity);
    builder->base_timestamp = base;
    builder->last_offset_delta = draft->offset_delta;
    builder->count++;
    if (timestamp_ms > builder->max_timestamp) {
        builder->max_timestamp = timestamp_ms;
    }
    return PL_OK;
}

static bool headers_valid(const struct pl_record_header *headers, int32_t count) {
    if (count < 0 || count > PL_MAX_HEADERS_PER_RECORD) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        if (headers[i].key.length < 0) {
            return false;
        }
    }
    return true;
}

enum pl_err pl_batch_builder_append(struct pl_batch_builder *builder, int64_t timestamp_ms,
                                    struct pl_span key, struct pl_span value,
                                    const struct pl_record_header *headers,
                                    int32_t header_count) {
    if (!headers_valid(headers, header_count)) {
        return PL_ERR_INVALID;
    }
    struct draft draft = {
        .offset_delta = builder->last_offset_delta + 1,
        .key = key,
        .value = value,
        .headers = header_count == 0 ? NULL : headers,
        .header_count = header_count,
    };
    return add(builder, timestamp_ms, &draft);
}

enum pl_err pl_batch_builder_copy(struct pl_batch_builder *builder, int64_t timestamp_ms,
                                  const struct pl_record *record) {
    if (record->offset_delta <= builder->last_offset_delta) {
        return PL_ERR_INVALID;
    }
    struct draft draft = {
        .offset_delta = record->offset_delta,
        .key = record->key,
        .value = record->value,
        .encoded_headers = record->headers,
        .header_count = record->header_count,
    };
    return add(builder, timestamp_ms, &draft);
}

/* ---- building ---- */

static int16_t attributes_of(const struct pl_batch_builder *builder) {
    const struct pl_batch_options *options = &builder->options;
    int attributes = builder->count == 0 ? 0 : (int)options->compression;
    attributes |= options->append_time_ms >= 0 ? PL_BATCH_APPEND_TIME : 0;
    attributes |= options->transactional ? PL_BATCH_TRANSACTIONAL : 0;
    attributes |= options->control ? PL_BATCH_CONTROL : 0;
    attributes |= options->delete_horizon_ms >= 0 ? PL_BATCH_DELETE_HORIZON : 0;
    return (int16_t)attributes;
}

static void seal(const struct pl_batch_builder *builder, struct pl_memory *batch) {
    const struct pl_batch_options *options = &builder->options;
    int32_t last = options->last_offset_delta;
    int64_t append_time = options->append_time_ms;
    struct pl_batch_header header = {
        .base_offset = options->base_offset,
        .batch_length = (int32_t)(batch->length - PL_BATCH_PREFIX_BYTES),
        .partition_leader_epoch = options->partition_leader_epoch,
        .magic = 2,
        .attributes = attributes_of(builder),
        .last_offset_delta = last < 0 ? builder->last_offset_delta : last,
        .base_timestamp = builder->base_timestamp,
        .max_timestamp = append_time < 0 ? builder->max_timestamp : append_time,
        .producer_id = options->producer_id,
        .producer_epoch = options->producer_epoch,
        .base_sequence = options->base_sequence,
        .records_count = builder->count,
    };
    pl_batch_header_write(batch->bytes, &header);
}

static enum pl_err pack(struct pl_batch_builder *builder, struct pl_codec *codec) {
    struct pl_memory *packed = &builder->packed;
    const struct pl_batch_options *options = &builder->options;
    pl_memory_clear(packed);
    enum pl_err err = pl_memory_reserve(packed, PL_BATCH_HEADER_BYTES);
    if (err != PL_OK) {
        return err;
    }
    packed->length = PL_BATCH_HEADER_BYTES;
    const struct pl_memory *plain = &builder->plain;
    err = pl_codec_compress(codec, options->compression, options->level,
                            plain->bytes + PL_BATCH_HEADER_BYTES,
                            plain->length - PL_BATCH_HEADER_BYTES, packed);
    return err == PL_OK && packed->length > PL_MAX_BATCH_BYTES ? PL_ERR_LIMIT : err;
}

enum pl_err pl_batch_builder_build(struct pl_batch_builder *builder, struct pl_codec *codec,
                                   const uint8_t **out, size_t *out_n) {
    const struct pl_batch_options *options = &builder->options;
    bool empty = builder->count == 0;
    int32_t last = options->last_offset_delta;
    if (empty ? last < 0 : last >= 0 && last < builder->last_offset_delta) {
        return PL_ERR_INVALID;
    }
    enum pl_err err = empty ? reserve_record(builder, 0) : PL_OK;
    struct pl_memory *batch = &builder->plain;
    if (err == PL_OK && !empty && options->compression != PL_COMPRESSION_NONE) {
        err = pack(builder, codec);
        batch = &builder->packed;
    }
    if (err != PL_OK) {
        return err;
    }
    seal(builder, batch);
    *out = batch->bytes;
    *out_n = batch->length;
    return PL_OK;
}
