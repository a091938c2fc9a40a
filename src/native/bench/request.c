#include "bench/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "pylog/codec.h"

enum {
    API_PRODUCE = 0,
    PRODUCE_VERSION = 7,
    API_FETCH = 1,
    FETCH_VERSION = 11,
    PRODUCE_TIMEOUT_MS = 30000,
};

static const char CLIENT_ID[] = "pylog-bench";

/* ---- writing ---- */

struct out {
    uint8_t *at;
};

static void put_u8(struct out *out, int value) {
    *out->at++ = (uint8_t)value;
}

static void put_u16(struct out *out, int value) {
    pl_put_u16(out->at, (uint16_t)value);
    out->at += 2;
}

static void put_u32(struct out *out, int64_t value) {
    pl_put_u32(out->at, (uint32_t)value);
    out->at += 4;
}

static void put_u64(struct out *out, int64_t value) {
    pl_put_u64(out->at, (uint64_t)value);
    out->at += 8;
}

static void put_text(struct out *out, const char *text) {
    size_t n = strlen(text);
    put_u16(out, (int)n);
    memcpy(out->at, text, n);
    out->at += n;
}

static struct out begin(uint8_t *header, int api_key, int version, int32_t correlation_id) {
    struct out out = {header + 4};
    put_u16(&out, api_key);
    put_u16(&out, version);
    put_u32(&out, correlation_id);
    put_text(&out, CLIENT_ID);
    return out;
}

static size_t finish(const struct out *out, uint8_t *header, size_t following) {
    size_t length = (size_t)(out->at - header);
    pl_put_u32(header, (uint32_t)(length - 4 + following));
    return length;
}

size_t pl_request_produce(const struct pl_load_options *options, int32_t correlation_id,
                          int32_t partition, size_t batch_length, uint8_t *header) {
    struct out out = begin(header, API_PRODUCE, PRODUCE_VERSION, correlation_id);
    put_u16(&out, -1); /* transactional id */
    put_u16(&out, options->acks);
    put_u32(&out, PRODUCE_TIMEOUT_MS);
    put_u32(&out, 1);
    put_text(&out, options->topic);
    put_u32(&out, 1);
    put_u32(&out, partition);
    put_u32(&out, (int64_t)batch_length);
    return finish(&out, header, batch_length);
}

size_t pl_request_fetch(const struct pl_load_options *options, int32_t correlation_id,
                        int32_t partition, int64_t offset, int32_t max_wait_ms, uint8_t *header) {
    struct out out = begin(header, API_FETCH, FETCH_VERSION, correlation_id);
    put_u32(&out, -1); /* replica id: a consumer */
    put_u32(&out, max_wait_ms);
    put_u32(&out, 1); /* min bytes */
    put_u32(&out, options->fetch_bytes);
    put_u8(&out, 0);   /* isolation level: read uncommitted */
    put_u32(&out, 0);  /* session id */
    put_u32(&out, -1); /* session epoch: no session */
    put_u32(&out, 1);
    put_text(&out, options->topic);
    put_u32(&out, 1);
    put_u32(&out, partition);
    put_u32(&out, -1); /* current leader epoch */
    put_u64(&out, offset);
    put_u64(&out, -1); /* log start offset */
    put_u32(&out, options->fetch_bytes);
    put_u32(&out, 0); /* forgotten topics */
    put_u16(&out, 0); /* rack */
    return finish(&out, header, 0);
}

/* ---- reading ---- */

enum pl_err pl_answer_produce(const uint8_t *bytes, size_t length, struct pl_answer *answer) {
    struct pl_cursor c = pl_cursor_open(bytes, length);
    *answer = (struct pl_answer){.next_offset = -1};
    answer->correlation_id = pl_cursor_i32(&c);
    if (pl_cursor_i32(&c) != 1) { /* topics */
        return PL_ERR_INVALID;
    }
    (void)pl_cursor_string(&c);
    if (pl_cursor_i32(&c) != 1) {
        return PL_ERR_INVALID;
    }
    (void)pl_cursor_i32(&c);
    answer->error = pl_cursor_i16(&c);
    return c.err;
}

static void read_batches(const uint8_t *bytes, size_t length, struct pl_answer *answer) {
    struct pl_batch_reader reader = pl_batch_reader_open(bytes, length);
    struct pl_batch batch;
    while (pl_batch_reader_next(&reader, &batch)) {
        answer->next_offset = pl_batch_last_offset(&batch.header) + 1;
    }
}

enum pl_err pl_answer_fetch(const uint8_t *bytes, size_t length, struct pl_answer *answer) {
    struct pl_cursor c = pl_cursor_open(bytes, length);
    *answer = (struct pl_answer){.next_offset = -1};
    answer->correlation_id = pl_cursor_i32(&c);
    (void)pl_cursor_i32(&c); /* throttle time */
    answer->error = pl_cursor_i16(&c);
    (void)pl_cursor_i32(&c); /* session id */
    int32_t topics = pl_cursor_i32(&c);
    if (topics != 1) {
        return answer->error != 0 ? c.err : PL_ERR_INVALID;
    }
    (void)pl_cursor_string(&c);
    if (pl_cursor_i32(&c) != 1) {
        return PL_ERR_INVALID;
    }
    (void)pl_cursor_i32(&c);
    answer->error = pl_cursor_i16(&c);
    answer->high_watermark = pl_cursor_i64(&c);
    (void)pl_cursor_i64(&c); /* last stable offset */
    answer->start_offset = pl_cursor_i64(&c);
    int32_t aborted = pl_cursor_i32(&c);
    if (aborted > 0) {
        pl_cursor_skip(&c, (size_t)aborted * 16);
    }
    (void)pl_cursor_i32(&c); /* preferred read replica */
    int32_t records = pl_cursor_i32(&c);
    const uint8_t *batches = records > 0 ? pl_cursor_take(&c, (size_t)records) : NULL;
    if (batches != NULL) {
        read_batches(batches, (size_t)records, answer);
    }
    return c.err;
}

enum pl_err pl_answer_raw(const uint8_t *bytes, size_t length, int64_t offset,
                          struct pl_answer *answer) {
    struct pl_cursor c = pl_cursor_open(bytes, length);
    *answer = (struct pl_answer){.next_offset = offset + 1, .high_watermark = INT64_MAX};
    answer->correlation_id = pl_cursor_i32(&c);
    return c.err;
}

/* ---- record batches ---- */

struct payload {
    uint8_t *bytes;
    size_t length;
};

struct pl_payloads { /* owned by the run */
    const struct pl_load_options *options;
    struct pl_codec *codec;
    int64_t timestamp_ms; /* of every record */
    uint8_t *values; /* batch_records values, one after another */
    struct payload made[];  /* by number of records - 1 */
};

/* Text of the kind that logs hold, so that compression has real work: words of a small
 * vocabulary and numbers, the same in every run. */
static void fill_values(uint8_t *values, size_t length) {
    static const char *const words[] = {"GET ", "POST ", "/index", "/images/", "status=",
                                        "200 ", "404 ",  "user=",  "agent=",   "bytes="};
    uint64_t state = 88172645463325252ULL;
    size_t at = 0;
    while (at < length) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const char *word = words[state % (sizeof words / sizeof words[0])];
        for (const char *c = word; *c != '\0' && at < length; c++) {
            values[at++] = (uint8_t)*c;
        }
        for (uint64_t digits = state >> 32; digits > 9999999 && at < length; digits /= 16) {
            values[at++] = (uint8_t)('0' + digits % 10);
        }
    }
}

enum pl_err pl_payloads_create(const struct pl_load_options *options,
                               struct pl_payloads **out) {
    size_t records = (size_t)options->batch_records;
    size_t bytes = records * (size_t)options->record_bytes;
    struct pl_payloads *payloads =
        calloc(1, sizeof *payloads + records * sizeof payloads->made[0]);
    if (payloads == NULL) {
        return PL_ERR_MEMORY;
    }
    payloads->options = options;
    payloads->timestamp_ms = pl_clock_real.wall_ms(NULL);
    payloads->values = malloc(bytes + 1);
    if (payloads->values == NULL || pl_codec_create(PL_MAX_BATCH_BYTES, &payloads->codec) != PL_OK) {
        pl_payloads_destroy(payloads);
        return PL_ERR_MEMORY;
    }
    fill_values(payloads->values, bytes);
    *out = payloads;
    return PL_OK;
}

void pl_payloads_destroy(struct pl_payloads *payloads) {
    if (payloads == NULL) {
        return;
    }
    for (int32_t i = 0; i < payloads->options->batch_records; i++) {
        free(payloads->made[i].bytes);
    }
    pl_codec_destroy(payloads->codec);
    free(payloads->values);
    free(payloads);
}

static enum pl_err append_values(struct pl_batch_builder *builder,
                                 const struct pl_payloads *payloads, int32_t records) {
    const struct pl_span null = {NULL, -1};
    int32_t size = payloads->options->record_bytes;
    for (int32_t i = 0; i < records; i++) {
        struct pl_span value = {payloads->values + (size_t)i * (size_t)size, size};
        enum pl_err err =
            pl_batch_builder_append(builder, payloads->timestamp_ms, null, value, NULL, 0);
        if (err != PL_OK) {
            return err;
        }
    }
    return PL_OK;
}

static enum pl_err keep_copy(const uint8_t *bytes, size_t length, struct payload *payload) {
    payload->bytes = malloc(length);
    if (payload->bytes == NULL) {
        return PL_ERR_MEMORY;
    }
    memcpy(payload->bytes, bytes, length);
    payload->length = length;
    return PL_OK;
}

static enum pl_err make_batch(const struct pl_payloads *payloads, int32_t records,
                              struct payload *payload) {
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = (enum pl_compression)payloads->options->compression;
    struct pl_batch_builder *builder = NULL;
    enum pl_err err = pl_batch_builder_create(&options, &builder);
    if (err != PL_OK) {
        return err;
    }
    const uint8_t *bytes = NULL;
    size_t length = 0;
    err = append_values(builder, payloads, records);
    if (err == PL_OK) {
        err = pl_batch_builder_build(builder, payloads->codec, &bytes, &length);
    }
    if (err == PL_OK) {
        err = keep_copy(bytes, length, payload);
    }
    pl_batch_builder_destroy(builder);
    return err;
}

const uint8_t *pl_payloads_batch(struct pl_payloads *payloads, int32_t records, size_t *length) {
    struct payload *payload = &payloads->made[records - 1];
    if (payload->bytes == NULL && make_batch(payloads, records, payload) != PL_OK) {
        return NULL;
    }
    *length = payload->length;
    return payload->bytes;
}
