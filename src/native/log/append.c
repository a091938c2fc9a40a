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
    stage->bytes = 0;
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
    stage->bytes += n;
    return PL_OK;
}

static enum pl_err own_bytes(struct pl_stage *stage, uint8_t *bytes) {
    if (stage->owned_count == stage->owned_room) {
        int room = stage->owned_room == 0 ? 4 : stage->owned_room * 2;
        uint8_t **owned = realloc(stage->owned, (size_t)room * sizeof *owned);
        if (owned == NULL) {
            return PL_ERR_MEMORY;
        }
        stage->owned = owned;
        stage->owned_room = room;
    }
    stage->owned[stage->owned_count++] = bytes;
    return PL_OK;
}

void pl_stage_end(struct pl_stage *stage) {
    while (stage->owned_count > 0) {
        free(stage->owned[--stage->owned_count]);
    }
    stage->count = 0;
    stage->open = false;
}

uint64_t pl_log_staged_bytes(const struct pl_log *log) {
    return log->stage.open ? log->stage.bytes : 0;
}

enum pl_err pl_log_roll(struct pl_log *log) {
    uint8_t *snapshot = NULL;
    size_t n = 0;
    bool first = log->segment_count == 0; /* nothing was, so there is nothing to tell */
    enum pl_err err = first ? PL_OK : pl_producers_encode(&log->producers, &snapshot, &n);
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

static enum pl_err check_size(const struct pl_log *log, const struct pl_batch_header *header,
                              size_t n) {
    if (pl_batch_size(header) != n) {
        return PL_ERR_INVALID; /* a client sends one batch a partition */
    }
    if ((int64_t)n > log->config.max_message_bytes) {
        return PL_ERR_TOO_LARGE;
    }
    return (int64_t)n > log->config.segment_bytes ? PL_ERR_ABOVE_SEGMENT : PL_OK;
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

/* Sequences, epochs and transactions of its producer. */
static enum pl_err check_producer(const struct pl_log *log, const struct pl_append *append,
                                  const struct pl_batch_header *header,
                                  struct pl_appended *appended) {
    if (append->origin == PL_APPEND_REPLICA || header->producer_id < 0) {
        return PL_OK;
    }
    const struct pl_producer *producer = pl_producers_find(&log->producers, header->producer_id);
    if (append->origin == PL_APPEND_COORDINATOR) { /* they write without sequences */
        return producer != NULL && header->producer_epoch < producer->epoch ? PL_ERR_PRODUCER_EPOCH
                                                                            : PL_OK;
    }
    const struct pl_producer_batch *duplicate;
    enum pl_err err =
        pl_producer_check_batch(producer, header, append->transaction_verified, &duplicate);
    if (err == PL_OK && duplicate != NULL) {
        answer_duplicate(log, duplicate, appended);
    }
    return err;
}

/* A client's only batch. appended->duplicate is set when it was stored before. */
static enum pl_err check_client(const struct pl_log *log, const struct pl_append *append,
                                uint8_t *bytes, size_t n, struct pl_batch_header *header,
                                struct pl_appended *appended) {
    enum pl_err err = pl_batch_check(bytes, n, PL_BATCH_FROM_CLIENT, header, NULL);
    if (err == PL_OK) {
        err = check_size(log, header, n);
    }
    if (err == PL_OK) {
        err = check_producer(log, append, header, appended);
    }
    if (err != PL_OK || appended->duplicate) {
        return err;
    }
    return pl_log_check_records(log, append, bytes, header);
}

/* All batches of a coordinator or a leader, before the first one changes anything. */
static enum pl_err check_trusted(const struct pl_log *log, const struct pl_append *append,
                                 const uint8_t *bytes, size_t n, struct pl_batch_header *first,
                                 struct pl_appended *appended) {
    int64_t expected = log->log_end;
    struct pl_batch_header header;
    for (size_t at = 0; at < n; at += pl_batch_size(&header)) {
        enum pl_err err = pl_batch_check(bytes + at, n - at, PL_BATCH_FROM_LOG, &header, NULL);
        if (err != PL_OK) {
            return err;
        }
        if (append->origin == PL_APPEND_REPLICA && header.base_offset < expected) {
            return PL_ERR_OUT_OF_RANGE;
        }
        if (pl_batch_is(&header, PL_BATCH_CONTROL)) {
            err = check_control(log, append, bytes + at, &header);
        } else {
            err = check_producer(log, append, &header, appended);
        }
        if (err != PL_OK) {
            return err;
        }
        if (at == 0) {
            *first = header;
        }
        expected = pl_batch_last_offset(&header) + 1;
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
    return header->max_timestamp - tail->first_timestamp_ms > pl_log_max_segment_ms(log);
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

/* The batch as the topic stores it: packed anew when its compression is another one. */
static enum pl_err repack(struct pl_log *log, const struct pl_append *append, uint8_t **bytes,
                          size_t *n, struct pl_batch_header *header) {
    uint8_t *packed;
    size_t packed_n;
    enum pl_err err = pl_log_recompress(log, append, *bytes, header, &packed, &packed_n);
    if (err != PL_OK || packed == NULL) {
        return err;
    }
    err = pl_batch_header_parse(packed, packed_n, header);
    if (err == PL_OK) {
        err = check_size(log, header, packed_n);
    }
    if (err == PL_OK) {
        err = own_bytes(&log->stage, packed);
    }
    if (err != PL_OK) {
        free(packed);
        return err;
    }
    *bytes = packed;
    *n = packed_n;
    return PL_OK;
}

enum pl_err pl_log_append(struct pl_log *log, const struct pl_append *append, uint8_t *bytes,
                          size_t n, struct pl_appended *appended) {
    *appended =
        (struct pl_appended){.first_offset = -1, .end_offset = -1, .append_time_ms = -1};
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (log->stage.open && log->stage.failed != PL_OK) {
        return log->stage.failed;
    }
    if (n == 0) {
        return PL_ERR_INVALID;
    }
    bool client = append->origin == PL_APPEND_CLIENT;
    struct pl_batch_header first;
    enum pl_err err = client ? check_client(log, append, bytes, n, &first, appended)
                             : check_trusted(log, append, bytes, n, &first, appended);
    if (err != PL_OK || appended->duplicate) {
        return err;
    }
    pl_stage_begin(log);
    err = client ? repack(log, append, &bytes, &n, &first) : PL_OK;
    if (err != PL_OK) {
        return err;
    }
    err = stage_all(log, append, bytes, n, &first, appended);
    if (err != PL_OK) {
        log->stage.failed = err; /* some of it may be staged: all goes at the next write */
    }
    return err;
}
