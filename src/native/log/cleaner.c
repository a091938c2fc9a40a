/* Compaction, the parts under the log's lock: what is cleaned, and the swap.
 *
 *   X.log ─ run ─▶ X.log.cleaned ─ flushed ─▶ X.log.swap ─┬─ end: sources → .deleted, then X.log
 *                                                          └─ after a crash: opening does the same
 */
#include <stdlib.h>

#include "log/clean.h"

/* ---- what is due ---- */

struct range { /* of segments: [0, to) are cleaned, those from `dirty` on are dirty */
    int32_t dirty, to;
    int64_t clean_bytes, dirty_bytes;
    bool overdue; /* by max.compaction.lag.ms */
};

static enum pl_err may_be_cleaned(struct pl_log *log, int32_t i, int64_t now_ms, int64_t bound,
                                  bool *may) {
    struct pl_segment *segment = log->segments[i];
    int64_t end = pl_log_segment_end(log, i);
    *may = i + 1 < log->segment_count && segment->sealed && segment->settled && end <= bound &&
           end <= log->flushed_end;
    if (!*may || log->config.min_compaction_lag_ms <= 0) {
        return PL_OK;
    }
    int64_t highest_ms;
    enum pl_err err = pl_log_highest_time(log, segment, &highest_ms);
    *may = highest_ms <= now_ms - log->config.min_compaction_lag_ms;
    return err;
}

static enum pl_err is_overdue(struct pl_log *log, int32_t i, int64_t now_ms, bool *overdue) {
    *overdue = false;
    if (log->config.max_compaction_lag_ms == INT64_MAX) {
        return PL_OK;
    }
    int64_t first_ms;
    enum pl_err err = pl_log_first_time(log, log->segments[i], &first_ms);
    *overdue = first_ms >= 0 && now_ms - first_ms > log->config.max_compaction_lag_ms;
    return err;
}

static enum pl_err measure(struct pl_log *log, int64_t now_ms, int64_t bound, struct range *range) {
    *range = (struct range){.dirty = -1};
    for (int32_t i = 0; i < log->segment_count; i++) {
        bool may = false, overdue = false;
        bool dirty = pl_log_segment_end(log, i) > log->cleaned_end;
        enum pl_err err = may_be_cleaned(log, i, now_ms, bound, &may);
        if (err == PL_OK && may && dirty) {
            err = is_overdue(log, i, now_ms, &overdue);
        }
        if (err != PL_OK || !may) {
            return err;
        }
        range->to = i + 1;
        range->overdue = range->overdue || overdue;
        range->dirty = dirty && range->dirty < 0 ? i : range->dirty;
        *(dirty ? &range->dirty_bytes : &range->clean_bytes) += (int64_t)log->segments[i]->written;
    }
    return PL_OK;
}

static bool is_due(const struct pl_log *log, const struct range *range) {
    if (range->dirty < 0 || range->dirty_bytes == 0) {
        return false;
    }
    double ratio = (double)range->dirty_bytes / (double)(range->dirty_bytes + range->clean_bytes);
    return range->overdue || ratio > log->config.min_cleanable_dirty_ratio;
}

/* ---- what the run takes along ---- */

static enum pl_err take_sources(struct pl_log *log, const struct range *range,
                                struct pl_clean *clean) {
    size_t count = (size_t)range->to;
    clean->sources = calloc(count, sizeof(struct pl_segment *));
    clean->source_ends = calloc(count, sizeof *clean->source_ends);
    clean->groups = calloc(count, sizeof *clean->groups);
    if (clean->sources == NULL || clean->source_ends == NULL || clean->groups == NULL) {
        return PL_ERR_MEMORY;
    }
    for (int32_t i = 0; i < range->to; i++) {
        pl_segment_retain(log->segments[i]);
        clean->sources[clean->source_count++] = log->segments[i];
        clean->source_ends[i] = pl_log_segment_end(log, i);
        clean->result.bytes_before += (int64_t)log->segments[i]->written;
    }
    clean->end = clean->source_ends[range->to - 1];
    int64_t dirty_base = log->segments[range->dirty]->base_offset;
    clean->first_dirty = log->cleaned_end > dirty_base ? log->cleaned_end : dirty_base;
    return PL_OK;
}

static uint32_t index_entries(const struct pl_segment *segment) {
    return pl_entry_file_count(&segment->offsets);
}

/* Neighbours that fit into one segment together, by their sizes before. */
static void make_groups(const struct pl_log *log, struct pl_clean *clean) {
    int64_t max_entries = log->config.segment_index_bytes / PL_OFFSET_ENTRY_BYTES;
    for (int32_t from = 0; from < clean->source_count;) {
        int64_t bytes = 0, entries = 0;
        int32_t to = from;
        while (to < clean->source_count) {
            bytes += (int64_t)clean->sources[to]->written;
            entries += index_entries(clean->sources[to]);
            bool fits = bytes <= log->config.segment_bytes && entries <= max_entries &&
                        clean->source_ends[to] - clean->sources[from]->base_offset <= INT32_MAX;
            if (to > from && !fits) {
                break;
            }
            to++;
        }
        clean->groups[clean->group_count++] = (struct pl_clean_group){.from = from, .to = to};
        from = to;
    }
}

static int compare_entries(const void *a, const void *b) {
    const struct pl_txn_entry *left = a, *right = b;
    return left->first_offset < right->first_offset ? -1 : left->first_offset > right->first_offset;
}

static enum pl_err take_entries(const struct pl_segment *segment, struct pl_clean *clean) {
    uint32_t count = pl_entry_file_count(&segment->txns);
    if (count == 0) {
        return PL_OK;
    }
    struct pl_txn_entry *entries =
        realloc(clean->aborted, (clean->aborted_count + count) * sizeof *entries);
    if (entries == NULL) {
        return PL_ERR_MEMORY;
    }
    clean->aborted = entries;
    char path[PL_PATH_BYTES];
    pl_segment_path(segment, PL_FILE_TXN_INDEX, path);
    struct pl_entry_reader reader;
    pl_entry_reader_open(&reader, &segment->txns, segment->store->fs, path);
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; i < count && err == PL_OK; i++) {
        struct pl_txn_entry *entry = &entries[clean->aborted_count];
        err = pl_segment_read_aborted(&reader, i, entry);
        clean->aborted_count += err == PL_OK && entry->first_offset < clean->end ? 1 : 0;
    }
    pl_entry_reader_close(&reader);
    return err;
}

/* Of all segments: the marker of a transaction may be behind what is cleaned. */
static enum pl_err take_aborted(const struct pl_log *log, struct pl_clean *clean) {
    enum pl_err err = PL_OK;
    for (int32_t i = 0; i < log->segment_count && err == PL_OK; i++) {
        err = take_entries(log->segments[i], clean);
    }
    if (clean->aborted_count > 1) {
        qsort(clean->aborted, clean->aborted_count, sizeof *clean->aborted, compare_entries);
    }
    return err;
}

static int compare_producers(const void *a, const void *b) {
    const struct pl_clean_producer *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static enum pl_err take_producers(const struct pl_log *log, struct pl_clean *clean) {
    const struct pl_producers *producers = &log->producers;
    clean->producers = calloc((size_t)producers->count + 1, sizeof *clean->producers);
    if (clean->producers == NULL) {
        return PL_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        const struct pl_producer *producer = producers->slots[i];
        if (producer == NULL) {
            continue;
        }
        const struct pl_producer_batch *last = pl_producer_last_batch(producer);
        clean->producers[clean->producer_count++] = (struct pl_clean_producer){
            .id = producer->id,
            .last_offset = last == NULL ? -1 : last->last_offset,
            .epoch = producer->epoch,
        };
    }
    qsort(clean->producers, clean->producer_count, sizeof *clean->producers, compare_producers);
    return PL_OK;
}

static void free_clean(struct pl_clean *clean) {
    for (int32_t i = 0; i < clean->source_count; i++) {
        pl_segment_release(clean->sources[i]);
    }
    for (int32_t i = 0; i < clean->group_count; i++) {
        if (clean->groups[i].cleaned != NULL) {
            pl_segment_release(clean->groups[i].cleaned);
        }
    }
    free(clean->sources);
    free(clean->source_ends);
    free(clean->groups);
    free(clean->aborted);
    free(clean->producers);
    pl_clean_map_free(&clean->map);
    pl_clean_txns_free(&clean->txns);
    pl_codec_destroy(clean->codec);
    pl_batch_builder_destroy(clean->builder);
    free(clean->block);
    free(clean->stays);
    free(clean->output.buffer);
    pl_store_release(clean->store);
    free(clean);
}

static enum pl_err make_clean(struct pl_log *log, const struct range *range, int64_t now_ms,
                              const struct pl_clean_limits *limits, struct pl_clean **made) {
    struct pl_clean *clean = calloc(1, sizeof *clean);
    if (clean == NULL) {
        return PL_ERR_MEMORY;
    }
    atomic_init(&clean->cancelled, false);
    atomic_fetch_add_explicit(&log->store->references, 1, memory_order_relaxed);
    clean->store = log->store;
    clean->clock = log->clock;
    clean->config = log->config;
    clean->limits = *limits;
    clean->now_ms = now_ms;
    enum pl_err err = take_sources(log, range, clean);
    if (err == PL_OK) {
        make_groups(log, clean);
        err = take_aborted(log, clean);
    }
    if (err == PL_OK) {
        err = take_producers(log, clean);
    }
    if (err != PL_OK) {
        free_clean(clean);
        return err;
    }
    *made = clean;
    return PL_OK;
}

enum pl_err pl_log_clean_begin(struct pl_log *log, int64_t now_ms, int64_t bound,
                               const struct pl_clean_limits *limits, struct pl_clean **clean) {
    *clean = NULL;
    if (log->offline) {
        return PL_ERR_OFFLINE;
    }
    if (log->cleaning) {
        return PL_ERR_BUSY;
    }
    struct range range;
    if (!log->config.compact_policy) {
        return PL_OK;
    }
    enum pl_err err = measure(log, now_ms, bound, &range);
    if (err != PL_OK || !is_due(log, &range)) {
        return err;
    }
    err = make_clean(log, &range, now_ms, limits, clean);
    log->cleaning = err == PL_OK;
    return err;
}

/* ---- the swap ---- */

/* Index of the first source of a group, when all of them are still neighbours in the log. */
static int32_t find_sources(const struct pl_log *log, const struct pl_clean *clean,
                            const struct pl_clean_group *group) {
    int32_t at = pl_log_floor(log, clean->sources[group->from]->base_offset);
    for (int32_t i = group->from; i < group->to; i++) {
        int32_t j = at + i - group->from;
        if (j < 0 || j >= log->segment_count || log->segments[j] != clean->sources[i]) {
            return -1;
        }
    }
    return at;
}

static enum pl_err unlink_made(const struct pl_segment *cleaned, enum pl_file_kind kind,
                               enum pl_file_phase phase) {
    const struct pl_store *store = cleaned->store;
    char path[PL_PATH_BYTES];
    pl_file_path(path, store->folder, cleaned->base_offset, kind, phase);
    enum pl_err err = store->fs->unlink(store->fs->context, path);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

/* The .log file loses its .swap name first and goes last: while it is .cleaned, opening takes
 * none of the others for good. */
static enum pl_err remove_made(const struct pl_segment *cleaned) {
    const struct pl_store *store = cleaned->store;
    char from[PL_PATH_BYTES], to[PL_PATH_BYTES];
    pl_file_path(from, store->folder, cleaned->base_offset, PL_FILE_LOG, PL_PHASE_SWAP);
    pl_file_path(to, store->folder, cleaned->base_offset, PL_FILE_LOG, PL_PHASE_CLEANED);
    enum pl_err err = store->fs->rename(store->fs->context, from, to);
    err = err == PL_ERR_NOT_FOUND ? PL_OK : err;
    for (int kind = PL_FILE_SNAPSHOT - 1; kind >= PL_FILE_LOG && err == PL_OK; kind--) {
        err = unlink_made(cleaned, (enum pl_file_kind)kind, PL_PHASE_SWAP);
        if (err == PL_OK) {
            err = unlink_made(cleaned, (enum pl_file_kind)kind, PL_PHASE_CLEANED);
        }
    }
    return err;
}

/* The .log file first: from then on the other names are a matter of opening. */
static enum pl_err rename_to_live(const struct pl_segment *cleaned) {
    const struct pl_store *store = cleaned->store;
    for (int kind = PL_FILE_LOG; kind < PL_FILE_SNAPSHOT; kind++) {
        char from[PL_PATH_BYTES], to[PL_PATH_BYTES];
        pl_file_path(from, store->folder, cleaned->base_offset, (enum pl_file_kind)kind,
                     PL_PHASE_SWAP);
        pl_file_path(to, store->folder, cleaned->base_offset, (enum pl_file_kind)kind,
                     PL_PHASE_LIVE);
        enum pl_err err = store->fs->rename(store->fs->context, from, to);
        if (err != PL_OK && (err != PL_ERR_NOT_FOUND || kind == PL_FILE_LOG)) {
            return err;
        }
    }
    return PL_OK;
}

static void insert_segment(struct pl_log *log, int32_t at, struct pl_segment *segment) {
    for (int32_t i = log->segment_count; i > at; i--) {
        log->segments[i] = log->segments[i - 1];
    }
    log->segments[at] = segment; /* one or more have just left: there is room */
    log->segment_count++;
    pl_stages_shift(log, 1);
    log->size_bytes += (int64_t)segment->written;
}

static enum pl_err swap_group(struct pl_log *log, const struct pl_clean *clean,
                              struct pl_clean_group *group) {
    int32_t at = find_sources(log, clean, group);
    if (at < 0) { /* retention was faster */
        enum pl_err err = remove_made(group->cleaned);
        pl_segment_release(group->cleaned);
        group->cleaned = NULL;
        log->folder_changed = true;
        return err;
    }
    enum pl_err err = pl_log_replace_segments(log, at, at + group->to - group->from);
    if (err == PL_OK) {
        err = rename_to_live(group->cleaned);
    }
    if (err != PL_OK) {
        return err;
    }
    group->cleaned->phase = PL_PHASE_LIVE;
    insert_segment(log, at, group->cleaned);
    group->cleaned = NULL; /* the log's reference now */
    log->folder_changed = true;
    pl_boundaries_clear(&log->boundaries);
    return PL_OK;
}

bool pl_log_clean_swap(struct pl_log *log, struct pl_clean *clean) {
    if (log->offline || clean->err != PL_OK) {
        return false;
    }
    int32_t next = 0;
    while (next < clean->group_count && clean->groups[next].cleaned == NULL) {
        next++;
    }
    if (next == clean->group_count) {
        return false;
    }
    if (swap_group(log, clean, &clean->groups[next]) != PL_OK) {
        log->offline = true; /* half a swap: opening finishes it */
        clean->err = PL_ERR_IO;
    }
    return true;
}

/* A failed run leaves files that the next opening would remove, or take for good if complete. */
static enum pl_err drop_all(struct pl_log *log, struct pl_clean *clean) {
    for (int32_t i = 0; i < clean->group_count; i++) {
        enum pl_err err =
            clean->groups[i].cleaned == NULL ? PL_OK : remove_made(clean->groups[i].cleaned);
        if (err != PL_OK) {
            return pl_log_fail(log, err);
        }
    }
    log->folder_changed = true;
    return clean->err == PL_ERR_IO ? pl_log_fail(log, clean->err) : clean->err;
}

enum pl_err pl_log_clean_end(struct pl_log *log, struct pl_clean *clean,
                             struct pl_cleaned *cleaned) {
    log->cleaning = false;
    *cleaned = clean->result;
    while (pl_log_clean_swap(log, clean)) {
    }
    enum pl_err err = PL_OK;
    if (log->offline) {
        err = clean->err == PL_ERR_IO ? PL_ERR_IO : PL_ERR_OFFLINE;
    } else if (clean->err != PL_OK) {
        err = drop_all(log, clean);
    } else if (clean->mapped_end > log->cleaned_end) {
        log->cleaned_end = clean->mapped_end;
    }
    free_clean(clean);
    return err;
}
