/* Opening after the files are known: where the log ends, what its producers did. After a clean
 * shutdown that is read from the last index entries and the newest snapshot. Else all batches
 * from the segment of the recovery point on are checked, their indexes are written anew, and the
 * log is cut at the first batch that is torn or corrupt.
 */
#include <stdlib.h>

#include "log/log_state.h"
#include "log/scan.h"

enum { MAX_SNAPSHOT_BYTES = INT32_MAX, MAX_EPOCHS_BYTES = 16 * 1024 * 1024 };

/* ---- producers ---- */

enum pl_err pl_log_note_producer(struct pl_log *log, struct pl_segment *segment,
                                 const struct pl_batch_header *header, const uint8_t *batch) {
    struct pl_txn_end end;
    enum pl_err err = pl_producers_note(&log->producers, header, batch, &end);
    if (err != PL_OK || !end.aborted || segment == NULL) {
        return err;
    }
    struct pl_txn_entry entry = {
        .producer_id = header->producer_id,
        .first_offset = end.first_offset,
        .last_offset = header->base_offset,
        .last_stable_offset = end.last_stable_offset,
    };
    return pl_segment_add_aborted(segment, &entry);
}

struct newest {
    int64_t at_most, found;
};

static enum pl_err find_newest(void *argument, const char *name) {
    struct newest *newest = argument;
    struct pl_file_name parsed;
    if (pl_file_name_parse(name, &parsed) && parsed.kind == PL_FILE_SNAPSHOT &&
        parsed.phase == PL_PHASE_LIVE && parsed.base_offset <= newest->at_most &&
        parsed.base_offset > newest->found) {
        newest->found = parsed.base_offset;
    }
    return PL_OK;
}

static enum pl_err newest_snapshot(const struct pl_log *log, int64_t at_most, int64_t *found) {
    *found = log->snapshot_end;
    if (log->snapshot_end <= at_most) {
        return PL_OK;
    }
    struct newest newest = {.at_most = at_most, .found = -1};
    enum pl_err err = log->fs->list(log->fs->context, log->store->folder, find_newest, &newest);
    *found = newest.found;
    return err;
}

static enum pl_err unlink_snapshot(struct pl_log *log, int64_t offset) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, log->store->folder, offset, PL_FILE_SNAPSHOT, PL_PHASE_LIVE);
    enum pl_err err = log->fs->unlink(log->fs->context, path);
    log->folder_changed = true;
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err load_snapshot(struct pl_log *log, int64_t offset) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, log->store->folder, offset, PL_FILE_SNAPSHOT, PL_PHASE_LIVE);
    uint8_t *bytes;
    size_t n;
    enum pl_err err = pl_read_file(log->fs, path, MAX_SNAPSHOT_BYTES, &bytes, &n);
    if (err != PL_OK) {
        return err;
    }
    err = pl_producers_decode(&log->producers, bytes, n);
    free(bytes);
    return err;
}

/* The newest snapshot at or below an offset that can be read; *from is what it covers. */
static enum pl_err restore_producers(struct pl_log *log, int64_t end_offset, int64_t *from) {
    pl_producers_clear(&log->producers);
    for (int64_t at_most = end_offset;;) {
        int64_t offset;
        enum pl_err err = newest_snapshot(log, at_most, &offset);
        if (err == PL_OK) {
            log->snapshot_end = offset;
        }
        *from = log->segment_count > 0 ? log->segments[0]->base_offset : end_offset;
        if (err != PL_OK || offset < 0) {
            return err;
        }
        err = load_snapshot(log, offset);
        if (err == PL_OK) {
            *from = offset;
        }
        if (err != PL_ERR_CORRUPT) {
            return err;
        }
        err = unlink_snapshot(log, offset);
        if (err != PL_OK) {
            return err;
        }
        log->snapshot_end = INT64_MAX; /* look again */
        at_most = offset - 1;
    }
}

static enum pl_err replay_batches(struct pl_log *log, struct pl_scan *scan, int64_t from,
                                  int64_t end_offset) {
    enum pl_err err;
    while ((err = pl_scan_next(scan)) == PL_OK) {
        const struct pl_batch_header *header = &scan->header;
        if (header->base_offset >= end_offset) {
            return PL_OK;
        }
        if (header->producer_id < 0 || header->base_offset < from) {
            continue;
        }
        uint8_t *bytes = NULL;
        if (pl_batch_is(header, PL_BATCH_CONTROL)) {
            err = pl_scan_bytes(scan, &bytes);
        }
        if (err == PL_OK) {
            err = pl_log_note_producer(log, NULL, header, bytes);
        }
        if (err != PL_OK) {
            return err;
        }
        pl_producers_keep(&log->producers);
    }
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err replay_segment(struct pl_log *log, int32_t i, int64_t from, int64_t end_offset) {
    struct pl_segment *segment = log->segments[i];
    uint64_t position = 0;
    int64_t base_offset;
    enum pl_err err = PL_OK;
    if (from > segment->base_offset) {
        err = pl_log_find_batch(log, i, from, &position, &base_offset);
    }
    if (err == PL_OK) {
        err = pl_log_open_file(log, segment);
    }
    if (err != PL_OK) {
        return err;
    }
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, segment->fd, position, segment->written, buffer, sizeof buffer);
    err = replay_batches(log, &scan, from, end_offset);
    pl_scan_close(&scan);
    pl_segment_close_idle(segment, INT64_MAX);
    return err;
}

enum pl_err pl_log_replay_producers(struct pl_log *log, int64_t end_offset) {
    int64_t from;
    enum pl_err err = restore_producers(log, end_offset, &from);
    int32_t first = err == PL_OK ? pl_log_floor(log, from) : 0;
    for (int32_t i = first < 0 ? 0 : first; i < log->segment_count && err == PL_OK; i++) {
        if (log->segments[i]->base_offset >= end_offset) {
            break;
        }
        if (from < end_offset) {
            err = replay_segment(log, i, from, end_offset);
        }
    }
    /* Every ended transaction in a log that is being opened counts as replicated. */
    pl_producers_forget_ended(&log->producers, INT64_MAX);
    return err;
}

/* ---- a clean shutdown ---- */

static enum pl_err walk_tail(struct pl_log *log, struct pl_segment *active, struct pl_scan *scan) {
    struct pl_segment_tail *tail = &active->tail;
    enum pl_err err;
    while ((err = pl_scan_next(scan)) == PL_OK) {
        log->log_end = pl_batch_last_offset(&scan->header) + 1;
        if (scan->header.max_timestamp > tail->max_timestamp_ms) {
            tail->max_timestamp_ms = scan->header.max_timestamp;
            tail->max_timestamp_offset = log->log_end - 1;
        }
    }
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

enum pl_err pl_log_read_tail(struct pl_log *log, struct pl_segment *active) {
    int64_t max_timestamp_ms, first_ms;
    active->tail.max_timestamp_ms = active->tail.first_timestamp_ms = PL_TIME_UNKNOWN;
    enum pl_err err = pl_segment_load_indexes(active);
    if (err == PL_OK) {
        err = pl_segment_max_timestamp(active, &max_timestamp_ms);
    }
    if (err == PL_OK) {
        err = pl_segment_find_offset(active, INT64_MAX, &active->tail.indexed_position);
    }
    if (err == PL_OK) {
        err = pl_log_open_file(log, active);
    }
    if (err == PL_OK) {
        err = pl_log_first_time(log, active, &first_ms);
    }
    if (err != PL_OK) {
        return err;
    }
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, active->fd, active->tail.indexed_position, active->written, buffer,
                 sizeof buffer);
    err = walk_tail(log, active, &scan);
    pl_scan_close(&scan);
    return err;
}

static enum pl_err adopt_tail(struct pl_log *log) {
    struct pl_segment *active = pl_log_active(log);
    active->sealed = active->settled = false;
    log->log_end = active->base_offset;
    if (active->written > 0) {
        return pl_log_read_tail(log, active);
    }
    active->tail.first_timestamp_ms = PL_TIME_NONE;
    active->indexes_loaded = true;
    return PL_OK;
}

/* ---- scanning ---- */

struct recovery {
    struct pl_log *log;
    struct pl_log_recovered *report;
    int64_t recovery_point;
    uint8_t *block; /* owned by scan_segments */
};

static enum pl_err count_batch(struct recovery *recovery, struct pl_segment *segment,
                               struct pl_scan *scan) {
    struct pl_log *log = recovery->log;
    struct pl_batch_header *header = &scan->header;
    uint8_t *bytes = NULL;
    enum pl_err err = pl_scan_bytes(scan, &bytes);
    if (err == PL_OK) {
        err = pl_batch_check(bytes, pl_batch_size(header), PL_BATCH_FROM_LOG, header, NULL);
    }
    if (err != PL_OK) {
        return err;
    }
    int64_t last_offset = pl_batch_last_offset(header);
    if (header->base_offset < log->log_end || last_offset - segment->base_offset > INT32_MAX) {
        return PL_ERR_CORRUPT;
    }
    err = pl_segment_reserve(segment);
    if (err == PL_OK) {
        err = pl_epochs_add(&log->epochs, header->partition_leader_epoch, header->base_offset);
    }
    if (err == PL_OK && header->producer_id >= 0) {
        err = pl_log_note_producer(log, segment, header, bytes);
    }
    if (err != PL_OK) {
        return err;
    }
    pl_producers_keep(&log->producers);
    pl_segment_add_batch(segment, header, log->config.index_interval_bytes);
    log->log_end = last_offset + 1;
    bool created = false;
    err = pl_segment_spill_due(segment) ? pl_segment_spill(segment, NULL, &created) : PL_OK;
    log->folder_changed = log->folder_changed || created;
    return err;
}

/* Torn bytes may look like a message of magic 0 or 1: only its checksum tells. A true one is not
 * served, and not cut off either. */
static enum pl_err check_old_message(struct pl_scan *scan) {
    uint8_t *bytes = NULL;
    enum pl_err err = pl_scan_bytes(scan, &bytes);
    struct pl_codec *codec;
    if (err == PL_OK) {
        err = pl_codec_create(PL_MAX_BATCH_BYTES, &codec);
    }
    if (err != PL_OK) {
        return err;
    }
    const uint8_t *batch;
    size_t n;
    err = pl_message_set_to_batch(codec, bytes, pl_batch_size(&scan->header), true, &batch, &n);
    pl_codec_destroy(codec);
    return err == PL_OK ? PL_ERR_UNSUPPORTED : err;
}

/* PL_OK when the bytes end with a batch, PL_ERR_CORRUPT when something else follows tail.size. */
static enum pl_err scan_batches(struct recovery *recovery, struct pl_segment *segment) {
    struct pl_scan scan;
    pl_scan_open(&scan, recovery->log->fs, segment->fd, 0, segment->written, recovery->block,
                 PL_SCAN_BLOCK_BYTES);
    enum pl_err err;
    while ((err = pl_scan_next(&scan)) == PL_OK) {
        err = count_batch(recovery, segment, &scan);
        if (err != PL_OK) {
            break;
        }
    }
    if (err == PL_ERR_UNSUPPORTED) {
        err = check_old_message(&scan);
    }
    pl_scan_close(&scan);
    if (err == PL_ERR_NOT_FOUND) {
        return PL_OK;
    }
    return err == PL_ERR_INVALID ? PL_ERR_CORRUPT : err;
}

static enum pl_err cut_segment(struct recovery *recovery, struct pl_segment *segment) {
    struct pl_log *log = recovery->log;
    struct pl_log_recovered *report = recovery->report;
    uint64_t left = segment->tail.size, torn = segment->written - left;
    report->bytes_cut += (int64_t)torn;
    if (log->log_end < recovery->recovery_point) {
        report->cut_below_recovery_point = true;
    }
    segment->written = left;
    log->size_bytes -= (int64_t)torn;
    return log->fs->truncate(log->fs->context, segment->fd, left);
}

static enum pl_err scan_segment(struct recovery *recovery, struct pl_segment *segment, bool *cut) {
    struct pl_log *log = recovery->log;
    segment->sealed = segment->settled = false;
    segment->flushed = 0;
    segment->tail = (struct pl_segment_tail){
        .first_timestamp_ms = PL_TIME_NONE,
        .max_timestamp_ms = PL_TIME_NONE,
        .max_timestamp_offset = segment->base_offset,
        .last_time_entry_ms = PL_TIME_NONE,
    };
    if (segment->base_offset > log->log_end) {
        log->log_end = segment->base_offset;
    }
    recovery->report->segments_scanned++;
    recovery->report->bytes_scanned += (int64_t)segment->written;
    enum pl_err err = pl_segment_clear_indexes(segment, true);
    if (err == PL_OK) {
        err = pl_log_open_file(log, segment);
    }
    if (err == PL_OK) {
        err = scan_batches(recovery, segment);
    }
    *cut = err == PL_ERR_CORRUPT;
    return *cut ? cut_segment(recovery, segment) : err;
}

static enum pl_err unlink_segment(struct pl_log *log, struct pl_segment *segment) {
    for (int kind = PL_FILE_KINDS - 1; kind >= 0; kind--) {
        char path[PL_PATH_BYTES];
        pl_segment_path(segment, (enum pl_file_kind)kind, path);
        enum pl_err err = log->fs->unlink(log->fs->context, path);
        if (err != PL_OK && err != PL_ERR_NOT_FOUND) {
            return err;
        }
    }
    log->folder_changed = true;
    return PL_OK;
}

/* Nothing follows a cut: later batches would be behind a hole. From the last one on, so that a
 * crash leaves no hole either. */
static enum pl_err drop_segments(struct recovery *recovery, int32_t from) {
    struct pl_log *log = recovery->log;
    while (log->segment_count > from) {
        struct pl_segment *segment = pl_log_active(log);
        enum pl_err err = unlink_segment(log, segment);
        if (err != PL_OK) {
            return err;
        }
        recovery->report->segments_removed++;
        recovery->report->bytes_cut += (int64_t)segment->written;
        log->size_bytes -= (int64_t)segment->written;
        log->segment_count--;
        pl_segment_release(segment);
    }
    return PL_OK;
}

/* Whether segment i does not go on where the log ends so far. Compaction leaves gaps; without it
 * a gap means that the end of the segment before never reached the disk. */
static bool has_gap(const struct recovery *recovery, int32_t i) {
    const struct pl_log *log = recovery->log;
    int64_t base_offset = log->segments[i]->base_offset;
    if (base_offset < log->log_end) {
        return true;
    }
    return base_offset > log->log_end && base_offset > recovery->recovery_point &&
           !log->config.compact_policy;
}

static enum pl_err seal_scanned(struct pl_log *log, struct pl_segment *segment) {
    bool created = false;
    enum pl_err err = pl_segment_seal_indexes(segment, &created);
    if (err != PL_OK) {
        return err;
    }
    segment->sealed = true;
    log->folder_changed = log->folder_changed || created;
    uint8_t *snapshot;
    size_t n;
    err = pl_producers_encode(&log->producers, &snapshot, &n);
    if (err != PL_OK) {
        return err;
    }
    err = pl_log_write_snapshot(log, log->log_end, snapshot, n);
    free(snapshot);
    return err;
}

static enum pl_err scan_from(struct recovery *recovery, int32_t from) {
    struct pl_log *log = recovery->log;
    log->log_end = log->segments[from]->base_offset;
    for (int32_t i = from; i < log->segment_count; i++) {
        bool cut = false;
        enum pl_err err = scan_segment(recovery, log->segments[i], &cut);
        if (err != PL_OK) {
            return err;
        }
        if (i + 1 == log->segment_count) {
            break;
        }
        if (cut || has_gap(recovery, i + 1)) {
            recovery->report->first_cut_offset = log->log_end;
            return drop_segments(recovery, i + 1);
        }
        log->log_end = log->segments[i + 1]->base_offset;
        err = seal_scanned(log, log->segments[i]);
        if (err != PL_OK) {
            return err;
        }
    }
    if (recovery->report->bytes_cut > 0) {
        recovery->report->first_cut_offset = log->log_end;
    }
    return PL_OK;
}

static enum pl_err scan_segments(struct recovery *recovery, int32_t from) {
    recovery->block = malloc(PL_SCAN_BLOCK_BYTES);
    if (recovery->block == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = scan_from(recovery, from);
    free(recovery->block);
    pl_producers_forget_ended(&recovery->log->producers, INT64_MAX);
    return err;
}

/* ---- the whole ---- */

static enum pl_err load_epochs(struct pl_log *log) {
    char path[PL_PATH_BYTES];
    pl_path_join(path, log->store->folder, "leader-epoch-checkpoint");
    uint8_t *text;
    size_t n;
    enum pl_err err = pl_read_file(log->fs, path, MAX_EPOCHS_BYTES, &text, &n);
    if (err == PL_ERR_NOT_FOUND || err == PL_ERR_CORRUPT) {
        return PL_OK;
    }
    if (err != PL_OK) {
        return err;
    }
    err = pl_epochs_decode(&log->epochs, (const char *)text, n);
    free(text);
    return err == PL_ERR_CORRUPT ? PL_OK : err;
}

/* Index of the first segment to scan; segment_count: none. */
static int32_t first_to_scan(const struct pl_log *log, const struct pl_log_open *open) {
    int32_t from = log->segment_count;
    if (!open->clean_shutdown) {
        /* A segment that ends right there may have been sealed after the last flush: its batches
         * are on the disk, its indexes need not be. */
        from = pl_log_floor(log, open->recovery_point - 1);
        from = from < 0 ? 0 : from;
    }
    for (int32_t i = 0; i < from; i++) {
        if (log->segments[i]->txns_damaged) {
            return i;
        }
    }
    return from;
}

enum pl_err pl_log_remove_snapshots_above(struct pl_log *log, int64_t offset) {
    for (;;) {
        int64_t newest;
        enum pl_err err = newest_snapshot(log, INT64_MAX - 1, &newest);
        if (err != PL_OK || newest <= offset) {
            log->snapshot_end = newest;
            return err;
        }
        err = unlink_snapshot(log, newest);
        if (err != PL_OK) {
            return err;
        }
        log->snapshot_end = INT64_MAX; /* look again */
    }
}

/* Everything in front of segment `from`, without looking at its batches but for producers. */
static enum pl_err trust_until(struct pl_log *log, int32_t from) {
    enum pl_err err = PL_OK;
    if (from == log->segment_count) {
        err = adopt_tail(log);
    } else {
        log->log_end = log->segments[from]->base_offset;
    }
    if (err == PL_OK) {
        err = pl_log_remove_snapshots_above(log, log->log_end);
    }
    return err == PL_OK ? pl_log_replay_producers(log, log->log_end) : err;
}

static enum pl_err recover_segments(struct recovery *recovery, int32_t from) {
    struct pl_log *log = recovery->log;
    enum pl_err err = trust_until(log, from);
    if (err == PL_ERR_CORRUPT && from == log->segment_count) {
        from = log->segment_count - 1; /* its index is damaged */
        err = trust_until(log, from);
    }
    if (err == PL_ERR_CORRUPT) {
        from = 0; /* a batch that was not to be scanned is damaged */
        err = trust_until(log, from);
    }
    if (err != PL_OK || from == log->segment_count) {
        return err;
    }
    return scan_segments(recovery, from);
}

enum pl_err pl_log_recover(struct pl_log *log, const struct pl_log_open *open,
                           struct pl_log_recovered *report) {
    *report = (struct pl_log_recovered){.first_cut_offset = -1};
    enum pl_err err = load_epochs(log);
    if (err != PL_OK) {
        return err;
    }
    log->log_start = open->log_start_offset > 0 ? open->log_start_offset : 0;
    if (log->segment_count == 0) {
        log->log_end = log->written_end = log->log_start;
        return PL_OK;
    }
    struct recovery recovery = {
        .log = log, .report = report, .recovery_point = open->recovery_point};
    err = recover_segments(&recovery, first_to_scan(log, open));
    if (err != PL_OK) {
        return err;
    }
    log->written_end = log->log_end;
    pl_epochs_cut_end(&log->epochs, log->log_end);
    if (log->segments[0]->base_offset > log->log_start) {
        log->log_start = log->segments[0]->base_offset;
    }
    if (log->log_start > log->log_end) {
        return pl_log_restart_at(log, log->log_start);
    }
    pl_epochs_cut_start(&log->epochs, log->log_start);
    return PL_OK;
}
