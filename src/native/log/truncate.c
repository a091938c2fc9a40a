/* The end of a log goes back: a follower has what its leader has not (KIP-101). */
#include "log/log_state.h"

static enum pl_err cut_file(struct pl_log *log, struct pl_segment *segment, uint64_t position) {
    enum pl_err err = pl_log_open_file(log, segment);
    if (err == PL_OK) {
        err = log->fs->truncate(log->fs->context, segment->fd, position);
    }
    if (err == PL_OK) {
        err = log->fs->flush(log->fs->context, segment->fd);
    }
    if (err != PL_OK) {
        return err;
    }
    log->size_bytes -= (int64_t)(segment->written - position);
    segment->written = segment->flushed = segment->tail.size = position;
    return PL_OK;
}

static enum pl_err reread_times(struct pl_log *log, struct pl_segment *segment) {
    if (segment->written == 0) {
        segment->tail.first_timestamp_ms = segment->tail.max_timestamp_ms = PL_TIME_NONE;
        return PL_OK;
    }
    return pl_log_read_tail(log, segment);
}

/* The segment becomes active; batches of it that reach beyond end_offset go. */
static enum pl_err cut_segment(struct pl_log *log, int32_t i, int64_t end_offset) {
    struct pl_segment *segment = log->segments[i];
    uint64_t position;
    int64_t base_offset;
    if (segment->sealed) { /* opened for reading only */
        segment->sealed = segment->settled = false;
        pl_segment_close_file(segment);
    }
    enum pl_err err = pl_log_find_batch(log, i, end_offset, &position, &base_offset);
    if (err == PL_OK) {
        err = pl_segment_cut_indexes(segment, base_offset);
    }
    if (err == PL_OK) {
        err = cut_file(log, segment, position);
    }
    return err == PL_OK ? reread_times(log, segment) : err;
}

static enum pl_err remove_from(struct pl_log *log, int32_t from) {
    while (log->segment_count > from) {
        enum pl_err err = pl_log_remove_segments(log, log->segment_count - 1, log->segment_count);
        if (err != PL_OK) {
            return err;
        }
    }
    return log->fs->flush_directory(log->fs->context, log->store->folder);
}

static void end_at(struct pl_log *log, int64_t end_offset) {
    log->truncations++;
    log->log_end = log->written_end = end_offset;
    if (log->flushed_end > end_offset) {
        log->flushed_end = end_offset;
    }
    if (log->recovery_point > end_offset) {
        log->recovery_point = end_offset;
    }
    if (log->cleaned_end > end_offset) {
        log->cleaned_end = end_offset;
    }
    pl_boundaries_clear(&log->boundaries);
    pl_epochs_cut_end(&log->epochs, end_offset);
}

static enum pl_err truncate_to(struct pl_log *log, int64_t end_offset) {
    int32_t last = pl_log_floor(log, end_offset);
    if (last < 0 || end_offset <= log->log_start) {
        return pl_log_restart_at(log, end_offset);
    }
    enum pl_err err = remove_from(log, last + 1);
    if (err == PL_OK) {
        err = cut_segment(log, last, end_offset);
    }
    if (err != PL_OK) {
        return err;
    }
    end_at(log, end_offset);
    err = pl_log_remove_snapshots_above(log, end_offset);
    return err == PL_OK ? pl_log_replay_producers(log, end_offset) : err;
}

/* Half a truncation is no log to go on with, whatever the reason. */
static enum pl_err settle(struct pl_log *log, enum pl_err err) {
    if (err == PL_OK) {
        return PL_OK;
    }
    log->offline = true;
    return PL_ERR_IO;
}

enum pl_err pl_log_truncate(struct pl_log *log, int64_t end_offset) {
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (!pl_log_at_rest(log)) {
        return PL_ERR_BUSY;
    }
    if (end_offset < 0) {
        return PL_ERR_INVALID;
    }
    if (end_offset >= log->log_end) {
        return PL_OK;
    }
    return settle(log, truncate_to(log, end_offset));
}

enum pl_err pl_log_restart_at(struct pl_log *log, int64_t offset) {
    enum pl_err err = remove_from(log, 0);
    if (err != PL_OK) {
        return err;
    }
    end_at(log, offset);
    log->log_start = log->flushed_end = log->recovery_point = offset;
    pl_producers_clear(&log->producers);
    log->epochs.changed = log->epochs.count > 0;
    log->epochs.count = 0;
    err = pl_log_remove_snapshots_above(log, -1);
    struct pl_segment *segment;
    if (err == PL_OK) {
        err = pl_log_push_segment(log, offset, &segment);
    }
    if (err == PL_OK) {
        err = pl_log_open_file(log, segment); /* it keeps the offset */
    }
    if (err != PL_OK) {
        return err;
    }
    segment->indexes_loaded = true;
    return log->fs->flush_directory(log->fs->context, log->store->folder);
}

enum pl_err pl_log_truncate_fully(struct pl_log *log, int64_t start_offset) {
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (!pl_log_at_rest(log)) {
        return PL_ERR_BUSY;
    }
    if (start_offset < 0) {
        return PL_ERR_INVALID;
    }
    return settle(log, pl_log_restart_at(log, start_offset));
}
