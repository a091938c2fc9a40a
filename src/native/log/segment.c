#include "log/segment.h"

#include <stdlib.h>
#include <string.h>

enum pl_err pl_store_create(const struct pl_fs *fs, const struct pl_disposal *disposal,
                            const char *folder, struct pl_store **store) {
    size_t n = strlen(folder);
    if (n == 0 || n > PL_FOLDER_MAX_BYTES) {
        return PL_ERR_INVALID;
    }
    struct pl_store *made = malloc(sizeof *made + n + 1);
    if (made == NULL) {
        return PL_ERR_MEMORY;
    }
    atomic_init(&made->references, 1);
    made->fs = fs;
    made->disposal = disposal;
    memcpy(made->folder, folder, n + 1);
    *store = made;
    return PL_OK;
}

void pl_store_release(struct pl_store *store) {
    if (atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) == 1) {
        free(store);
    }
}

void pl_garbage_submit(const struct pl_disposal *disposal, struct pl_garbage *garbage) {
    if (disposal != NULL) {
        disposal->submit(disposal->owner, garbage);
    } else {
        garbage->collect(garbage);
    }
}

enum pl_err pl_segment_create(struct pl_store *store, int64_t base_offset,
                              struct pl_segment **segment) {
    struct pl_segment *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return PL_ERR_MEMORY;
    }
    atomic_init(&made->references, 1);
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    made->store = store;
    made->fd = -1;
    made->base_offset = base_offset;
    made->tail.first_timestamp_ms = PL_TIME_NONE;
    made->tail.max_timestamp_ms = PL_TIME_NONE;
    made->tail.max_timestamp_offset = base_offset;
    made->tail.last_time_entry_ms = PL_TIME_NONE;
    pl_entry_file_init(&made->offsets, PL_OFFSET_ENTRY_BYTES);
    pl_entry_file_init(&made->times, PL_TIME_ENTRY_BYTES);
    pl_entry_file_init(&made->txns, PL_TXN_ENTRY_BYTES);
    *segment = made;
    return PL_OK;
}

void pl_segment_path(const struct pl_segment *segment, enum pl_file_kind kind, char *path) {
    pl_file_path(path, segment->store->folder, segment->base_offset, kind, segment->phase);
}

enum pl_err pl_segment_open_file(struct pl_segment *segment, bool *created) {
    *created = false;
    if (segment->fd >= 0) {
        return PL_OK;
    }
    const struct pl_fs *fs = segment->store->fs;
    char path[PL_PATH_BYTES];
    pl_segment_path(segment, PL_FILE_LOG, path);
    enum pl_open_mode mode = PL_OPEN_READ;
    if (!segment->file_exists) {
        mode = PL_OPEN_TRUNCATE;
    } else if (!segment->sealed) {
        mode = PL_OPEN_WRITE;
    }
    int fd;
    enum pl_err err = fs->open(fs->context, path, mode, &fd);
    if (err != PL_OK) {
        return err;
    }
    segment->fd = fd;
    *created = !segment->file_exists;
    segment->file_exists = true;
    return PL_OK;
}

bool pl_segment_shared(const struct pl_segment *segment) {
    return atomic_load_explicit(&segment->references, memory_order_acquire) > 1;
}

void pl_segment_close_file(struct pl_segment *segment) {
    const struct pl_fs *fs = segment->store->fs;
    if (segment->fd >= 0) {
        (void)fs->close(fs->context, segment->fd); /* what matters was flushed or given up */
    }
    segment->fd = -1;
}

void pl_segment_close_idle(struct pl_segment *segment, int64_t unused_since_ms) {
    if (segment->fd < 0 || segment->used_ms > unused_since_ms || pl_segment_shared(segment)) {
        return;
    }
    /* A failed write-back is told to the descriptors that were open then: keep it until flushed. */
    if (segment->flushed < segment->tail.size) {
        return;
    }
    pl_segment_close_file(segment);
}

static void free_segment(struct pl_segment *segment) {
    pl_segment_close_file(segment);
    pl_entry_file_free(&segment->offsets);
    pl_entry_file_free(&segment->times);
    pl_entry_file_free(&segment->txns);
    free(segment->snapshot);
    pl_store_release(segment->store);
    free(segment);
}

/* Files of a doomed segment have their .deleted names. One that stays behind (the folder has
 * gone, or the disk fails) is removed when the log is opened next. */
static void collect_segment(struct pl_garbage *garbage) {
    struct pl_segment *segment = garbage->owner;
    const struct pl_fs *fs = segment->store->fs;
    char path[PL_PATH_BYTES];
    for (int kind = 0; kind < PL_FILE_KINDS; kind++) {
        pl_file_path(path, segment->store->folder, segment->base_offset, (enum pl_file_kind)kind,
                     PL_PHASE_DELETED);
        (void)fs->unlink(fs->context, path);
    }
    free_segment(segment);
}

void pl_segment_retain(struct pl_segment *segment) {
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

void pl_segment_release(struct pl_segment *segment) {
    if (atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (!segment->doomed) {
        free_segment(segment);
        return;
    }
    segment->garbage = (struct pl_garbage){.collect = collect_segment, .owner = segment};
    pl_garbage_submit(segment->store->disposal, &segment->garbage);
}

struct pl_segment_tail pl_segment_mark(const struct pl_segment *segment) {
    struct pl_segment_tail tail = segment->tail;
    tail.offset_entries = pl_entry_file_count(&segment->offsets);
    tail.time_entries = pl_entry_file_count(&segment->times);
    tail.txn_entries = pl_entry_file_count(&segment->txns);
    return tail;
}

void pl_segment_restore(struct pl_segment *segment, const struct pl_segment_tail *tail) {
    pl_entry_file_forget(&segment->offsets, tail->offset_entries);
    pl_entry_file_forget(&segment->times, tail->time_entries);
    pl_entry_file_forget(&segment->txns, tail->txn_entries);
    segment->tail = *tail;
}
