/* Staged batches go to their files, or are taken back as if they had never been appended. */
#include <stdlib.h>

#include "log/log_state.h"

/* ---- small files ---- */

enum pl_err pl_write_file(const struct pl_fs *fs, const char *path, const void *bytes, size_t n,
                          bool flush) {
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_TRUNCATE, &fd);
    if (err != PL_OK) {
        return err;
    }
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    err = fs->write_at(fs->context, fd, &iov, 1, 0);
    if (err == PL_OK && flush) {
        err = fs->flush(fs->context, fd);
    }
    enum pl_err closed = fs->close(fs->context, fd);
    return err != PL_OK ? err : closed;
}

static enum pl_err read_open_file(const struct pl_fs *fs, int fd, size_t max_bytes, uint8_t **bytes,
                                  size_t *n) {
    uint64_t size;
    enum pl_err err = fs->size(fs->context, fd, &size);
    if (err != PL_OK) {
        return err;
    }
    if (size > max_bytes) {
        return PL_ERR_CORRUPT;
    }
    *bytes = malloc((size_t)size + 1);
    if (*bytes == NULL) {
        return PL_ERR_MEMORY;
    }
    err = fs->read_at(fs->context, fd, *bytes, (size_t)size, 0, n);
    if (err != PL_OK) {
        free(*bytes);
    }
    return err;
}

enum pl_err pl_read_file(const struct pl_fs *fs, const char *path, size_t max_bytes,
                         uint8_t **bytes, size_t *n) {
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_READ, &fd);
    if (err != PL_OK) {
        return err;
    }
    err = read_open_file(fs, fd, max_bytes, bytes, n);
    (void)fs->close(fs->context, fd); /* was only read */
    return err;
}

enum pl_err pl_log_write_snapshot(struct pl_log *log, int64_t offset, const uint8_t *bytes,
                                  size_t n) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, log->store->folder, offset, PL_FILE_SNAPSHOT, PL_PHASE_LIVE);
    enum pl_err err = pl_write_file(log->fs, path, bytes, n, false);
    if (err != PL_OK) {
        return err;
    }
    log->folder_changed = true;
    if (offset > log->snapshot_end) {
        log->snapshot_end = offset;
    }
    return PL_OK;
}

/* ---- sealing ---- */

static enum pl_err write_pending_snapshot(struct pl_log *log, struct pl_segment *segment) {
    if (segment->snapshot == NULL) {
        return PL_OK;
    }
    enum pl_err err = pl_log_write_snapshot(log, segment->base_offset, segment->snapshot,
                                            segment->snapshot_bytes);
    if (err != PL_OK) {
        return err;
    }
    free(segment->snapshot);
    segment->snapshot = NULL;
    return PL_OK;
}

static enum pl_err seal_one(struct pl_log *log, struct pl_segment *segment) {
    bool created = false;
    enum pl_err err = pl_segment_seal_indexes(segment, &created);
    log->folder_changed = log->folder_changed || created;
    if (err != PL_OK) {
        return err;
    }
    segment->sealed = true;
    log->roll_flush_due = true;
    return PL_OK;
}

enum pl_err pl_log_seal(struct pl_log *log) {
    enum pl_err err = PL_OK;
    int32_t i = log->segment_count - 1;
    if (i >= 0) {
        err = write_pending_snapshot(log, log->segments[i]);
    }
    for (i--; i >= 0 && !log->segments[i]->sealed && err == PL_OK; i--) {
        err = seal_one(log, log->segments[i]);
        if (err == PL_OK) {
            err = write_pending_snapshot(log, log->segments[i]);
        }
    }
    log->seal_due = err != PL_OK;
    if (err == PL_OK) {
        return PL_OK;
    }
    err = pl_log_fail(log, err);
    return log->offline ? err : PL_OK;
}

static enum pl_err spill_active(struct pl_log *log) {
    struct pl_segment *active = pl_log_active(log);
    if (active == NULL || !pl_segment_spill_due(active)) {
        return PL_OK;
    }
    bool created = false;
    enum pl_err err = pl_segment_spill(active, &created);
    log->folder_changed = log->folder_changed || created;
    if (err == PL_OK) {
        return PL_OK;
    }
    err = pl_log_fail(log, err);
    return log->offline ? err : PL_OK;
}

/* ---- writing ---- */

static int first_segment(const struct pl_stage *stage) {
    return stage->segment_count == 0 ? 0 : stage->segment_count - 1;
}

static int staged_to(const struct pl_log *log, int32_t i) {
    return i + 1 < log->segment_count ? log->segments[i + 1]->staged_from : log->stage.count;
}

static enum pl_err write_segment(struct pl_log *log, int32_t i) {
    struct pl_segment *segment = log->segments[i];
    int from = segment->staged_from, to = staged_to(log, i);
    if (from == to && segment->file_exists) {
        return PL_OK;
    }
    enum pl_err err = pl_log_open_file(log, segment);
    if (err != PL_OK || from == to) {
        return err;
    }
    return log->fs->write_at(log->fs->context, segment->fd, log->stage.iov + from, to - from,
                             segment->written);
}

/* Bytes of a write that failed in its middle, and the files it made. */
static enum pl_err take_back_files(struct pl_log *log) {
    const struct pl_fs *fs = log->fs;
    enum pl_err err = PL_OK;
    for (int32_t i = log->segment_count - 1; i >= first_segment(&log->stage); i--) {
        struct pl_segment *segment = log->segments[i];
        enum pl_err one = PL_OK;
        if (i >= log->stage.segment_count && segment->file_exists) {
            char path[PL_PATH_BYTES];
            pl_segment_path(segment, PL_FILE_LOG, path);
            one = fs->unlink(fs->context, path);
        } else if (segment->fd >= 0) {
            one = fs->truncate(fs->context, segment->fd, segment->written);
        }
        if (err == PL_OK) {
            err = one;
        }
    }
    return err;
}

static void take_back_stage(struct pl_log *log) {
    struct pl_stage *stage = &log->stage;
    while (log->segment_count > stage->segment_count) {
        pl_segment_release(log->segments[--log->segment_count]);
    }
    struct pl_segment *active = pl_log_active(log);
    if (active != NULL) {
        pl_segment_restore(active, &stage->tail);
    }
    /* An epoch that began with these batches began here all the same: it stays. */
    pl_producers_undo(&log->producers);
    log->log_end = stage->log_end;
    pl_stage_end(log);
}

static enum pl_err give_up(struct pl_log *log, enum pl_err err) {
    if (take_back_files(log) != PL_OK) {
        err = PL_ERR_IO;
    }
    take_back_stage(log);
    return pl_log_fail(log, err);
}

static void keep_stage(struct pl_log *log) {
    for (int32_t i = first_segment(&log->stage); i < log->segment_count; i++) {
        struct pl_segment *segment = log->segments[i];
        log->size_bytes += (int64_t)(segment->tail.size - segment->written);
        segment->written = segment->tail.size;
    }
    if (log->segment_count > log->stage.segment_count) {
        log->seal_due = true;
    }
    pl_producers_keep(&log->producers);
    log->written_end = log->log_end;
    pl_boundaries_add(&log->boundaries, log->written_end, pl_log_active(log)->written);
}

enum pl_err pl_log_write(struct pl_log *log) {
    struct pl_stage *stage = &log->stage;
    if (log->offline) {
        if (stage->open) {
            take_back_stage(log);
        }
        return PL_ERR_OFFLINE;
    }
    if (stage->open) {
        enum pl_err err = stage->failed;
        for (int32_t i = first_segment(stage); i < log->segment_count && err == PL_OK; i++) {
            err = write_segment(log, i);
        }
        if (err != PL_OK) {
            return give_up(log, err);
        }
        if (log->segment_count > 0) {
            keep_stage(log);
        }
        pl_stage_end(log);
    }
    enum pl_err err = log->seal_due ? pl_log_seal(log) : PL_OK;
    return err != PL_OK ? err : spill_active(log);
}
