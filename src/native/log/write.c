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

/* What is staged on top of a segment may be taken back: until then the segment stays open. */
static int32_t last_kept(const struct pl_log *log) {
    return log->stage.open ? log->stage.segment_count - 1 : log->segment_count - 1;
}

static enum pl_err seal(struct pl_log *log) {
    enum pl_err err = PL_OK;
    int32_t i = last_kept(log);
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

static enum pl_err spill(struct pl_log *log) {
    int32_t i = last_kept(log);
    if (i < 0 || !pl_segment_spill_due(log->segments[i])) {
        return PL_OK;
    }
    bool created = false;
    const struct pl_segment_tail *until = log->stage.open ? &log->stage.tail : NULL;
    enum pl_err err = pl_segment_spill(log->segments[i], until, &created);
    log->folder_changed = log->folder_changed || created;
    if (err == PL_OK) {
        return PL_OK;
    }
    err = pl_log_fail(log, err);
    return log->offline ? err : PL_OK;
}

/* Index and snapshot files. Lack of space leaves them for later. */
static enum pl_err write_other_files(struct pl_log *log) {
    enum pl_err err = log->seal_due ? seal(log) : PL_OK;
    return err != PL_OK ? err : spill(log);
}

/* ---- taking back ---- */

static int first_segment(const struct pl_stage *stage) {
    return stage->segment_count == 0 ? 0 : stage->segment_count - 1;
}

/* All that is not written begins with it. */
static struct pl_stage *oldest_stage(struct pl_log *log) {
    return log->write.running ? &log->write.stage : &log->stage;
}

/* Bytes of a write that failed in its middle, and the files it made. */
static enum pl_err take_back_files(struct pl_log *log) {
    const struct pl_fs *fs = log->fs;
    const struct pl_stage *stage = oldest_stage(log);
    enum pl_err err = PL_OK;
    for (int32_t i = log->segment_count - 1; i >= first_segment(stage); i--) {
        struct pl_segment *segment = log->segments[i];
        enum pl_err one = PL_OK;
        if (i >= stage->segment_count && segment->file_exists) {
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

static void take_back_stages(struct pl_log *log) {
    const struct pl_stage *stage = oldest_stage(log);
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
    pl_stage_end(&log->write.stage);
    pl_stage_end(&log->stage);
    log->write.running = false;
}

static enum pl_err give_up(struct pl_log *log, enum pl_err err) {
    if (take_back_files(log) != PL_OK) {
        err = PL_ERR_IO;
    }
    take_back_stages(log);
    return pl_log_fail(log, err);
}

void pl_stages_shift(struct pl_log *log, int32_t segments) {
    if (log->stage.open) {
        log->stage.segment_count += segments;
    }
    if (log->write.running) {
        log->write.stage.segment_count += segments;
        log->write.segment_count += segments;
    }
}

/* ---- writing ---- */

static int staged_to(const struct pl_log *log, int32_t i) {
    return i + 1 < log->segment_count ? log->segments[i + 1]->staged_from : log->stage.count;
}

static struct pl_write_item *new_item(struct pl_write *write) {
    if (write->count == write->room) {
        int32_t room = write->room == 0 ? 2 : write->room * 2;
        struct pl_write_item *items = realloc(write->items, (size_t)room * sizeof *items);
        if (items == NULL) {
            return NULL;
        }
        write->items = items;
        write->room = room;
    }
    return &write->items[write->count++];
}

/* The part of the stage that goes to segment i, whose file is made when it is not there. */
static enum pl_err add_segment(struct pl_log *log, int32_t i) {
    struct pl_segment *segment = log->segments[i];
    int from = segment->staged_from, to = staged_to(log, i);
    if (from == to && segment->file_exists) {
        return PL_OK;
    }
    enum pl_err err = pl_log_open_file(log, segment);
    if (err != PL_OK || from == to) {
        return err;
    }
    struct pl_write_item *item = new_item(&log->write);
    if (item == NULL) {
        return PL_ERR_MEMORY;
    }
    *item = (struct pl_write_item){.segment = segment,
                                   .from = from,
                                   .count = to - from,
                                   .position = segment->written,
                                   .end = segment->tail.size};
    return PL_OK;
}

/* The stage moves into the write; the arrays of the last one serve the next stage. */
static void take_stage(struct pl_log *log) {
    struct pl_write *write = &log->write;
    struct pl_stage empty = write->stage;
    write->stage = log->stage;
    log->stage = empty;
    write->fs = log->fs;
    write->segment_count = log->segment_count;
    write->end_offset = log->log_end;
    write->err = PL_OK;
    write->running = true;
    pl_producers_mark(&log->producers);
}

enum pl_err pl_log_write_begin(struct pl_log *log, struct pl_write **begun) {
    struct pl_stage *stage = &log->stage;
    *begun = NULL;
    if (log->write.running) {
        return PL_ERR_BUSY;
    }
    if (log->offline) {
        if (stage->open) {
            take_back_stages(log);
        }
        return PL_ERR_OFFLINE;
    }
    if (!stage->open) {
        return PL_OK;
    }
    log->write.count = 0;
    enum pl_err err = stage->failed;
    for (int32_t i = first_segment(stage); i < log->segment_count && err == PL_OK; i++) {
        err = add_segment(log, i);
    }
    if (err != PL_OK) {
        return give_up(log, err);
    }
    take_stage(log);
    *begun = &log->write;
    return PL_OK;
}

void pl_write_run(struct pl_write *write) {
    const struct pl_fs *fs = write->fs;
    for (int32_t i = 0; i < write->count && write->err == PL_OK; i++) {
        const struct pl_write_item *item = &write->items[i];
        write->err = fs->write_at(fs->context, item->segment->fd, write->stage.iov + item->from,
                                  item->count, item->position);
    }
}

/* Where the next batch is in the files: behind the last one, unless it has a segment of its own. */
static void note_end(struct pl_log *log, const struct pl_write *write) {
    int32_t next = write->segment_count;
    if (next > 0 && (next == log->segment_count ||
                     log->segments[next]->base_offset > write->end_offset)) {
        pl_boundaries_add(&log->boundaries, write->end_offset, log->segments[next - 1]->written);
    }
}

static void keep_stage(struct pl_log *log, struct pl_write *write) {
    for (int32_t i = 0; i < write->count; i++) {
        const struct pl_write_item *item = &write->items[i];
        log->size_bytes += (int64_t)(item->end - item->position);
        item->segment->written = item->end;
    }
    log->seal_due = log->seal_due || write->segment_count > write->stage.segment_count;
    pl_producers_keep_marked(&log->producers);
    log->written_end = write->end_offset;
    note_end(log, write);
    pl_stage_end(&write->stage);
    write->running = false;
}

enum pl_err pl_log_write_end(struct pl_log *log, struct pl_write *write) {
    if (log->offline) {
        take_back_stages(log);
        return PL_ERR_OFFLINE;
    }
    if (write->err != PL_OK) {
        return give_up(log, write->err);
    }
    keep_stage(log, write);
    return write_other_files(log);
}

enum pl_err pl_log_write(struct pl_log *log) {
    struct pl_write *write;
    enum pl_err err = pl_log_write_begin(log, &write);
    if (err != PL_OK) {
        return err;
    }
    if (write == NULL) {
        return write_other_files(log);
    }
    pl_write_run(write);
    return pl_log_write_end(log, write);
}
