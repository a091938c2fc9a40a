#include "log/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_state.h"

/* ---- shared by the files of this folder ---- */

enum pl_err pl_log_fail(struct pl_log *log, enum pl_err err) {
    if (err == PL_OK || err == PL_ERR_NO_SPACE || err == PL_ERR_MEMORY || err == PL_ERR_LIMIT) {
        return err;
    }
    log->offline = true;
    return PL_ERR_IO;
}

int32_t pl_log_floor(const struct pl_log *log, int64_t offset) {
    int32_t low = 0, high = log->segment_count;
    if (high > 0 && log->segments[high - 1]->base_offset <= offset) {
        return high - 1; /* the active one, as most of the time */
    }
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

int64_t pl_log_segment_end(const struct pl_log *log, int32_t i) {
    return i + 1 < log->segment_count ? log->segments[i + 1]->base_offset : log->log_end;
}

enum pl_err pl_log_push_segment(struct pl_log *log, int64_t base_offset,
                                struct pl_segment **segment) {
    if (log->segment_count == log->segment_room) {
        int32_t room = log->segment_room == 0 ? 1 : log->segment_room * 2;
        struct pl_segment **segments = realloc(log->segments, (size_t)room * sizeof *segments);
        if (segments == NULL) {
            return PL_ERR_MEMORY;
        }
        log->segments = segments;
        log->segment_room = room;
    }
    enum pl_err err = pl_segment_create(log->store, base_offset, segment);
    if (err != PL_OK) {
        return err;
    }
    log->segments[log->segment_count++] = *segment;
    pl_boundaries_cut(&log->boundaries, base_offset);
    return PL_OK;
}

/* Descriptors of sealed segments that nobody is reading. */
static void close_sealed(struct pl_log *log) {
    log->open_sealed = 0;
    for (int32_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i]->sealed) {
            pl_segment_close_idle(log->segments[i], INT64_MAX);
            log->open_sealed += log->segments[i]->fd >= 0 ? 1 : 0;
        }
    }
}

enum pl_err pl_log_open_file(struct pl_log *log, struct pl_segment *segment) {
    if (segment->fd >= 0) {
        return PL_OK;
    }
    if (segment->sealed && ++log->open_sealed > PL_OPEN_SEALED) {
        close_sealed(log);
    }
    bool created;
    enum pl_err err = pl_segment_open_file(segment, &created);
    log->folder_changed = log->folder_changed || created;
    segment->used_ms = log->clock->wall_ms(log->clock->context);
    return err;
}

/* ---- open ---- */

static void free_stage(struct pl_stage *stage) {
    pl_stage_end(stage);
    free(stage->iov);
    free(stage->owned);
}

static void free_log(struct pl_log *log) {
    for (int32_t i = 0; i < log->segment_count; i++) {
        pl_segment_release(log->segments[i]);
    }
    for (int32_t i = 0; i < log->doomed_count; i++) {
        pl_segment_release(log->doomed[i]);
    }
    free(log->segments);
    free(log->doomed);
    free_stage(&log->stage);
    free_stage(&log->write.stage);
    free(log->write.items);
    free(log->flush.items);
    free(log->flush.epochs_text);
    pl_producers_free(&log->producers);
    pl_epochs_free(&log->epochs);
    if (log->store != NULL) {
        pl_store_release(log->store);
    }
    free(log);
}

static enum pl_err flush_now(struct pl_log *log) {
    struct pl_flush *flush;
    enum pl_err err = pl_log_flush_begin(log, &flush);
    if (err != PL_OK || flush == NULL) {
        return err;
    }
    pl_flush_run(flush);
    return pl_log_flush_end(log, flush);
}

/* What was found in the page cache, names included, is on the disk before it counts. */
static enum pl_err flush_found(struct pl_log *log, int64_t recovery_point) {
    enum pl_err err = log->folder_changed ? flush_now(log) : PL_OK;
    log->flushed_end = log->log_end;
    log->recovery_point = err == PL_OK ? log->log_end : recovery_point;
    return err == PL_ERR_NO_SPACE ? PL_OK : err;
}

/* Whether the indexes of a segment that the next open would trust were made anew. */
static bool has_rebuilt_below(const struct pl_log *log, int64_t recovery_point) {
    int32_t first = pl_log_floor(log, recovery_point - 1);
    for (int32_t i = 0; i < first; i++) {
        if (!log->segments[i]->settled) {
            return true;
        }
    }
    return false;
}

/* Where an acknowledgement never meant the disk, nobody waits for it after a kill either: gigabytes
 * may be in the page cache still. But what the next open counts on must be there, and names that
 * were removed must not come back once the log has gone on without them. */
static bool may_flush_later(const struct pl_log *log, int64_t recovery_point,
                            const struct pl_log_recovered *report) {
    return log->config.durability == PL_DURABILITY_OS && log->config.flush_messages > 1 &&
           report->segments_scanned > 0 && report->segments_removed == 0 &&
           !report->cut_below_recovery_point && log->doomed_count == 0 &&
           !has_rebuilt_below(log, recovery_point);
}

/* The log is served before its next flush, which is due at once. */
static void flush_later(struct pl_log *log, int64_t recovery_point) {
    log->recovery_point = recovery_point < log->log_end ? recovery_point : log->log_end;
    bool above = log->recovery_point > log->log_start;
    log->flushed_end = above ? log->recovery_point : log->log_start;
    log->roll_flush_due = true;
}

static enum pl_err open_folder(struct pl_log *log, const struct pl_log_open *open,
                               struct pl_log_recovered *report) {
    enum pl_err err = pl_store_create(open->fs, open->disposal, open->folder, &log->store);
    if (err != PL_OK) {
        return err;
    }
    err = log->fs->make_directory(log->fs->context, open->folder);
    if (err == PL_OK) {
        log->parent_changed = true;
    } else if (err != PL_ERR_EXISTS) {
        return err;
    }
    if (err == PL_ERR_EXISTS) {
        err = pl_log_load_folder(log);
    }
    /* Nobody has flushed the folder's name before the first flush of a batch. */
    bool flushed_before = open->clean_shutdown || open->recovery_point > 0;
    log->parent_changed = log->parent_changed || log->segment_count == 0 || !flushed_before;
    bool mended = log->folder_changed;
    if (err == PL_OK) {
        err = pl_log_recover(log, open, report);
    }
    if (err != PL_OK) {
        return err;
    }
    log->folder_changed = log->folder_changed || report->segments_scanned > 0;
    if (!mended && may_flush_later(log, open->recovery_point, report)) {
        flush_later(log, open->recovery_point);
    } else {
        err = flush_found(log, open->recovery_point);
    }
    bool known = open->cleaned_end <= log->log_end && open->cleaned_end > log->log_start;
    log->cleaned_end = known ? open->cleaned_end : 0;
    return err;
}

enum pl_err pl_log_open(const struct pl_log_open *open, const struct pl_log_config *config,
                        struct pl_log **opened) {
    struct pl_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return PL_ERR_MEMORY;
    }
    log->fs = open->fs;
    log->clock = open->clock;
    log->config = *config;
    log->snapshot_end = -1;
    log->flushed_ms = log->expired_ms = log->clock->wall_ms(log->clock->context);
    pl_producers_init(&log->producers);
    pl_boundaries_clear(&log->boundaries);
    struct pl_log_recovered report = {.first_cut_offset = -1};
    enum pl_err err = open_folder(log, open, &report);
    if (open->recovered != NULL) {
        *open->recovered = report;
    }
    if (err != PL_OK) {
        free_log(log);
        return err;
    }
    for (int32_t i = 0; i < log->segment_count; i++) {
        pl_segment_close_idle(log->segments[i], INT64_MAX);
    }
    *opened = log;
    return PL_OK;
}

/* ---- close ---- */

static bool active_is_settled(const struct pl_segment *active) {
    return active->flushed == active->written && active->offsets.pending == 0 &&
           active->times.pending == 0 && active->txns.pending == 0 &&
           active->tail.max_timestamp_ms <= active->tail.last_time_entry_ms;
}

static enum pl_err write_last_snapshot(struct pl_log *log) {
    if (log->snapshot_end >= log->log_end) {
        return PL_OK;
    }
    uint8_t *snapshot;
    size_t n;
    enum pl_err err = pl_producers_encode(&log->producers, &snapshot, &n);
    if (err != PL_OK) {
        return err;
    }
    err = pl_log_write_snapshot(log, log->log_end, snapshot, n);
    free(snapshot);
    return err;
}

static enum pl_err finish_files(struct pl_log *log) {
    enum pl_err err = pl_log_write(log);
    struct pl_segment *active = pl_log_active(log);
    if (err != PL_OK) {
        return err;
    }
    if (active != NULL && active->written > 0 && !active_is_settled(active)) {
        bool created = false;
        err = pl_segment_seal_indexes(active, &created);
        log->folder_changed = log->folder_changed || created;
        active->sealed = true;
    }
    if (err == PL_OK && log->seal_due) {
        err = PL_ERR_NO_SPACE; /* an index that never found room: the next open must scan */
    }
    if (err == PL_OK && active != NULL) {
        err = write_last_snapshot(log);
    }
    return err == PL_OK ? flush_now(log) : err;
}

enum pl_err pl_log_close(struct pl_log *log) {
    /* Where nothing was ever stored, the next open makes whatever is missing: thousands of new
     * logs need not wait for thousands of flushes. */
    enum pl_err err = log->log_end == 0 ? PL_OK : finish_files(log);
    free_log(log);
    return err;
}

/* ---- delete ---- */

struct doomed_folder {
    struct pl_garbage garbage;
    const struct pl_fs *fs;
    char path[PL_PATH_BYTES];
};

struct removal {
    const struct pl_fs *fs;
    const char *folder;
};

static enum pl_err remove_name(void *argument, const char *name) {
    const struct removal *removal = argument;
    char path[PL_PATH_BYTES];
    pl_path_join(path, removal->folder, name);
    enum pl_err err = removal->fs->unlink(removal->fs->context, path);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

enum pl_err pl_log_remove_folder(const struct pl_fs *fs, const char *folder) {
    struct removal removal = {.fs = fs, .folder = folder};
    enum pl_err err = fs->list(fs->context, folder, remove_name, &removal);
    return err != PL_OK ? err : fs->remove_directory(fs->context, folder);
}

/* A folder that stays behind is found by its name and removed when the broker starts next. */
static void collect_folder(struct pl_garbage *garbage) {
    struct doomed_folder *doomed = garbage->owner;
    enum pl_err err = pl_log_remove_folder(doomed->fs, doomed->path);
    (void)err;
    free(doomed);
}

/* Kafka's form: PARENT/TOPIC-PARTITION.UNIQUE-delete, its last part at most 255 bytes. */
static enum pl_err name_doomed(const struct pl_log *log, char *path) {
    enum { MAX_NAME_BYTES = 255, UNIQUE_BYTES = 32 };
    char parent[PL_PATH_BYTES];
    pl_path_parent(parent, log->store->folder);
    const char *slash = strrchr(log->store->folder, '/');
    const char *name = slash == NULL ? log->store->folder : slash + 1;
    int room = MAX_NAME_BYTES - UNIQUE_BYTES - (int)sizeof ".-delete";
    int length = snprintf(path, PL_PATH_BYTES, "%s/%.*s.%016" PRIx64 "%016" PRIx64 "-delete",
                          parent, room, name, (uint64_t)log->clock->wall_ms(log->clock->context),
                          log->clock->monotonic_ns(log->clock->context) ^ (uint64_t)(uintptr_t)log);
    return length < PL_PATH_BYTES ? PL_OK : PL_ERR_LIMIT;
}

enum pl_err pl_log_delete(struct pl_log *log) {
    struct doomed_folder *doomed = malloc(sizeof *doomed);
    enum pl_err err = doomed == NULL ? PL_ERR_MEMORY : PL_OK;
    if (err == PL_OK) {
        doomed->fs = log->fs;
        doomed->garbage = (struct pl_garbage){.collect = collect_folder, .owner = doomed};
        err = name_doomed(log, doomed->path);
    }
    if (err == PL_OK) {
        err = log->fs->rename(log->fs->context, log->store->folder, doomed->path);
    }
    char parent[PL_PATH_BYTES];
    pl_path_parent(parent, log->store->folder);
    if (err == PL_OK) {
        err = log->fs->flush_directory(log->fs->context, parent);
    }
    const struct pl_disposal *disposal = log->store->disposal;
    free_log(log);
    if (err == PL_OK) {
        pl_garbage_submit(disposal, &doomed->garbage);
    } else {
        free(doomed);
    }
    return err;
}

/* ---- small ones ---- */

void pl_log_set_offline(struct pl_log *log) {
    log->offline = true;
}

void pl_log_configure(struct pl_log *log, const struct pl_log_config *config) {
    log->config = *config;
}

const struct pl_log_config *pl_log_config_of(const struct pl_log *log) {
    return &log->config;
}

void pl_log_offsets(const struct pl_log *log, struct pl_log_offsets *offsets) {
    *offsets = (struct pl_log_offsets){
        .log_start = log->log_start,
        .flushed_end = log->flushed_end,
        .recovery_point = log->recovery_point,
        .written_end = log->written_end,
        .log_end = log->log_end,
        .first_unstable = pl_producers_first_unstable(&log->producers),
        .size_bytes = log->size_bytes,
        .cleaned_end = log->cleaned_end,
        .segment_count = log->segment_count,
        .latest_epoch = pl_epochs_latest(&log->epochs),
        .offline = log->offline,
    };
}

int64_t pl_log_last_stable(struct pl_log *log, int64_t high_watermark) {
    pl_producers_forget_ended(&log->producers, high_watermark);
    int64_t first_unstable = pl_producers_first_unstable(&log->producers);
    return first_unstable >= 0 && first_unstable < high_watermark ? first_unstable : high_watermark;
}

void pl_log_epoch_end(const struct pl_log *log, int32_t epoch, int32_t *found, int64_t *end) {
    pl_epochs_end(&log->epochs, epoch, log->written_end, found, end);
}

enum pl_err pl_log_epoch_begin(struct pl_log *log, int32_t epoch) {
    return log->offline ? PL_ERR_OFFLINE : pl_epochs_add(&log->epochs, epoch, log->log_end);
}

bool pl_log_in_transaction(const struct pl_log *log, int64_t producer_id, int16_t producer_epoch) {
    const struct pl_producer *producer = pl_producers_find(&log->producers, producer_id);
    return producer != NULL && producer->txn_first_offset >= 0 && producer->epoch == producer_epoch;
}

enum pl_err pl_log_producers(const struct pl_log *log, struct pl_producer_view *views,
                             size_t *count) {
    *count = pl_producers_view(&log->producers, views, *count);
    return PL_OK;
}
