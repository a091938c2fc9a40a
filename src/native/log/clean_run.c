/* The two passes of a clean, on a worker: the newest offsets of keys, then the copy. */
#include <stdlib.h>
#include <time.h>

#include "log/clean.h"
#include "log/clean_pace.h"

enum {
    LEAST_IO_BYTES = 64 * 1024, /* of a buffer */
    PACED_BYTES = 64 * 1024,
    LONGEST_PAUSE_NS = 100 * 1000 * 1000, /* a cancelled clean ends soon */
    FLUSHED_BYTES = 2 * 1024 * 1024,
};

/* ---- pace ---- */

static uint64_t now_ns(const struct pl_clean *clean) {
    return clean->clock->monotonic_ns(clean->clock->context);
}

static enum pl_err check_cancelled(const struct pl_clean *clean) {
    bool cancelled = atomic_load_explicit(&clean->cancelled, memory_order_relaxed);
    return cancelled ? PL_ERR_CLOSED : PL_OK;
}

/* Waits as long as the limit of bytes a second asks. PL_ERR_CLOSED: cancelled. */
static enum pl_err keep_pace(struct pl_clean *clean, size_t bytes) {
    enum pl_err err = check_cancelled(clean);
    clean->unpaced_bytes += bytes;
    if (err != PL_OK || clean->limits.pace == NULL || clean->unpaced_bytes < PACED_BYTES) {
        return err;
    }
    uint64_t now = now_ns(clean);
    uint64_t due = pl_clean_pace_take(clean->limits.pace, clean->unpaced_bytes, now);
    clean->unpaced_bytes = 0;
    while (err == PL_OK && now < due) {
        uint64_t left = due - now < LONGEST_PAUSE_NS ? due - now : LONGEST_PAUSE_NS;
        struct timespec pause = {.tv_nsec = (long)left};
        (void)nanosleep(&pause, NULL); /* woken early: looks at the clock again */
        err = check_cancelled(clean);
        now = now_ns(clean);
    }
    return err;
}

/* ---- walking the sources ---- */

struct source { /* of the .log file, by its own descriptor */
    struct pl_scan scan;
    int fd;
};

static enum pl_err open_source(struct pl_clean *clean, int32_t i, struct source *source) {
    const struct pl_fs *fs = clean->store->fs;
    char path[PL_PATH_BYTES];
    pl_segment_path(clean->sources[i], PL_FILE_LOG, path);
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_READ, &source->fd);
    if (err == PL_OK) {
        pl_scan_open(&source->scan, fs, source->fd, 0, clean->sources[i]->written, clean->block,
                     clean->block_room);
    }
    return err;
}

static void close_source(struct pl_clean *clean, struct source *source) {
    pl_scan_close(&source->scan);
    (void)clean->store->fs->close(clean->store->fs->context, source->fd); /* was only read */
}

/* ---- first pass ---- */

bool pl_clean_look_ahead(struct pl_clean *clean, struct pl_record_reader *reader) {
    struct pl_clean_ahead *ahead = &clean->ahead;
    ahead->count = 0;
    while (ahead->count < PL_CLEAN_AHEAD &&
           pl_record_reader_next(reader, &ahead->records[ahead->count])) {
        const struct pl_record *record = &ahead->records[ahead->count];
        if (record->key.length >= 0) {
            pl_clean_map_hash(&clean->map, record->key.data, (size_t)record->key.length,
                              ahead->hashes[ahead->count]);
        }
        ahead->count++;
    }
    return ahead->count > 0;
}

static enum pl_err map_ahead(struct pl_clean *clean, const struct pl_batch_header *header) {
    const struct pl_clean_ahead *ahead = &clean->ahead;
    enum pl_err err = PL_OK;
    for (size_t i = 0; i < ahead->count && err == PL_OK; i++) {
        int64_t offset = header->base_offset + ahead->records[i].offset_delta;
        if (ahead->records[i].key.length >= 0 && offset >= clean->first_dirty) {
            err = pl_clean_map_put(&clean->map, ahead->hashes[i], offset);
        }
    }
    return err;
}

static enum pl_err map_records(struct pl_clean *clean, const struct pl_batch *batch) {
    struct pl_record_reader reader;
    enum pl_err err = pl_batch_open_records(clean->codec, batch, &reader);
    while (err == PL_OK && pl_clean_look_ahead(clean, &reader)) {
        err = map_ahead(clean, &batch->header);
    }
    return err != PL_OK ? err : reader.cursor.err;
}

static enum pl_err map_batch(struct pl_clean *clean, struct pl_scan *scan) {
    const struct pl_batch_header *header = &scan->header;
    uint8_t *bytes;
    enum pl_err err = pl_scan_bytes(scan, &bytes);
    if (err != PL_OK) {
        return err;
    }
    if (pl_batch_is(header, PL_BATCH_CONTROL)) {
        struct pl_txn_marker marker;
        struct pl_clean_marker met;
        err = pl_txn_marker_parse(bytes, header, &marker);
        if (err == PL_OK && marker.is_marker) {
            err = pl_clean_txns_marker(&clean->txns, header, &marker, &met);
        }
        return err;
    }
    bool aborted;
    err = pl_clean_txns_batch(&clean->txns, header, &aborted);
    if (err != PL_OK || aborted) {
        return err;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    return map_records(clean, &batch);
}

/* *full: the map ends in front of this segment's end. */
static enum pl_err map_segment(struct pl_clean *clean, int32_t i, bool *full) {
    struct source source;
    enum pl_err err = open_source(clean, i, &source);
    if (err != PL_OK) {
        return err;
    }
    while ((err = pl_scan_next(&source.scan)) == PL_OK) {
        err = keep_pace(clean, pl_batch_size(&source.scan.header));
        if (err == PL_OK) {
            err = map_batch(clean, &source.scan);
        }
        if (err != PL_OK) {
            break;
        }
        clean->mapped_end = pl_batch_last_offset(&source.scan.header) + 1;
    }
    close_source(clean, &source);
    *full = err == PL_ERR_LIMIT;
    if (err == PL_ERR_NOT_FOUND) {
        clean->mapped_end = clean->source_ends[i];
    }
    return err == PL_ERR_NOT_FOUND || *full ? PL_OK : err;
}

/* Some keys of a batch that did not fit may be in the map already. Their older records go; the
 * newer ones, at or above mapped_end, stay: nothing is lost. */
static enum pl_err build_map(struct pl_clean *clean) {
    int32_t first = 0;
    while (first < clean->source_count && clean->source_ends[first] <= clean->first_dirty) {
        first++;
    }
    int64_t from = first < clean->source_count ? clean->sources[first]->base_offset : clean->end;
    pl_clean_txns_begin(&clean->txns, clean->aborted, clean->aborted_count, from);
    clean->mapped_end = clean->first_dirty;
    bool full = false;
    for (int32_t i = first; i < clean->source_count && !full; i++) {
        enum pl_err err = map_segment(clean, i, &full);
        if (err != PL_OK) {
            return err;
        }
    }
    /* One batch has more keys than the map has room for: no later clean would do better. */
    return full && clean->mapped_end == clean->first_dirty ? PL_ERR_LIMIT : PL_OK;
}

/* ---- second pass ---- */

/* Flushed a little at a time, so that no producer's flush has to wait for all of it. */
static enum pl_err write_output(struct pl_clean *clean) {
    struct pl_clean_output *output = &clean->output;
    const struct pl_fs *fs = clean->store->fs;
    struct pl_segment *segment = output->segment;
    if (output->filled == 0) {
        return PL_OK;
    }
    struct iovec iov = {.iov_base = output->buffer, .iov_len = output->filled};
    enum pl_err err = fs->write_at(fs->context, segment->fd, &iov, 1, segment->written);
    if (err != PL_OK) {
        return err;
    }
    segment->written += output->filled;
    err = keep_pace(clean, output->filled);
    output->filled = 0;
    if (err == PL_OK && segment->written - output->flushed >= FLUSHED_BYTES) {
        err = fs->flush(fs->context, segment->fd);
        output->flushed = segment->written;
    }
    if (err != PL_OK) {
        return err;
    }
    bool created;
    return pl_segment_spill_due(segment) ? pl_segment_spill(segment, NULL, &created) : PL_OK;
}

enum pl_err pl_clean_output_reserve(struct pl_clean *clean, size_t n) {
    struct pl_clean_output *output = &clean->output;
    if (n <= output->room - output->filled) {
        return PL_OK;
    }
    enum pl_err err = write_output(clean);
    if (err != PL_OK || n <= output->room) {
        return err;
    }
    uint8_t *larger = realloc(output->buffer, n);
    if (larger == NULL) {
        return PL_ERR_MEMORY;
    }
    output->buffer = larger;
    output->room = n;
    return PL_OK;
}

/* Whether a batch keeps its header whatever becomes of its records: the last one of all, which
 * tells how far this clean has come, and one without which a segment would be empty. */
static bool must_stay(const struct pl_clean *clean, const struct pl_scan *scan,
                      bool last_of_group) {
    const struct pl_clean_output *output = &clean->output;
    if (pl_batch_last_offset(&scan->header) + 1 == clean->end) {
        return true;
    }
    bool last = last_of_group && scan->next == scan->end;
    return last && output->segment->written + output->filled == 0;
}

static enum pl_err copy_segment(struct pl_clean *clean, int32_t i, bool last_of_group) {
    struct source source;
    enum pl_err err = open_source(clean, i, &source);
    if (err != PL_OK) {
        return err;
    }
    while ((err = pl_scan_next(&source.scan)) == PL_OK) {
        err = keep_pace(clean, pl_batch_size(&source.scan.header));
        if (err != PL_OK) {
            break;
        }
        err = pl_clean_batch(clean, &source.scan, must_stay(clean, &source.scan, last_of_group));
        if (err != PL_OK) {
            break;
        }
    }
    close_source(clean, &source);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err flush_file(const struct pl_fs *fs, const char *path) {
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_READ, &fd);
    if (err != PL_OK) {
        return err == PL_ERR_NOT_FOUND ? PL_OK : err;
    }
    err = fs->flush(fs->context, fd);
    (void)fs->close(fs->context, fd); /* was only flushed */
    return err;
}

/* All of its files are on the disk. */
static enum pl_err finish_output(struct pl_clean *clean) {
    struct pl_segment *segment = clean->output.segment;
    enum pl_err err = write_output(clean);
    bool created;
    if (err == PL_OK) {
        err = pl_segment_seal_indexes(segment, &created);
    }
    for (int kind = PL_FILE_LOG; kind < PL_FILE_SNAPSHOT && err == PL_OK; kind++) {
        char path[PL_PATH_BYTES];
        pl_segment_path(segment, (enum pl_file_kind)kind, path);
        err = flush_file(clean->store->fs, path);
    }
    segment->flushed = segment->written;
    segment->sealed = segment->settled = segment->indexes_loaded = true;
    clean->result.bytes_after += (int64_t)segment->written;
    return err;
}

/* From .cleaned to .swap, the .log file last: when that has its new name, all have. */
static enum pl_err ready_for_swap(struct pl_clean *clean, struct pl_segment *segment) {
    static const enum pl_file_kind order[] = {PL_FILE_OFFSET_INDEX, PL_FILE_TIME_INDEX,
                                              PL_FILE_TXN_INDEX, PL_FILE_LOG};
    const struct pl_store *store = clean->store;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        char from[PL_PATH_BYTES], to[PL_PATH_BYTES];
        pl_file_path(from, store->folder, segment->base_offset, order[i], PL_PHASE_CLEANED);
        pl_file_path(to, store->folder, segment->base_offset, order[i], PL_PHASE_SWAP);
        enum pl_err err = store->fs->rename(store->fs->context, from, to);
        if (err != PL_OK && (err != PL_ERR_NOT_FOUND || order[i] == PL_FILE_LOG)) {
            return err;
        }
    }
    segment->phase = PL_PHASE_SWAP;
    return store->fs->flush_directory(store->fs->context, store->folder);
}

static enum pl_err clean_group(struct pl_clean *clean, struct pl_clean_group *group) {
    enum pl_err err =
        pl_segment_create(clean->store, clean->sources[group->from]->base_offset, &group->cleaned);
    if (err != PL_OK) {
        return err;
    }
    clean->output.segment = group->cleaned;
    clean->output.filled = 0;
    clean->output.flushed = 0;
    group->cleaned->phase = PL_PHASE_CLEANED;
    bool created;
    err = pl_segment_open_file(group->cleaned, &created);
    for (int32_t i = group->from; i < group->to && err == PL_OK; i++) {
        err = copy_segment(clean, i, i + 1 == group->to);
    }
    if (err == PL_OK) {
        err = finish_output(clean);
    }
    return err == PL_OK ? ready_for_swap(clean, group->cleaned) : err;
}

/* ---- the whole ---- */

static enum pl_err prepare(struct pl_clean *clean) {
    struct pl_batch_options options = pl_batch_options_default();
    size_t half = clean->limits.io_bytes / 2;
    clean->block_room = clean->output.room = half > LEAST_IO_BYTES ? half : LEAST_IO_BYTES;
    clean->block = malloc(clean->block_room);
    clean->output.buffer = malloc(clean->output.room);
    if (clean->block == NULL || clean->output.buffer == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = pl_codec_create(PL_MAX_BATCH_BYTES, &clean->codec);
    if (err == PL_OK) {
        err = pl_batch_builder_create(&options, &clean->builder);
    }
    return err != PL_OK ? err
                        : pl_clean_map_init(&clean->map, clean->limits.map_bytes,
                                            clean->limits.map_load);
}

void pl_clean_run(struct pl_clean *clean) {
    uint64_t began_ns = now_ns(clean);
    enum pl_err err = prepare(clean);
    if (err == PL_OK) {
        err = build_map(clean);
    }
    pl_clean_txns_begin(&clean->txns, clean->aborted, clean->aborted_count,
                        clean->sources[0]->base_offset);
    for (int32_t i = 0; i < clean->group_count && err == PL_OK; i++) {
        if (clean->sources[clean->groups[i].from]->base_offset >= clean->mapped_end) {
            break;
        }
        err = clean_group(clean, &clean->groups[i]);
    }
    clean->result.cleaned_end = clean->mapped_end;
    clean->result.busy_ns = now_ns(clean) - began_ns;
    clean->err = err;
}

void pl_clean_cancel(struct pl_clean *clean) {
    atomic_store_explicit(&clean->cancelled, true, memory_order_relaxed);
}
