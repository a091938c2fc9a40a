/* What a topic asks of the records inside a client's batch: well formed and counted right, keys
 * on a compacted topic, times within bounds, and the topic's own compression type.
 *
 * Records that lie there uncompressed are always looked at. Compressed ones only when the topic
 * asks for something that the header cannot tell: they pass through as the producer packed them.
 */
#include <stdlib.h>
#include <string.h>

#include "log/log_state.h"

static bool needs_records(const struct pl_log_config *config,
                          const struct pl_batch_header *header) {
    if (pl_batch_compression(header) == PL_COMPRESSION_NONE || config->compact_policy) {
        return true;
    }
    return config->timestamp_type == PL_TIMESTAMP_CREATE &&
           config->timestamp_before_max_ms < INT64_MAX;
}

static bool needs_recompression(const struct pl_log_config *config,
                                const struct pl_batch_header *header) {
    return config->compression >= 0 && config->compression != (int8_t)pl_batch_compression(header);
}

static bool out_of_bounds(const struct pl_log_config *config, int64_t timestamp_ms,
                          int64_t now_ms) {
    if (timestamp_ms < 0) { /* the record has none */
        return false;
    }
    if (timestamp_ms > now_ms) {
        return timestamp_ms - now_ms > config->timestamp_after_max_ms;
    }
    return now_ms - timestamp_ms > config->timestamp_before_max_ms;
}

/* Only when the highest time alone cannot answer. */
static enum pl_err check_times(const struct pl_log_config *config, struct pl_codec *codec,
                               const struct pl_batch *batch, int64_t now_ms, int32_t *bad_record) {
    if (config->timestamp_before_max_ms == INT64_MAX &&
        !out_of_bounds(config, batch->header.max_timestamp, now_ms)) {
        return PL_OK;
    }
    struct pl_record_reader reader;
    enum pl_err err = pl_batch_open_records(codec, batch, &reader);
    if (err != PL_OK) {
        return err;
    }
    struct pl_record record;
    for (int32_t i = 0; pl_record_reader_next(&reader, &record); i++) {
        if (!out_of_bounds(config, pl_record_timestamp(&batch->header, &record), now_ms)) {
            continue;
        }
        *bad_record = i;
        return PL_ERR_TIMESTAMP;
    }
    return reader.cursor.err;
}

/* Sets the header's highest time to what the records say. */
static void correct_time(uint8_t *bytes, struct pl_batch *batch, const struct pl_batch_scan *scan) {
    if (scan->max_timestamp == batch->header.max_timestamp) {
        return;
    }
    pl_batch_set_max_timestamp(bytes, scan->max_timestamp);
    batch->header.max_timestamp = scan->max_timestamp;
}

static enum pl_err check_records(const struct pl_log_config *config, struct pl_codec *codec,
                                 uint8_t *bytes, struct pl_batch *batch, int64_t now_ms,
                                 int32_t *bad_record) {
    struct pl_batch_scan scan;
    enum pl_err err = pl_batch_scan(codec, batch, &scan);
    if (err != PL_OK) {
        *bad_record = scan.bad_record;
        return scan.bad_record >= 0 ? PL_ERR_RECORD : err;
    }
    if (config->compact_policy && scan.first_keyless >= 0) {
        *bad_record = scan.first_keyless;
        return PL_ERR_RECORD;
    }
    if (config->timestamp_type == PL_TIMESTAMP_APPEND) {
        return PL_OK;
    }
    correct_time(bytes, batch, &scan);
    return check_times(config, codec, batch, now_ms, bad_record);
}

static enum pl_err check_with(const struct pl_log_config *config, struct pl_codec *codec,
                              uint8_t *bytes, struct pl_batch_header *header, int64_t now_ms,
                              int32_t *bad_record) {
    if (config->timestamp_type == PL_TIMESTAMP_CREATE) {
        if (pl_batch_is(header, PL_BATCH_APPEND_TIME)) {
            return PL_ERR_TIMESTAMP; /* a producer cannot know it */
        }
        if (!needs_records(config, header) &&
            out_of_bounds(config, header->max_timestamp, now_ms)) {
            return PL_ERR_TIMESTAMP;
        }
    }
    if (!needs_records(config, header)) {
        return PL_OK;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    enum pl_err err = check_records(config, codec, bytes, &batch, now_ms, bad_record);
    header->max_timestamp = batch.header.max_timestamp;
    return err;
}

enum pl_err pl_log_check_records(const struct pl_log *log, const struct pl_append *append,
                                 uint8_t *bytes, struct pl_batch_header *header,
                                 int32_t *bad_record) {
    const struct pl_log_config *config = &log->config;
    struct pl_codec *codec = append->codec;
    bool packed = pl_batch_compression(header) != PL_COMPRESSION_NONE;
    bool own = codec == NULL && packed && needs_records(config, header);
    if (own) {
        enum pl_err err = pl_codec_create(PL_MAX_BATCH_BYTES, &codec);
        if (err != PL_OK) {
            return err;
        }
    }
    enum pl_err err = check_with(config, codec, bytes, header, append->now_ms, bad_record);
    if (own) {
        pl_codec_destroy(codec);
    }
    return err;
}

/* ---- another compression ---- */

static struct pl_batch_options options_of(const struct pl_log_config *config,
                                          const struct pl_batch_header *header) {
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = (enum pl_compression)config->compression;
    if (config->compression_level_set) {
        options.level = config->compression_level;
    }
    options.producer_id = header->producer_id;
    options.producer_epoch = header->producer_epoch;
    options.base_sequence = header->base_sequence;
    options.transactional = pl_batch_is(header, PL_BATCH_TRANSACTIONAL);
    options.last_offset_delta = header->last_offset_delta;
    return options;
}

static enum pl_err copy_records(struct pl_batch_builder *builder, struct pl_codec *codec,
                                const struct pl_batch *batch) {
    struct pl_record_reader reader;
    enum pl_err err = pl_batch_open_records(codec, batch, &reader);
    struct pl_record record;
    while (err == PL_OK && pl_record_reader_next(&reader, &record)) {
        err = pl_batch_builder_copy(builder, pl_record_timestamp(&batch->header, &record), &record);
    }
    return err != PL_OK ? err : reader.cursor.err;
}

static enum pl_err rebuild(const struct pl_log_config *config, struct pl_codec *codec,
                           const struct pl_batch *batch, uint8_t **packed, size_t *packed_n) {
    struct pl_batch_options options = options_of(config, &batch->header);
    struct pl_batch_builder *builder;
    enum pl_err err = pl_batch_builder_create(&options, &builder);
    if (err != PL_OK) {
        return err;
    }
    const uint8_t *built = NULL;
    err = copy_records(builder, codec, batch);
    if (err == PL_OK) {
        err = pl_batch_builder_build(builder, codec, &built, packed_n);
    }
    if (err == PL_OK) {
        *packed = malloc(*packed_n);
        err = *packed == NULL ? PL_ERR_MEMORY : PL_OK;
    }
    if (err == PL_OK) {
        memcpy(*packed, built, *packed_n);
    }
    pl_batch_builder_destroy(builder);
    return err;
}

enum pl_err pl_log_recompress(const struct pl_log *log, const struct pl_append *append,
                              const uint8_t *bytes, const struct pl_batch_header *header,
                              uint8_t **packed, size_t *packed_n) {
    *packed = NULL;
    if (!needs_recompression(&log->config, header) || pl_batch_is(header, PL_BATCH_CONTROL)) {
        return PL_OK;
    }
    struct pl_codec *codec = append->codec;
    enum pl_err err = codec == NULL ? pl_codec_create(PL_MAX_BATCH_BYTES, &codec) : PL_OK;
    if (err != PL_OK) {
        return err;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    err = rebuild(&log->config, codec, &batch, packed, packed_n);
    if (append->codec == NULL) {
        pl_codec_destroy(codec);
    }
    return err;
}
