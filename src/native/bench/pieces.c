#include "bench/pieces.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "gen/requests.h"
#include "log/log.h"
#include "net/frame.h"
#include "pylog/codec.h"

enum { DAY_MS = 24 * 3600 * 1000, MAX_FRAME_BYTES = 100 << 20 };

struct pl_piece_log {
    struct pl_log *log;
    struct pl_codec *codec;
};

static struct pl_log_config default_config(void) {
    return (struct pl_log_config){
        .segment_bytes = INT64_C(1) << 30,
        .segment_ms = INT64_C(7) * DAY_MS,
        .segment_index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .max_message_bytes = 1048588,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
        .retention_ms = -1,
        .retention_bytes = -1,
        .delete_retention_ms = DAY_MS,
        .max_compaction_lag_ms = INT64_MAX,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .producer_id_expiration_ms = DAY_MS,
        .min_cleanable_dirty_ratio = 0.5,
        .timestamp_type = PL_TIMESTAMP_CREATE,
        .durability = PL_DURABILITY_OS,
        .compression = -1,
        .delete_policy = true,
    };
}

/* ---- the log ---- */

struct pl_piece_log *pl_piece_log_open(const char *folder) {
    struct pl_piece_log *piece = calloc(1, sizeof *piece);
    if (piece == NULL) {
        return NULL;
    }
    const struct pl_log_config config = default_config();
    const struct pl_log_open open = {
        .fs = &pl_fs_real, .clock = &pl_clock_real, .folder = folder};
    if (pl_codec_create(PL_MAX_BATCH_BYTES, &piece->codec) != PL_OK ||
        pl_log_open(&open, &config, &piece->log) != PL_OK) {
        pl_codec_destroy(piece->codec);
        free(piece);
        return NULL;
    }
    return piece;
}

void pl_piece_log_close(struct pl_piece_log *piece) {
    (void)!pl_log_close(piece->log);
    pl_codec_destroy(piece->codec);
    free(piece);
}

int pl_piece_log_append(struct pl_piece_log *piece, uint8_t *copies, size_t length, int32_t count,
                        int32_t per_write) {
    struct pl_append append = {.origin = PL_APPEND_CLIENT, .codec = piece->codec};
    struct pl_appended appended;
    enum pl_err err = PL_OK;
    for (int32_t done = 0; done < count && err == PL_OK;) {
        append.now_ms = pl_clock_real.wall_ms(NULL);
        for (int32_t i = 0; i < per_write && done < count && err == PL_OK; i++, done++) {
            uint8_t *batch = copies + (size_t)i * length;
            memset(batch, 0, sizeof(int64_t)); /* the offset, as a client sends it */
            err = pl_log_append(piece->log, &append, batch, length, &appended);
        }
        if (err == PL_OK) {
            err = pl_log_write(piece->log);
        }
    }
    return (int)err;
}

int64_t pl_piece_log_read(struct pl_piece_log *piece, const int64_t *offsets, int32_t count,
                          uint8_t *buffer, uint32_t max_bytes) {
    int64_t bytes = 0;
    for (int32_t i = 0; i < count; i++) {
        struct pl_slice slice;
        if (pl_log_locate(piece->log, offsets[i], INT64_MAX, max_bytes, false, &slice) != PL_OK) {
            return -1;
        }
        if (slice.segment == NULL) {
            continue;
        }
        ssize_t n = pread(slice.fd, buffer, slice.length, (off_t)slice.position);
        pl_segment_release(slice.segment);
        if (n != (ssize_t)slice.length) {
            return -1;
        }
        bytes += n;
    }
    return bytes;
}

/* ---- frames ---- */

static int64_t count_partitions(const struct pl_request *request) {
    struct pl_produce_request produce;
    if (pl_produce_request_read(request->body, request->length, request->api_version, &produce) !=
        PL_OK) {
        return -1;
    }
    int64_t found = 0;
    struct pl_cursor topics = produce.topic_data.elements;
    for (int32_t i = 0; i < produce.topic_data.count; i++) {
        struct pl_produce_request_topic topic;
        pl_produce_request_topic_read(&topics, request->api_version, &topic);
        struct pl_cursor partitions = topic.partition_data.elements;
        for (int32_t j = 0; j < topic.partition_data.count; j++) {
            struct pl_produce_request_partition partition;
            pl_produce_request_partition_read(&partitions, request->api_version, &partition);
            found += partition.records.length >= 0;
        }
    }
    return found;
}

int64_t pl_piece_produce_frames(uint8_t *stream, size_t length) {
    int64_t found = 0;
    for (size_t at = 0; at < length;) {
        size_t frame = 0;
        struct pl_request request = {0};
        if (length - at < PL_FRAME_PREFIX_BYTES ||
            pl_frame_length(stream + at, PL_FRAME_SHORTEST_BYTES, MAX_FRAME_BYTES, &frame) !=
                PL_OK ||
            frame > length - at - PL_FRAME_PREFIX_BYTES ||
            pl_frame_parse(stream + at + PL_FRAME_PREFIX_BYTES, frame, &request) != PL_OK) {
            return -1;
        }
        int64_t partitions = count_partitions(&request);
        if (partitions < 0) {
            return -1;
        }
        found += partitions;
        at += PL_FRAME_PREFIX_BYTES + frame;
    }
    return found;
}
