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

/* ---- who is to blame ---- */

void pl_bad_records_free(struct pl_bad_records *bad) {
    free(bad->indexes);
    *bad = (struct pl_bad_records){0};
}

static enum pl_err blame(struct pl_bad_records *bad, int32_t index) {
    if (bad == NULL) {
        return PL_OK;
    }
    if (bad->count == bad->room) {
        int32_t room = bad->room == 0 ? 16 : bad->room * 2;
        int32_t *indexes = realloc(bad->indexes, (size_t)room * sizeof *indexes);
        if (indexes == NULL) {
            return PL_ERR_MEMORY;
        }
        bad->indexes = indexes;
        bad->room = room;
    }
    bad->indexes[bad->count++] = index;
    return PL_OK;
}

static enum pl_err refusal(const struct pl_log_config *config,
                           const struct pl_batch_header *header, const struct pl_record *record,
                           int64_t now_ms) {
    if (config->compact_policy && record->key.length < 0) {
        return PL_ERR_RECORD;
    }
    return config->timestamp_type == PL_TIMESTAMP_CREATE &&
                   out_of_bounds(config, pl_record_timestamp(header, record), now_ms)
               ? PL_ERR_TIMESTAMP
               : PL_OK;
}

/* Every record that the topic refuses; one that is out of time makes it a matter of times (as in
 * Kafka's LogValidator, KIP-467). PL_OK: none was. */
static enum pl_err refuse_each(const struct pl_log_config *config, const struct pl_append *append,
                               struct pl_codec *codec, const struct pl_batch *batch) {
    struct pl_record_reader reader;
    enum pl_err result = PL_OK, err = pl_batch_open_records(codec, batch, &reader);
    struct pl_record record;
    for (int32_t i = 0; err == PL_OK && pl_record_reader_next(&reader, &record); i++) {
        enum pl_err refused = refusal(config, &batch->header, &record, append->now_ms);
        if (refused != PL_OK) {
            result = result == PL_ERR_TIMESTAMP ? result : refused;
            err = blame(append->bad, i);
        }
    }
    if (err == PL_OK) {
        err = reader.cursor.err;
    }
    return err != PL_OK ? err : result;
}

/* ---- the records of a batch ---- */

/* Sets the header's highest time to what the records say. */
static void correct_time(uint8_t *bytes, struct pl_batch *batch, const struct pl_batch_scan *scan) {
    if (scan->max_timestamp == batch->header.max_timestamp) {
        return;
    }
    pl_batch_set_max_timestamp(bytes, scan->max_timestamp);
    batch->header.max_timestamp = scan->max_timestamp;
}

/* Whether the records have to be asked one by one: the highest time alone cannot tell. */
static bool times_are_doubtful(const struct pl_log_config *config,
                               const struct pl_batch_header *header, int64_t now_ms) {
    return config->timestamp_type == PL_TIMESTAMP_CREATE &&
           (config->timestamp_before_max_ms != INT64_MAX ||
            out_of_bounds(config, header->max_timestamp, now_ms));
}

static enum pl_err check_records(const struct pl_log_config *config, const struct pl_append *append,
                                 struct pl_codec *codec, uint8_t *bytes, struct pl_batch *batch) {
    struct pl_batch_scan scan;
    enum pl_err err = pl_batch_scan(codec, batch, &scan);
    if (err != PL_OK) {
        if (scan.bad_record < 0) {
            return err;
        }
        err = blame(append->bad, scan.bad_record);
        return err == PL_OK ? PL_ERR_RECORD : err;
    }
    if (config->timestamp_type == PL_TIMESTAMP_CREATE) {
        correct_time(bytes, batch, &scan);
    }
    bool keyless = config->compact_policy && scan.first_keyless >= 0;
    return keyless || times_are_doubtful(config, &batch->header, append->now_ms)
               ? refuse_each(config, append, codec, batch)
               : PL_OK;
}

static enum pl_err check_with(const struct pl_log_config *config, const struct pl_append *append,
                              struct pl_codec *codec, uint8_t *bytes,
                              struct pl_batch_header *header) {
    if (config->timestamp_type == PL_TIMESTAMP_CREATE) {
        if (pl_batch_is(header, PL_BATCH_APPEND_TIME)) {
            return PL_ERR_TIMESTAMP; /* a producer cannot know it */
        }
        if (!needs_records(config, header) &&
            out_of_bounds(config, header->max_timestamp, append->now_ms)) {
            return PL_ERR_TIMESTAMP;
        }
    }
    if (!needs_records(config, header)) {
        return PL_OK;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    enum pl_err err = check_records(config, append, codec, bytes, &batch);
    header->max_timestamp = batch.header.max_timestamp;
    return err;
}

enum pl_err pl_log_check_records(const struct pl_log *log, const struct pl_append *append,
                                 uint8_t *bytes, struct pl_batch_header *header) {
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
    enum pl_err err = check_with(config, append, codec, bytes, header);
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
