/* Batches are checked, get their offsets and are staged; the files are not touched. */
#include <stdlib.h>

#include "log/log_state.h"

void pl_stage_begin(struct pl_log *log) {
    struct pl_stage *stage = &log->stage;
    if (stage->open) {
        return;
    }
    struct pl_segment *active = pl_log_active(log);
    stage->open = true;
    stage->failed = PL_OK;
    stage->log_end = log->log_end;
    stage->segment_count = log->segment_count;
    if (active != NULL) {
        stage->tail = pl_segment_mark(active);
        active->staged_from = 0;
    }
}

static enum pl_err stage_bytes(struct pl_log *log, uint8_t *bytes, size_t n) {
    struct pl_stage *stage = &log->stage;
    if (stage->count == stage->room) {
        int room = stage->room == 0 ? 4 : stage->room * 2;
        struct iovec *iov = realloc(stage->iov, (size_t)room * sizeof *iov);
        if (iov == NULL) {
            return PL_ERR_MEMORY;
        }
        stage->iov = iov;
        stage->room = room;
    }
    stage->iov[stage->count++] = (struct iovec){.iov_base = bytes, .iov_len = n};
    return PL_OK;
}

enum pl_err pl_log_roll(struct pl_log *log) {
    uint8_t *snapshot;
    size_t n;
    enum pl_err err = pl_producers_encode(&log->producers, &snapshot, &n);
    if (err != PL_OK) {
        return err;
    }
    pl_stage_begin(log);
    struct pl_segment *segment;
    err = pl_log_push_segment(log, log->log_end, &segment);
    if (err != PL_OK) {
        free(snapshot);
        return err;
    }
    segment->snapshot = snapshot;
    segment->snapshot_bytes = n;
    segment->staged_from = log->stage.count;
    segment->indexes_loaded = true;
    return PL_OK;
}

/* ---- checks ---- */

static enum pl_err check_time(const struct pl_log *log, const struct pl_batch_header *header,
                              int64_t now_ms) {
    const struct pl_log_config *config = &log->config;
    if (config->timestamp_type == PL_TIMESTAMP_APPEND) {
        return PL_OK;
    }
    if (pl_batch_is(header, PL_BATCH_APPEND_TIME)) {
        return PL_ERR_TIMESTAMP; /* a producer cannot know it */
    }
    if (header->max_timestamp < 0) {
        return PL_OK;
    }
    if (header->max_timestamp > now_ms &&
        header->max_timestamp - now_ms > config->timestamp_after_max_ms) {
        return PL_ERR_TIMESTAMP;
    }
    if (header->base_timestamp >= 0 && header->base_timestamp < now_ms &&
        now_ms - header->base_timestamp > config->timestamp_before_max_ms) {
        return PL_ERR_TIMESTAMP;
    }
    return PL_OK;
}

static enum pl_err check_client(const struct pl_log *log, const struct pl_append *append,
                                const struct pl_batch_header *header, size_t n) {
    if (pl_batch_size(header) != n) {
        return PL_ERR_INVALID;
    }
    if ((int64_t)n > log->config.max_message_bytes || (int64_t)n > log->config.segment_bytes) {
        return PL_ERR_TOO_LARGE;
    }
    return check_time(log, header, append->now_ms);
}

static enum pl_err check_control(const struct pl_log *log, const struct pl_append *append,
                                 const uint8_t *batch, const struct pl_batch_header *header) {
    struct pl_txn_marker marker;
    enum pl_err err = pl_txn_marker_parse(batch, header, &marker);
    if (err != PL_OK || !marker.is_marker || append->origin == PL_APPEND_REPLICA) {
        return err;
    }
    return pl_producer_check_marker(pl_producers_find(&log->producers, header->producer_id), header,
                                    &marker);
}

static void answer_duplicate(const struct pl_log *log, const struct pl_producer_batch *stored,
                             struct pl_appended *appended) {
    appended->duplicate = true;
    appended->end_offset = stored->last_offset + 1;
    appended->first_offset = stored->last_offset - stored->offset_delta;
    if (log->config.timestamp_type == PL_TIMESTAMP_APPEND) {
        appended->append_time_ms = stored->timestamp_ms;
    }
}

/* One batch, by the rules of its origin. appended->duplicate is set when it was stored before. */
static enum pl_err check_batch(const struct pl_log *log, const struct pl_append *append,
                               const uint8_t *bytes, size_t n, int64_t expected,
                               struct pl_batch_header *header, struct pl_appended *appended) {
    bool client = append->origin == PL_APPEND_CLIENT;
    enum pl_err err =
        pl_batch_check(bytes, n, client ? PL_BATCH_FROM_CLIENT : PL_BATCH_FROM_LOG, header, NULL);
    if (err != PL_OK) {
        return err;
    }
    if (append->origin == PL_APPEND_REPLICA && header->base_offset < expected) {
        return PL_ERR_OUT_OF_RANGE;
    }
    if (client) {
        err = check_client(log, append, header, n);
        if (err != PL_OK) {
            return err;
        }
    }
    if (pl_batch_is(header, PL_BATCH_CONTROL)) {
        return check_control(log, append, bytes, header);
    }
    if (append->origin == PL_APPEND_REPLICA || header->producer_id < 0) {
        return PL_OK;
    }
    const struct pl_producer *producer = pl_producers_find(&log->producers, header->producer_id);
    if (!client) { /* coordinators write without sequences */
        return producer != NULL && header->producer_epoch < producer->epoch ? PL_ERR_PRODUCER_EPOCH
                                                                            : PL_OK;
    }
    const struct pl_producer_batch *duplicate;
    err = pl_producer_check_batch(producer, header, append->transaction_verified, &duplicate);
    if (err == PL_OK && duplicate != NULL) {
        answer_duplicate(log, duplicate, appended);
    }
    return err;
}

/* All batches before the first one changes anything. *first: header of the first one. */
static enum pl_err check_all(const struct pl_log *log, const struct pl_append *append,
                             const uint8_t *bytes, size_t n, struct pl_batch_header *first,
                             struct pl_appended *appended) {
    if (n == 0) {
        return PL_ERR_INVALID;
    }
    int64_t expected = log->log_end;
    struct pl_batch_header header;
    for (size_t at = 0; at < n; at += pl_batch_size(&header)) {
        enum pl_err err = check_batch(log, append, bytes + at, n - at, expected, &header, appended);
        if (err != PL_OK) {
            return err;
        }
        if (at == 0) {
            *first = header;
        }
        if (append->origin == PL_APPEND_REPLICA) {
            expected = pl_batch_last_offset(&header) + 1;
        }
    }
    return PL_OK;
}

/* ---- rolling ---- */

static bool time_to_roll(const struct pl_log *log, const struct pl_segment *active,
                         const struct pl_batch_header *header) {
    const struct pl_segment_tail *tail = &active->tail;
    if (tail->size == 0 || tail->first_timestamp_ms < 0 || header->max_timestamp < 0) {
        return false;
    }
    return header->max_timestamp - tail->first_timestamp_ms > log->config.segment_ms;
}

static bool must_roll(const struct pl_log *log, const struct pl_segment *active,
                      const struct pl_batch_header *header) {
    uint64_t size = active->tail.size;
    if (size > 0 && (int64_t)(size + pl_batch_size(header)) > log->config.segment_bytes) {
        return true;
    }
    return pl_batch_last_offset(header) - active->base_offset > INT32_MAX ||
           pl_segment_index_full(active, log->config.segment_index_bytes) ||
           time_to_roll(log, active, header);
}

static enum pl_err make_room(struct pl_log *log, const struct pl_batch_header *header) {
    struct pl_segment *active = pl_log_active(log);
    if (active == NULL || must_roll(log, active, header)) {
        enum pl_err err = pl_log_roll(log);
        if (err != PL_OK) {
            return err;
        }
        active = pl_log_active(log);
    }
    return pl_segment_reserve(active);
}

/* ---- staging ---- */

/* Offset, epoch and time of a batch, in place and in the header that was read from it. */
static void assign(struct pl_log *log, const struct pl_append *append, uint8_t *batch,
                   struct pl_batch_header *header) {
    if (append->origin == PL_APPEND_REPLICA) {
        return;
    }
    header->base_offset = log->log_end;
    header->partition_leader_epoch = append->leader_epoch;
    pl_batch_set_base_offset(batch, header->base_offset);
    pl_batch_set_leader_epoch(batch, header->partition_leader_epoch);
    if (log->config.timestamp_type == PL_TIMESTAMP_APPEND) {
        header->max_timestamp = append->now_ms;
        header->attributes |= PL_BATCH_APPEND_TIME;
        pl_batch_set_append_time(batch, append->now_ms);
    }
}

static enum pl_err stage_batch(struct pl_log *log, uint8_t *batch,
                               const struct pl_batch_header *header) {
    enum pl_err err = make_room(log, header);
    if (err == PL_OK) {
        err = pl_epochs_add(&log->epochs, header->partition_leader_epoch, header->base_offset);
    }
    if (err == PL_OK && header->producer_id >= 0) {
        err = pl_log_note_producer(log, pl_log_active(log), header, batch);
    }
    if (err == PL_OK) {
        err = stage_bytes(log, batch, pl_batch_size(header));
    }
    if (err != PL_OK) {
        return err;
    }
    pl_segment_add_batch(pl_log_active(log), header, log->config.index_interval_bytes);
    log->log_end = pl_batch_last_offset(header) + 1;
    return PL_OK;
}

static enum pl_err stage_all(struct pl_log *log, const struct pl_append *append, uint8_t *bytes,
                             size_t n, struct pl_batch_header *first,
                             struct pl_appended *appended) {
    pl_stage_begin(log);
    struct pl_batch_header header = *first;
    for (size_t at = 0; at < n; at += pl_batch_size(&header)) {
        enum pl_err err = PL_OK;
        if (at > 0) {
            err = pl_batch_header_parse(bytes + at, n - at, &header);
        }
        if (err != PL_OK) {
            return err;
        }
        assign(log, append, bytes + at, &header);
        if (at == 0) {
            appended->first_offset = header.base_offset;
        }
        err = stage_batch(log, bytes + at, &header);
        if (err != PL_OK) {
            return err;
        }
    }
    appended->end_offset = log->log_end;
    if (log->config.timestamp_type == PL_TIMESTAMP_APPEND && append->origin != PL_APPEND_REPLICA) {
        appended->append_time_ms = append->now_ms;
    }
    return PL_OK;
}

enum pl_err pl_log_append(struct pl_log *log, const struct pl_append *append, uint8_t *bytes,
                          size_t n, struct pl_appended *appended) {
    *appended = (struct pl_appended){
        .first_offset = -1, .end_offset = -1, .append_time_ms = -1, .bad_record = -1};
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (log->stage.open && log->stage.failed != PL_OK) {
        return log->stage.failed;
    }
    struct pl_batch_header first;
    enum pl_err err = check_all(log, append, bytes, n, &first, appended);
    if (err != PL_OK || appended->duplicate) {
        return err;
    }
    err = stage_all(log, append, bytes, n, &first, appended);
    if (err != PL_OK) {
        log->stage.failed = err; /* some of it may be staged: all goes at the next write */
    }
    return err;
}
