#include "log/segment_index.h"

#include "base/bytes.h"

/* ---- entries as bytes ---- */

static int64_t offset_entry_offset(const uint8_t *entry) {
    return pl_get_u32(entry);
}

static uint64_t offset_entry_position(const uint8_t *entry) {
    return pl_get_u32(entry + 4);
}

static int64_t time_entry_timestamp(const uint8_t *entry) {
    return pl_get_i64(entry);
}

static int64_t time_entry_offset(const uint8_t *entry) {
    return pl_get_u32(entry + 8);
}

static bool offset_at_most(const uint8_t *entry, int64_t relative) {
    return offset_entry_offset(entry) <= relative;
}

static bool offset_below(const uint8_t *entry, int64_t relative) {
    return offset_entry_offset(entry) < relative;
}

static bool position_at_most(const uint8_t *entry, int64_t position) {
    return (int64_t)offset_entry_position(entry) <= position;
}

static bool time_below(const uint8_t *entry, int64_t timestamp_ms) {
    return time_entry_timestamp(entry) < timestamp_ms;
}

static bool time_offset_below(const uint8_t *entry, int64_t relative) {
    return time_entry_offset(entry) < relative;
}

static bool txn_last_below(const uint8_t *entry, int64_t offset) {
    return pl_get_i64(entry + 18) < offset;
}

/* ---- adding ---- */

enum pl_err pl_segment_reserve(struct pl_segment *segment) {
    enum pl_err err = pl_entry_file_reserve(&segment->offsets);
    return err != PL_OK ? err : pl_entry_file_reserve(&segment->times);
}

static void add_offset(struct pl_segment *segment, int64_t last_offset, uint64_t position) {
    uint8_t entry[PL_OFFSET_ENTRY_BYTES];
    pl_put_u32(entry, (uint32_t)(last_offset - segment->base_offset));
    pl_put_u32(entry + 4, (uint32_t)position);
    pl_entry_file_add(&segment->offsets, entry);
    segment->tail.indexed_position = position;
}

static void add_time(struct pl_segment *segment) {
    struct pl_segment_tail *tail = &segment->tail;
    if (tail->max_timestamp_ms <= tail->last_time_entry_ms) {
        return;
    }
    uint8_t entry[PL_TIME_ENTRY_BYTES];
    pl_put_u64(entry, (uint64_t)tail->max_timestamp_ms);
    pl_put_u32(entry + 8, (uint32_t)(tail->max_timestamp_offset - segment->base_offset));
    pl_entry_file_add(&segment->times, entry);
    tail->last_time_entry_ms = tail->max_timestamp_ms;
}

void pl_segment_add_batch(struct pl_segment *segment, const struct pl_batch_header *header,
                          int64_t index_interval_bytes) {
    struct pl_segment_tail *tail = &segment->tail;
    int64_t last_offset = pl_batch_last_offset(header);
    if (tail->size == 0) {
        tail->first_timestamp_ms = header->max_timestamp;
    }
    if (header->max_timestamp > tail->max_timestamp_ms) {
        tail->max_timestamp_ms = header->max_timestamp;
        tail->max_timestamp_offset = last_offset;
    }
    if ((int64_t)(tail->size - tail->indexed_position) > index_interval_bytes) {
        add_offset(segment, last_offset, tail->size);
        add_time(segment);
    }
    tail->size += pl_batch_size(header);
}

enum pl_err pl_segment_add_aborted(struct pl_segment *segment, const struct pl_txn_entry *entry) {
    enum pl_err err = pl_entry_file_reserve(&segment->txns);
    if (err != PL_OK) {
        return err;
    }
    uint8_t bytes[PL_TXN_ENTRY_BYTES];
    pl_put_u16(bytes, 0); /* version */
    pl_put_u64(bytes + 2, (uint64_t)entry->producer_id);
    pl_put_u64(bytes + 10, (uint64_t)entry->first_offset);
    pl_put_u64(bytes + 18, (uint64_t)entry->last_offset);
    pl_put_u64(bytes + 26, (uint64_t)entry->last_stable_offset);
    pl_entry_file_add(&segment->txns, bytes);
    return PL_OK;
}

enum pl_err pl_segment_read_aborted(struct pl_entry_reader *reader, uint32_t i,
                                    struct pl_txn_entry *entry) {
    uint8_t bytes[PL_TXN_ENTRY_BYTES];
    enum pl_err err = pl_entry_read(reader, i, 1, bytes);
    if (err != PL_OK) {
        return err;
    }
    if (pl_get_u16(bytes) != 0) {
        return PL_ERR_CORRUPT;
    }
    entry->producer_id = pl_get_i64(bytes + 2);
    entry->first_offset = pl_get_i64(bytes + 10);
    entry->last_offset = pl_get_i64(bytes + 18);
    entry->last_stable_offset = pl_get_i64(bytes + 26);
    return PL_OK;
}

bool pl_segment_index_full(const struct pl_segment *segment, int64_t segment_index_bytes) {
    int64_t offset_room = segment_index_bytes / PL_OFFSET_ENTRY_BYTES;
    int64_t time_room = segment_index_bytes / PL_TIME_ENTRY_BYTES - 1; /* one when sealed */
    return pl_entry_file_count(&segment->offsets) >= offset_room ||
           pl_entry_file_count(&segment->times) >= time_room;
}

/* ---- files ---- */

static enum pl_err spill_one(struct pl_segment *segment, struct pl_entry_file *file,
                             enum pl_file_kind kind, uint32_t count, bool *created) {
    char path[PL_PATH_BYTES];
    bool made = false;
    pl_segment_path(segment, kind, path);
    enum pl_err err = pl_entry_file_spill(file, segment->store->fs, path, count, &made);
    *created = *created || made;
    return err;
}

enum pl_err pl_segment_spill(struct pl_segment *segment, const struct pl_segment_tail *until,
                             bool *created) {
    *created = false;
    struct pl_segment_tail all = pl_segment_mark(segment);
    until = until == NULL ? &all : until;
    enum pl_err err = spill_one(segment, &segment->offsets, PL_FILE_OFFSET_INDEX,
                                until->offset_entries, created);
    if (err == PL_OK) {
        err = spill_one(segment, &segment->times, PL_FILE_TIME_INDEX, until->time_entries, created);
    }
    if (err == PL_OK) {
        err = spill_one(segment, &segment->txns, PL_FILE_TXN_INDEX, until->txn_entries, created);
    }
    return err;
}

bool pl_segment_spill_due(const struct pl_segment *segment) {
    return pl_entry_file_full(&segment->offsets) || pl_entry_file_full(&segment->times) ||
           pl_entry_file_full(&segment->txns);
}

/* Kafka's tools look for an offset index beside every time index, be it empty. */
static enum pl_err make_empty_index(struct pl_segment *segment, bool *created) {
    const struct pl_fs *fs = segment->store->fs;
    char path[PL_PATH_BYTES];
    pl_segment_path(segment, PL_FILE_OFFSET_INDEX, path);
    int fd;
    enum pl_err err = fs->open(fs->context, path, PL_OPEN_TRUNCATE, &fd);
    if (err != PL_OK) {
        return err;
    }
    *created = true;
    return fs->close(fs->context, fd);
}

enum pl_err pl_segment_seal_indexes(struct pl_segment *segment, bool *created) {
    *created = false;
    enum pl_err err = pl_entry_file_reserve(&segment->times);
    if (err != PL_OK) {
        return err;
    }
    add_time(segment);
    err = pl_segment_spill(segment, NULL, created);
    if (err == PL_OK && pl_entry_file_count(&segment->offsets) == 0) {
        err = make_empty_index(segment, created);
    }
    return err;
}

enum pl_err pl_segment_load_indexes(struct pl_segment *segment) {
    if (segment->indexes_loaded) {
        return PL_OK;
    }
    const struct pl_fs *fs = segment->store->fs;
    char path[PL_PATH_BYTES];
    bool found;
    pl_segment_path(segment, PL_FILE_OFFSET_INDEX, path);
    enum pl_err err = pl_entry_file_load(&segment->offsets, fs, path, &found);
    if (err != PL_OK) {
        return err;
    }
    pl_segment_path(segment, PL_FILE_TIME_INDEX, path);
    err = pl_entry_file_load(&segment->times, fs, path, &found);
    if (err != PL_OK) {
        return err;
    }
    /* Every segment that was closed in order has at least the last time index entry, unless its
     * records have no time; then a rebuild finds nothing either, and costs one walk. */
    if (!found && segment->written > 0) {
        return PL_ERR_CORRUPT;
    }
    /* All time entries but the last come with an offset entry. */
    if (segment->times.written > 1 && segment->offsets.written == 0) {
        return PL_ERR_CORRUPT;
    }
    segment->indexes_loaded = true;
    return PL_OK;
}

static enum pl_err last_time_entry(struct pl_segment *segment, struct pl_time_entry *entry) {
    return pl_segment_find_time(segment, INT64_MAX, entry);
}

enum pl_err pl_segment_max_timestamp(struct pl_segment *segment, int64_t *timestamp_ms) {
    struct pl_segment_tail *tail = &segment->tail;
    if (tail->max_timestamp_ms == PL_TIME_UNKNOWN) {
        struct pl_time_entry last;
        enum pl_err err = last_time_entry(segment, &last);
        if (err != PL_OK) {
            return err;
        }
        tail->max_timestamp_ms = last.timestamp_ms;
        tail->max_timestamp_offset = last.offset;
        tail->last_time_entry_ms = last.timestamp_ms;
    }
    *timestamp_ms = tail->max_timestamp_ms;
    return PL_OK;
}

/* ---- looking up ---- */

struct lookup { /* a reader with its path */
    struct pl_entry_reader reader;
    char path[PL_PATH_BYTES];
};

static enum pl_err lookup_open(struct lookup *lookup, struct pl_segment *segment,
                               const struct pl_entry_file *file, enum pl_file_kind kind) {
    enum pl_err err = pl_segment_load_indexes(segment);
    if (err != PL_OK) {
        return err;
    }
    pl_segment_path(segment, kind, lookup->path);
    pl_entry_reader_open(&lookup->reader, file, segment->store->fs, lookup->path);
    return PL_OK;
}

/* The last of the first `count` entries of the offset index; the start of the segment for none. */
static enum pl_err entry_before(struct pl_segment *segment, struct pl_entry_reader *reader,
                                uint32_t count, int64_t *relative, uint64_t *position) {
    *relative = -1;
    *position = 0;
    if (count == 0) {
        return PL_OK;
    }
    uint8_t entry[PL_OFFSET_ENTRY_BYTES];
    enum pl_err err = pl_entry_read(reader, count - 1, 1, entry);
    if (err != PL_OK) {
        return err;
    }
    *relative = offset_entry_offset(entry);
    *position = offset_entry_position(entry);
    return *position < segment->tail.size ? PL_OK : PL_ERR_CORRUPT;
}

enum pl_err pl_segment_find_offset(struct pl_segment *segment, int64_t offset, uint64_t *position) {
    struct lookup lookup;
    enum pl_err err = lookup_open(&lookup, segment, &segment->offsets, PL_FILE_OFFSET_INDEX);
    if (err != PL_OK) {
        return err;
    }
    uint32_t count = 0;
    int64_t relative;
    err = pl_entry_search(&segment->offsets, &lookup.reader, offset_at_most,
                          offset - segment->base_offset, &count);
    if (err == PL_OK) {
        err = entry_before(segment, &lookup.reader, count, &relative, position);
    }
    pl_entry_reader_close(&lookup.reader);
    return err;
}

enum pl_err pl_segment_find_position(struct pl_segment *segment, int64_t bound,
                                     uint64_t max_position, uint64_t *position) {
    struct lookup lookup;
    enum pl_err err = lookup_open(&lookup, segment, &segment->offsets, PL_FILE_OFFSET_INDEX);
    if (err != PL_OK) {
        return err;
    }
    uint32_t count = 0;
    int64_t relative = -1, bound_relative = bound - segment->base_offset;
    int64_t limit = max_position > INT64_MAX ? INT64_MAX : (int64_t)max_position;
    err = pl_entry_search(&segment->offsets, &lookup.reader, position_at_most, limit, &count);
    if (err == PL_OK) {
        err = entry_before(segment, &lookup.reader, count, &relative, position);
    }
    if (err == PL_OK && relative >= bound_relative) { /* the bound comes first: seldom */
        err = pl_entry_search(&segment->offsets, &lookup.reader, offset_below, bound_relative,
                              &count);
        if (err == PL_OK) {
            err = entry_before(segment, &lookup.reader, count, &relative, position);
        }
    }
    pl_entry_reader_close(&lookup.reader);
    return err;
}

static enum pl_err find_time_entry(struct pl_segment *segment,
                                   bool (*before)(const uint8_t *entry, int64_t argument),
                                   int64_t argument, struct pl_time_entry *entry) {
    struct lookup lookup;
    enum pl_err err = lookup_open(&lookup, segment, &segment->times, PL_FILE_TIME_INDEX);
    if (err != PL_OK) {
        return err;
    }
    entry->timestamp_ms = PL_TIME_NONE;
    entry->offset = segment->base_offset;
    uint32_t count = 0;
    err = pl_entry_search(&segment->times, &lookup.reader, before, argument, &count);
    if (err == PL_OK && count > 0) {
        uint8_t bytes[PL_TIME_ENTRY_BYTES];
        err = pl_entry_read(&lookup.reader, count - 1, 1, bytes);
        if (err == PL_OK) {
            entry->timestamp_ms = time_entry_timestamp(bytes);
            entry->offset = segment->base_offset + time_entry_offset(bytes);
        }
    }
    pl_entry_reader_close(&lookup.reader);
    return err;
}

enum pl_err pl_segment_find_time(struct pl_segment *segment, int64_t timestamp_ms,
                                 struct pl_time_entry *entry) {
    return find_time_entry(segment, time_below, timestamp_ms, entry);
}

enum pl_err pl_segment_find_time_below(struct pl_segment *segment, int64_t bound,
                                       struct pl_time_entry *entry) {
    return find_time_entry(segment, time_offset_below, bound - segment->base_offset, entry);
}

/* ---- cutting ---- */

static enum pl_err cut_one(struct pl_segment *segment, struct pl_entry_file *file,
                           enum pl_file_kind kind,
                           bool (*before)(const uint8_t *entry, int64_t argument),
                           int64_t argument) {
    char path[PL_PATH_BYTES];
    pl_segment_path(segment, kind, path);
    struct pl_entry_reader reader;
    pl_entry_reader_open(&reader, file, segment->store->fs, path);
    uint32_t count = 0;
    enum pl_err err = pl_entry_search(file, &reader, before, argument, &count);
    pl_entry_reader_close(&reader);
    if (err != PL_OK) {
        return err;
    }
    return pl_entry_file_cut(file, segment->store->fs, path, count);
}

enum pl_err pl_segment_cut_indexes(struct pl_segment *segment, int64_t offset) {
    enum pl_err err = pl_segment_load_indexes(segment);
    if (err != PL_OK) {
        return err;
    }
    int64_t relative = offset - segment->base_offset;
    err = cut_one(segment, &segment->offsets, PL_FILE_OFFSET_INDEX, offset_below, relative);
    if (err == PL_OK) {
        err = cut_one(segment, &segment->times, PL_FILE_TIME_INDEX, time_offset_below, relative);
    }
    if (err == PL_OK) {
        err = cut_one(segment, &segment->txns, PL_FILE_TXN_INDEX, txn_last_below, offset);
    }
    if (err == PL_OK) {
        err = pl_segment_find_offset(segment, INT64_MAX, &segment->tail.indexed_position);
    }
    struct pl_time_entry last = {.timestamp_ms = PL_TIME_NONE};
    if (err == PL_OK) {
        err = last_time_entry(segment, &last);
    }
    segment->tail.last_time_entry_ms = last.timestamp_ms;
    return err;
}

enum pl_err pl_segment_clear_indexes(struct pl_segment *segment, bool txns_too) {
    struct pl_entry_file *files[] = {&segment->offsets, &segment->times, &segment->txns};
    static const enum pl_file_kind kinds[] = {PL_FILE_OFFSET_INDEX, PL_FILE_TIME_INDEX,
                                              PL_FILE_TXN_INDEX};
    const struct pl_fs *fs = segment->store->fs;
    for (int i = 0; i < (txns_too ? 3 : 2); i++) {
        char path[PL_PATH_BYTES];
        pl_segment_path(segment, kinds[i], path);
        pl_entry_file_clear(files[i]);
        enum pl_err err = fs->unlink(fs->context, path);
        if (err != PL_OK && err != PL_ERR_NOT_FOUND) {
            return err;
        }
    }
    segment->tail.indexed_position = 0;
    segment->tail.last_time_entry_ms = PL_TIME_NONE;
    segment->indexes_loaded = true;
    return PL_OK;
}
