/* Written batches reach the disk: begin and end under the log's lock, run without it. */
#include <stdlib.h>
#include <string.h>

#include "log/log_state.h"

bool pl_log_flush_due(const struct pl_log *log, int64_t now_ms) {
    if (log->offline || log->flush.running) {
        return false;
    }
    int64_t waiting = log->written_end - log->flushed_end;
    if (log->config.durability == PL_DURABILITY_FSYNC) {
        return waiting > 0 || log->roll_flush_due;
    }
    if (log->roll_flush_due || waiting >= log->config.flush_messages) {
        return true;
    }
    return waiting > 0 && now_ms - log->flushed_ms >= log->config.flush_ms;
}

static enum pl_err add_item(struct pl_flush *flush, struct pl_segment *segment) {
    if (flush->count == flush->room) {
        int32_t room = flush->room == 0 ? PL_FLUSH_INLINE : flush->room * 2;
        struct pl_flush_item *items = realloc(flush->items, (size_t)room * sizeof *items);
        if (items == NULL) {
            return PL_ERR_MEMORY;
        }
        flush->items = items;
        flush->room = room;
    }
    pl_segment_retain(segment);
    flush->items[flush->count++] = (struct pl_flush_item){
        .segment = segment,
        .fd = segment->fd,
        .size = segment->written,
        .settle = segment->sealed && !segment->settled,
    };
    return PL_OK;
}

static bool is_dirty(const struct pl_segment *segment) {
    return segment->flushed < segment->written || (segment->sealed && !segment->settled);
}

static void forget_items(struct pl_flush *flush) {
    while (flush->count > 0) {
        pl_segment_release(flush->items[--flush->count].segment);
    }
    free(flush->epochs_text);
    flush->epochs_text = NULL;
    flush->running = false;
}

/* Everything below flushed_end is on the disk; the files of a segment that was sealed later may
 * not be. */
static enum pl_err collect_items(struct pl_log *log) {
    int32_t from = log->segment_count;
    while (from > 0) {
        const struct pl_segment *before = log->segments[from - 1];
        if (before->settled && pl_log_segment_end(log, from - 1) <= log->flushed_end) {
            break;
        }
        from--;
    }
    enum pl_err err = PL_OK;
    for (int32_t i = from; i < log->segment_count && err == PL_OK; i++) {
        if (is_dirty(log->segments[i])) {
            err = add_item(&log->flush, log->segments[i]);
        }
    }
    return err;
}

enum pl_err pl_log_flush_begin(struct pl_log *log, struct pl_flush **begun) {
    struct pl_flush *flush = &log->flush;
    *begun = NULL;
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (flush->running) {
        return PL_ERR_BUSY;
    }
    enum pl_err err = collect_items(log);
    if (err == PL_OK && log->epochs.changed) {
        err = pl_epochs_encode(&log->epochs, &flush->epochs_text, &flush->epochs_bytes);
    }
    bool anything = flush->count > 0 || flush->epochs_text != NULL || log->folder_changed ||
                    log->parent_changed;
    if (err != PL_OK || !anything) {
        forget_items(flush);
        return err;
    }
    flush->store = log->store;
    flush->end_offset = log->written_end;
    flush->truncations = log->truncations;
    flush->flush_folder = log->folder_changed || flush->epochs_text != NULL;
    flush->flush_parent = log->parent_changed;
    flush->err = flush->epochs_err = PL_OK;
    flush->running = true;
    log->folder_changed = log->parent_changed = log->epochs.changed = false;
    log->roll_flush_due = false;
    *begun = flush;
    return PL_OK;
}

/* Retention may take the segment's files away meanwhile: then nobody needs them. */
static enum pl_err flush_path(const struct pl_fs *fs, const char *path) {
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_READ, &fd);
    if (err == PL_ERR_NOT_FOUND) {
        return PL_OK;
    }
    if (err != PL_OK) {
        return err;
    }
    err = fs->flush(fs->context, fd);
    enum pl_err closed = fs->close(fs->context, fd);
    return err != PL_OK ? err : closed;
}

static enum pl_err flush_item(const struct pl_fs *fs, const struct pl_flush_item *item) {
    struct pl_segment *segment = item->segment;
    enum pl_err err = PL_OK;
    if (item->fd >= 0) {
        err = fs->flush(fs->context, item->fd);
    }
    for (int kind = PL_FILE_OFFSET_INDEX; item->settle && kind < PL_FILE_KINDS; kind++) {
        char path[PL_PATH_BYTES];
        pl_segment_path(segment, (enum pl_file_kind)kind, path);
        if (err == PL_OK) {
            err = flush_path(fs, path);
        }
    }
    return err;
}

static enum pl_err replace_epochs(const struct pl_flush *flush) {
    if (flush->epochs_text == NULL) {
        return PL_OK;
    }
    const struct pl_fs *fs = flush->store->fs;
    char fresh[PL_PATH_BYTES], path[PL_PATH_BYTES];
    pl_path_join(fresh, flush->store->folder, "leader-epoch-checkpoint.tmp");
    pl_path_join(path, flush->store->folder, "leader-epoch-checkpoint");
    enum pl_err err = pl_write_file(fs, fresh, flush->epochs_text, flush->epochs_bytes, true);
    if (err == PL_OK) {
        err = fs->rename(fs->context, fresh, path);
    }
    if (err != PL_OK) {
        (void)fs->unlink(fs->context, fresh); /* half a file takes room for nothing */
    }
    return err;
}

static bool passes(enum pl_err err) {
    return err == PL_ERR_NO_SPACE || err == PL_ERR_MEMORY || err == PL_ERR_LIMIT;
}

static enum pl_err flush_parent(const struct pl_store *store) {
    char parent[PL_PATH_BYTES];
    pl_path_parent(parent, store->folder);
    return store->fs->flush_directory(store->fs->context, parent);
}

void pl_flush_run(struct pl_flush *flush) {
    const struct pl_store *store = flush->store;
    enum pl_err err = PL_OK;
    for (int32_t i = 0; i < flush->count && err == PL_OK; i++) {
        err = flush_item(store->fs, &flush->items[i]);
    }
    if (err == PL_OK) {
        flush->epochs_err = replace_epochs(flush);
        err = passes(flush->epochs_err) ? PL_OK : flush->epochs_err;
    }
    if (err == PL_OK && flush->flush_folder) {
        err = store->fs->flush_directory(store->fs->context, store->folder);
    }
    if (err == PL_OK && flush->flush_parent) {
        err = flush_parent(store);
    }
    flush->err = err;
}

static void count_as_flushed(struct pl_log *log, const struct pl_flush *flush) {
    for (int32_t i = 0; i < flush->count; i++) {
        const struct pl_flush_item *item = &flush->items[i];
        if (item->size > item->segment->flushed) {
            item->segment->flushed = item->size;
        }
        item->segment->settled = item->segment->settled || item->settle;
    }
    if (flush->end_offset > log->flushed_end) {
        log->flushed_end = flush->end_offset;
    }
    if (flush->epochs_err == PL_OK) {
        log->recovery_point = log->flushed_end;
    }
    log->flushed_ms = log->clock->wall_ms(log->clock->context);
}

enum pl_err pl_log_flush_end(struct pl_log *log, struct pl_flush *flush) {
    enum pl_err err = flush->err;
    /* After a truncation the same offsets may hold batches that this flush has not seen. */
    if (err == PL_OK && flush->truncations == log->truncations) {
        count_as_flushed(log, flush);
    }
    forget_items(flush);
    if (err == PL_OK) {
        log->epochs.changed = log->epochs.changed || flush->epochs_err != PL_OK;
        return flush->epochs_err == PL_OK ? PL_OK : PL_ERR_NO_SPACE;
    }
    /* What was not flushed may be lost even if a later flush succeeds: no error passes here. */
    log->offline = true;
    return PL_ERR_IO;
}
