/* From the files of a folder to segments. What a crash left half done is finished or removed:
 * .deleted and .cleaned files go, a .swap file of compaction takes the place of the segments that
 * it was made from, an index without its segment goes.
 */
#include <stdlib.h>
#include <string.h>

#include "log/log_state.h"
#include "log/scan.h"

enum { MAX_SEGMENT_BYTES = INT32_MAX };

struct names { /* of the folder, parsed; owned by pl_log_load_folder */
    struct pl_file_name *all;
    size_t count, room;
};

static enum pl_err add_name(void *argument, const char *name) {
    struct names *names = argument;
    struct pl_file_name parsed;
    if (!pl_file_name_parse(name, &parsed)) {
        return PL_OK;
    }
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 16 : names->room * 2;
        struct pl_file_name *all = realloc(names->all, room * sizeof *all);
        if (all == NULL) {
            return PL_ERR_MEMORY;
        }
        names->all = all;
        names->room = room;
    }
    names->all[names->count++] = parsed;
    return PL_OK;
}

static int compare_names(const void *a, const void *b) {
    const struct pl_file_name *left = a, *right = b;
    if (left->base_offset != right->base_offset) {
        return left->base_offset < right->base_offset ? -1 : 1;
    }
    return (int)left->kind - (int)right->kind;
}

static enum pl_err list_names(struct pl_log *log, struct names *names) {
    names->count = 0;
    enum pl_err err = log->fs->list(log->fs->context, log->store->folder, add_name, names);
    if (err == PL_OK && names->count > 1) {
        qsort(names->all, names->count, sizeof *names->all, compare_names);
    }
    return err;
}

static enum pl_err unlink_name(struct pl_log *log, const struct pl_file_name *name) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, log->store->folder, name->base_offset, name->kind, name->phase);
    log->folder_changed = true;
    return log->fs->unlink(log->fs->context, path);
}

/* ---- interrupted swaps ---- */

/* End offset of a file of batches that was flushed before it got its name. */
static enum pl_err end_of_swap(struct pl_log *log, const struct pl_file_name *name, int64_t *end) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, log->store->folder, name->base_offset, name->kind, name->phase);
    int fd;
    enum pl_err err = log->fs->open(log->fs->context, path, PL_OPEN_READ, &fd);
    if (err != PL_OK) {
        return err;
    }
    uint64_t size;
    *end = name->base_offset;
    err = log->fs->size(log->fs->context, fd, &size);
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, fd, 0, err == PL_OK ? size : 0, buffer, sizeof buffer);
    while (err == PL_OK && (err = pl_scan_next(&scan)) == PL_OK) {
        *end = pl_batch_last_offset(&scan.header) + 1;
    }
    pl_scan_close(&scan);
    (void)log->fs->close(log->fs->context, fd);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

/* Files of the segments that a .swap segment was made from. Their snapshots stay. */
static enum pl_err remove_replaced(struct pl_log *log, const struct names *names, int64_t from,
                                   int64_t to) {
    for (size_t i = 0; i < names->count; i++) {
        const struct pl_file_name *name = &names->all[i];
        bool replaced = name->phase == PL_PHASE_LIVE && name->kind != PL_FILE_SNAPSHOT &&
                        name->base_offset >= from && name->base_offset < to;
        enum pl_err err = replaced ? unlink_name(log, name) : PL_OK;
        if (err != PL_OK) {
            return err;
        }
    }
    return PL_OK;
}

static enum pl_err rename_swaps(struct pl_log *log, const struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        const struct pl_file_name *name = &names->all[i];
        if (name->phase != PL_PHASE_SWAP) {
            continue;
        }
        char from[PL_PATH_BYTES], to[PL_PATH_BYTES];
        pl_file_path(from, log->store->folder, name->base_offset, name->kind, PL_PHASE_SWAP);
        pl_file_path(to, log->store->folder, name->base_offset, name->kind, PL_PHASE_LIVE);
        enum pl_err err = log->fs->rename(log->fs->context, from, to);
        if (err != PL_OK) {
            return err;
        }
        log->folder_changed = true;
    }
    return PL_OK;
}

static enum pl_err finish_swaps(struct pl_log *log, const struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        const struct pl_file_name *name = &names->all[i];
        if (name->phase != PL_PHASE_SWAP || name->kind != PL_FILE_LOG) {
            continue;
        }
        int64_t end;
        enum pl_err err = end_of_swap(log, name, &end);
        if (err == PL_OK) {
            err = remove_replaced(log, names, name->base_offset, end);
        }
        if (err != PL_OK) {
            return err;
        }
    }
    return rename_swaps(log, names);
}

/* While a .cleaned file is left, .swap files from its offset on are not complete: the segments
 * that they were made from are still there. */
static int64_t first_cleaned(const struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        if (names->all[i].phase == PL_PHASE_CLEANED) {
            return names->all[i].base_offset;
        }
    }
    return INT64_MAX;
}

/* Unlinks the files of a phase from an offset on, and drops their names. */
static enum pl_err remove_phase(struct pl_log *log, struct names *names, enum pl_file_phase phase,
                                int64_t from) {
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        struct pl_file_name name = names->all[i];
        if (name.phase != phase || name.base_offset < from) {
            names->all[kept++] = name;
            continue;
        }
        enum pl_err err = unlink_name(log, &name);
        if (err != PL_OK) {
            return err;
        }
    }
    names->count = kept;
    return PL_OK;
}

/* The .cleaned files last: they are what tells which .swap files are not complete. */
static enum pl_err remove_leftovers(struct pl_log *log, struct names *names) {
    enum pl_err err = remove_phase(log, names, PL_PHASE_DELETED, 0);
    if (err == PL_OK) {
        err = remove_phase(log, names, PL_PHASE_SWAP, first_cleaned(names));
    }
    return err == PL_OK ? remove_phase(log, names, PL_PHASE_CLEANED, 0) : err;
}

/* ---- segments ---- */

static enum pl_err load_segment(struct pl_log *log, int64_t base_offset) {
    struct pl_segment *segment;
    enum pl_err err = pl_log_push_segment(log, base_offset, &segment);
    if (err != PL_OK) {
        return err;
    }
    segment->file_exists = true;
    segment->sealed = segment->settled = true; /* recovery says otherwise of what it scans */
    err = pl_log_open_file(log, segment);
    uint64_t size = 0;
    if (err == PL_OK) {
        err = log->fs->size(log->fs->context, segment->fd, &size);
    }
    if (err == PL_OK && size > MAX_SEGMENT_BYTES) {
        err = PL_ERR_UNSUPPORTED;
    }
    segment->written = segment->flushed = segment->tail.size = size;
    segment->tail.first_timestamp_ms = PL_TIME_UNKNOWN;
    segment->tail.max_timestamp_ms = size == 0 ? PL_TIME_NONE : PL_TIME_UNKNOWN;
    log->size_bytes += (int64_t)size;
    pl_segment_close_idle(segment, INT64_MAX);
    return err;
}

static bool has_segment(const struct pl_log *log, int64_t base_offset) {
    int32_t i = pl_log_floor(log, base_offset);
    return i >= 0 && log->segments[i]->base_offset == base_offset;
}

/* The transaction index is small and cannot be had by walking one segment alone: its size must
 * be right from the start. */
static enum pl_err load_txns(struct pl_log *log, int64_t base_offset) {
    struct pl_segment *segment = log->segments[pl_log_floor(log, base_offset)];
    char path[PL_PATH_BYTES];
    bool found;
    pl_segment_path(segment, PL_FILE_TXN_INDEX, path);
    enum pl_err err = pl_entry_file_load(&segment->txns, log->fs, path, &found);
    segment->txns_damaged = err == PL_ERR_CORRUPT;
    return err == PL_ERR_CORRUPT ? PL_OK : err;
}

/* Snapshots at the begin of a segment are kept for truncations; of the others, which clean
 * shutdowns leave, only the newest one. */
static enum pl_err load_other(struct pl_log *log, const struct pl_file_name *name) {
    bool newest = name->kind == PL_FILE_SNAPSHOT && name->base_offset == log->snapshot_end;
    if (!newest && !has_segment(log, name->base_offset)) {
        return unlink_name(log, name);
    }
    return name->kind == PL_FILE_TXN_INDEX ? load_txns(log, name->base_offset) : PL_OK;
}

static enum pl_err load_names(struct pl_log *log, const struct names *names) {
    enum pl_err err = PL_OK;
    for (size_t i = 0; i < names->count && err == PL_OK; i++) {
        const struct pl_file_name *name = &names->all[i];
        if (name->phase == PL_PHASE_LIVE && name->kind == PL_FILE_LOG) {
            err = load_segment(log, name->base_offset);
        }
        if (name->phase == PL_PHASE_LIVE && name->kind == PL_FILE_SNAPSHOT) {
            log->snapshot_end = name->base_offset; /* names ascend */
        }
    }
    for (size_t i = 0; i < names->count && err == PL_OK; i++) {
        if (names->all[i].phase == PL_PHASE_LIVE && names->all[i].kind != PL_FILE_LOG) {
            err = load_other(log, &names->all[i]);
        }
    }
    return err;
}

enum pl_err pl_log_load_folder(struct pl_log *log) {
    struct names names = {0};
    enum pl_err err = list_names(log, &names);
    if (err == PL_OK) {
        err = remove_leftovers(log, &names);
    }
    if (err == PL_OK) {
        err = finish_swaps(log, &names);
    }
    if (err == PL_OK && log->folder_changed) {
        err = list_names(log, &names);
    }
    if (err == PL_OK) {
        err = load_names(log, &names);
    }
    free(names.all);
    return err;
}
