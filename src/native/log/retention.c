/* What leaves a log at its start, and the other work that time brings. */
#include <stdlib.h>

#include "log/log_state.h"

enum { REMOVED_TOGETHER = 16 };
enum { EXPIRE_INTERVAL_MS = 60 * 1000, IDLE_DESCRIPTOR_MS = 60 * 1000 };

/* ---- taking segments out ---- */

static enum pl_err reserve_doomed(struct pl_log *log, int32_t more) {
    if (log->doomed_room - log->doomed_count >= more) {
        return PL_OK;
    }
    int32_t room = log->doomed_count + more;
    struct pl_segment **doomed = realloc(log->doomed, (size_t)room * sizeof *doomed);
    if (doomed == NULL) {
        return PL_ERR_MEMORY;
    }
    log->doomed = doomed;
    log->doomed_room = room;
    return PL_OK;
}

static enum pl_err rename_to_deleted(struct pl_log *log, const struct pl_segment *segment,
                                     enum pl_file_kind kind) {
    char from[PL_PATH_BYTES], to[PL_PATH_BYTES];
    pl_segment_path(segment, kind, from);
    pl_file_path(to, log->store->folder, segment->base_offset, kind, PL_PHASE_DELETED);
    enum pl_err err = log->fs->rename(log->fs->context, from, to);
    log->folder_changed = true;
    return err;
}

static void doom(struct pl_log *log, struct pl_segment *segment) {
    segment->doomed = true;
    segment->doomed_ms =
        log->clock->wall_ms(log->clock->context) + log->config.file_delete_delay_ms;
    log->size_bytes -= (int64_t)segment->written;
    log->doomed[log->doomed_count++] = segment;
}

/* The .log file first: when that fails nothing has changed, and without it the others are
 * orphans, which the next opening removes if they stay. */
static enum pl_err remove_one(struct pl_log *log, struct pl_segment *segment, bool keep_snapshot,
                              bool *removed) {
    enum pl_err err = rename_to_deleted(log, segment, PL_FILE_LOG);
    *removed = err == PL_OK || err == PL_ERR_NOT_FOUND;
    if (!*removed) {
        return err;
    }
    err = PL_OK;
    int end = keep_snapshot ? PL_FILE_SNAPSHOT : PL_FILE_KINDS;
    for (int kind = PL_FILE_OFFSET_INDEX; kind < end; kind++) {
        enum pl_err one = rename_to_deleted(log, segment, (enum pl_file_kind)kind);
        if (one != PL_OK && one != PL_ERR_NOT_FOUND && err == PL_OK) {
            err = one;
        }
    }
    doom(log, segment);
    return err;
}

static enum pl_err remove_range(struct pl_log *log, int32_t from, int32_t to,
                                bool keep_first_snapshot) {
    enum pl_err err = reserve_doomed(log, to - from);
    int32_t i = from;
    while (i < to && err == PL_OK) {
        bool removed;
        err = remove_one(log, log->segments[i], keep_first_snapshot && i == from, &removed);
        i += removed ? 1 : 0;
    }
    int32_t gone = i - from;
    for (; i < log->segment_count; i++) {
        log->segments[i - gone] = log->segments[i];
    }
    log->segment_count -= gone;
    pl_stages_shift(log, -gone);
    return err;
}

enum pl_err pl_log_remove_segments(struct pl_log *log, int32_t from, int32_t to) {
    return remove_range(log, from, to, false);
}

enum pl_err pl_log_replace_segments(struct pl_log *log, int32_t from, int32_t to) {
    return remove_range(log, from, to, true);
}

void pl_log_release_doomed(struct pl_log *log, int64_t now_ms) {
    int32_t kept = 0;
    for (int32_t i = 0; i < log->doomed_count; i++) {
        if (log->doomed[i]->doomed_ms <= now_ms) {
            pl_segment_release(log->doomed[i]);
        } else {
            log->doomed[kept++] = log->doomed[i];
        }
    }
    log->doomed_count = kept;
}

/* ---- the log start ---- */

enum pl_err pl_log_advance_start(struct pl_log *log, int64_t offset) {
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (offset > log->written_end) {
        return PL_ERR_OUT_OF_RANGE;
    }
    if (offset <= log->log_start) {
        return PL_OK;
    }
    log->log_start = offset;
    pl_epochs_cut_start(&log->epochs, offset);
    return PL_OK;
}

/* ---- retention ---- */

struct expiry {           /* what may go */
    int64_t bound;        /* nothing at or above it */
    int64_t excess_bytes; /* above retention.bytes */
    int64_t now_ms;
};

static enum pl_err has_expired(struct pl_log *log, int32_t i, struct expiry *expiry,
                               bool *expired) {
    struct pl_segment *segment = log->segments[i];
    int64_t end = pl_log_segment_end(log, i);
    *expired = false;
    if (end > expiry->bound) {
        return PL_OK;
    }
    if (end <= log->log_start && i + 1 < log->segment_count) {
        *expired = true;
    }
    if (log->config.delete_policy && log->config.retention_bytes >= 0 &&
        expiry->excess_bytes >= (int64_t)segment->written && segment->written > 0) {
        *expired = true;
    }
    if (!*expired && log->config.delete_policy && log->config.retention_ms >= 0 &&
        segment->written > 0) {
        int64_t timestamp_ms;
        enum pl_err err = pl_log_highest_time(log, segment, &timestamp_ms);
        if (err != PL_OK) {
            return err;
        }
        *expired = timestamp_ms >= 0 && expiry->now_ms - timestamp_ms > log->config.retention_ms;
    }
    if (*expired) {
        expiry->excess_bytes -= (int64_t)segment->written;
    }
    return PL_OK;
}

static enum pl_err count_expired(struct pl_log *log, int64_t now_ms, int64_t bound,
                                 int32_t *count) {
    int64_t first_unstable = pl_producers_first_unstable(&log->producers);
    struct expiry expiry = {
        .bound = first_unstable >= 0 && first_unstable < bound ? first_unstable : bound,
        .excess_bytes = log->size_bytes - log->config.retention_bytes,
        .now_ms = now_ms,
    };
    bool expired = true;
    int32_t most = log->segment_count < REMOVED_TOGETHER ? log->segment_count : REMOVED_TOGETHER;
    for (*count = 0; *count < most; ++*count) {
        enum pl_err err = has_expired(log, *count, &expiry, &expired);
        if (err != PL_OK || !expired) {
            return err;
        }
    }
    return PL_OK;
}

/* An empty segment takes over, on the disk before the others go: it is what keeps the offset. */
static enum pl_err roll_now(struct pl_log *log) {
    enum pl_err err = pl_log_roll(log);
    return err != PL_OK ? err : pl_log_write(log);
}

static enum pl_err flush_names(struct pl_log *log) {
    return log->fs->flush_directory(log->fs->context, log->store->folder);
}

static enum pl_err remove_expired(struct pl_log *log, int64_t now_ms, int64_t bound,
                                  int32_t *removed) {
    int32_t expired;
    enum pl_err err = count_expired(log, now_ms, bound, &expired);
    if (expired == log->segment_count && !pl_log_at_rest(log)) {
        expired--; /* there is more to come into the last one */
    }
    if (err != PL_OK || expired <= 0) {
        return err;
    }
    if (expired == log->segment_count) {
        err = roll_now(log);
        if (err == PL_OK) {
            err = flush_names(log);
        }
        if (err != PL_OK) {
            return err;
        }
    }
    err = pl_log_remove_segments(log, 0, expired);
    if (log->segments[0]->base_offset > log->log_start) {
        log->log_start = log->segments[0]->base_offset;
    }
    pl_epochs_cut_start(&log->epochs, log->log_start);
    *removed = expired;
    return err;
}

/* ---- housekeeping ---- */

static bool roll_is_due(const struct pl_log *log, int64_t now_ms) {
    const struct pl_segment *active = pl_log_active(log);
    return active != NULL && active->written > 0 && active->tail.first_timestamp_ms >= 0 &&
           now_ms - active->tail.first_timestamp_ms > pl_log_max_segment_ms(log);
}

static void close_idle(struct pl_log *log, int64_t now_ms) {
    for (int32_t i = 0; i < log->segment_count; i++) {
        pl_segment_close_idle(log->segments[i], now_ms - IDLE_DESCRIPTOR_MS);
    }
}

static void expire_producers(struct pl_log *log, int64_t now_ms) {
    if (now_ms - log->expired_ms < EXPIRE_INTERVAL_MS) {
        return;
    }
    log->expired_ms = now_ms;
    pl_producers_expire(&log->producers, now_ms - log->config.producer_id_expiration_ms);
}

enum pl_err pl_log_housekeep(struct pl_log *log, int64_t now_ms, int64_t bound,
                             int32_t *segments_removed) {
    *segments_removed = 0;
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    expire_producers(log, now_ms);
    close_idle(log, now_ms);
    pl_log_release_doomed(log, now_ms);
    enum pl_err err = pl_log_at_rest(log) && roll_is_due(log, now_ms) ? roll_now(log) : PL_OK;
    if (err == PL_OK) {
        err = remove_expired(log, now_ms, bound, segments_removed);
    }
    return pl_log_fail(log, err);
}
