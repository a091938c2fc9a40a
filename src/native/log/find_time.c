/* From times to offsets (ListOffsets; KIP-79, KIP-734). The index says where to look under the
 * log's lock; batches are read and decompressed without it. */
#include "base/limits.h"
#include "log/log_state.h"
#include "log/scan.h"

/* Batches of one segment to be looked through, taken under the lock. */
struct stretch {
    struct pl_segment *segment; /* one reference; NULL: none */
    int fd;
    uint64_t from, to;
    int64_t log_start;
    int64_t next_base; /* where the next segment begins; -1: this is the last one */
};

static enum pl_err take_stretch(struct pl_log *log, int32_t i, int64_t from_offset,
                                struct stretch *stretch) {
    struct pl_segment *segment = log->segments[i];
    int64_t base_offset;
    enum pl_err err = pl_log_find_batch(log, i, from_offset, &stretch->from, &base_offset);
    if (err == PL_OK) {
        err = pl_log_open_file(log, segment);
    }
    if (err != PL_OK) {
        return err;
    }
    pl_segment_retain(segment);
    stretch->segment = segment;
    stretch->fd = segment->fd;
    stretch->to = segment->written;
    return PL_OK;
}

/* The first segment from offset `base` on that has a record at or after the time. */
static enum pl_err next_stretch(struct pl_log *log, int64_t base, int64_t timestamp_ms,
                                struct stretch *stretch) {
    *stretch = (struct stretch){.log_start = log->log_start, .next_base = -1};
    int64_t from = base > log->log_start ? base : log->log_start;
    int32_t i = pl_log_floor(log, from);
    for (i = i < 0 ? 0 : i; i < log->segment_count; i++) {
        struct pl_segment *segment = log->segments[i];
        int64_t highest_ms;
        enum pl_err err = pl_log_highest_time(log, segment, &highest_ms);
        if (err != PL_OK) {
            return err;
        }
        if (highest_ms < timestamp_ms) {
            continue;
        }
        if (i + 1 < log->segment_count) {
            stretch->next_base = log->segments[i + 1]->base_offset;
        }
        struct pl_time_entry entry;
        err = pl_segment_find_time(segment, timestamp_ms, &entry);
        if (err != PL_OK) {
            return err;
        }
        return take_stretch(log, i, entry.offset > from ? entry.offset : from, stretch);
    }
    return PL_OK;
}

/* What a batch is asked for. */
struct question {
    int64_t timestamp_ms;
    int64_t from_offset, bound;
};

static enum pl_err search_records(struct pl_scan *scan, struct pl_codec *codec,
                                  const struct question *question, struct pl_time_offset *found) {
    uint8_t *bytes;
    enum pl_err err = pl_scan_bytes(scan, &bytes);
    if (err != PL_OK) {
        return err;
    }
    const struct pl_batch_header *header = &scan->header;
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    struct pl_record_reader reader;
    err = pl_batch_open_records(codec, &batch, &reader);
    if (err != PL_OK) {
        return err;
    }
    struct pl_record record;
    while (pl_record_reader_next(&reader, &record)) {
        int64_t offset = header->base_offset + record.offset_delta;
        int64_t timestamp_ms = pl_record_timestamp(header, &record);
        if (offset >= question->bound) {
            return PL_OK;
        }
        if (timestamp_ms < question->timestamp_ms || offset < question->from_offset) {
            continue;
        }
        *found = (struct pl_time_offset){offset, timestamp_ms, header->partition_leader_epoch};
        return PL_OK;
    }
    return reader.cursor.err;
}

static enum pl_err search_stretch(const struct stretch *stretch, const struct pl_fs *fs,
                                  struct pl_codec *codec, const struct question *question,
                                  struct pl_time_offset *found) {
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, fs, stretch->fd, stretch->from, stretch->to, buffer, sizeof buffer);
    enum pl_err err = PL_OK;
    while (err == PL_OK && found->offset < 0 && (err = pl_scan_next(&scan)) == PL_OK) {
        if (scan.header.base_offset >= question->bound) {
            break;
        }
        if (scan.header.max_timestamp >= question->timestamp_ms) {
            err = search_records(&scan, codec, question, found);
        }
    }
    pl_scan_close(&scan);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err find_with(struct pl_log *log, const struct pl_lock *lock, struct pl_codec *codec,
                             int64_t timestamp_ms, int64_t bound, struct pl_time_offset *found) {
    for (int64_t base = 0; base >= 0 && base < bound && found->offset < 0;) {
        struct stretch stretch;
        lock->lock(lock->owner);
        const struct pl_fs *fs = log->fs;
        enum pl_err err = next_stretch(log, base, timestamp_ms, &stretch);
        lock->unlock(lock->owner);
        if (err != PL_OK || stretch.segment == NULL) {
            return err;
        }
        struct question question = {timestamp_ms, stretch.log_start, bound};
        err = search_stretch(&stretch, fs, codec, &question, found);
        pl_segment_release(stretch.segment);
        if (err != PL_OK) {
            return err;
        }
        base = stretch.next_base;
    }
    return PL_OK;
}

enum pl_err pl_log_find_time(struct pl_log *log, const struct pl_lock *lock, int64_t timestamp_ms,
                             int64_t bound, struct pl_time_offset *found) {
    *found = (struct pl_time_offset){-1, -1, -1};
    struct pl_codec *codec;
    enum pl_err err = pl_codec_create(PL_MAX_BATCH_BYTES, &codec);
    if (err != PL_OK) {
        return err;
    }
    err = find_with(log, lock, codec, timestamp_ms, bound, found);
    pl_codec_destroy(codec);
    return err;
}

/* ---- the highest time ---- */

struct peak {
    int32_t i; /* of the segment, -1: no record has a time */
    int64_t timestamp_ms;
    int64_t offset; /* last offset of the batch */
};

static void raise_peak(struct peak *peak, int32_t i, int64_t timestamp_ms, int64_t offset) {
    if (timestamp_ms >= 0 && timestamp_ms > peak->timestamp_ms) {
        *peak = (struct peak){i, timestamp_ms, offset};
    }
}

/* Of the batches of segment i that end below the bound. */
static enum pl_err peak_below(struct pl_log *log, int32_t i, int64_t bound, struct peak *peak) {
    struct pl_segment *segment = log->segments[i];
    struct pl_time_entry entry;
    enum pl_err err = pl_segment_find_time_below(segment, bound, &entry);
    if (err != PL_OK) {
        return err;
    }
    raise_peak(peak, i, entry.timestamp_ms, entry.offset);
    uint64_t position;
    int64_t base_offset;
    err = pl_log_find_batch(log, i, entry.offset, &position, &base_offset);
    if (err != PL_OK || position >= segment->written) {
        return err;
    }
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, segment->fd, position, segment->written, buffer, sizeof buffer);
    while ((err = pl_scan_next(&scan)) == PL_OK && pl_batch_last_offset(&scan.header) < bound) {
        raise_peak(peak, i, scan.header.max_timestamp, pl_batch_last_offset(&scan.header));
    }
    pl_scan_close(&scan);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err find_peak(struct pl_log *log, int64_t bound, struct peak *peak) {
    int32_t first = pl_log_floor(log, log->log_start);
    for (int32_t i = first < 0 ? 0 : first; i < log->segment_count; i++) {
        struct pl_segment *segment = log->segments[i];
        if (segment->base_offset >= bound) {
            break;
        }
        int64_t highest_ms;
        enum pl_err err = pl_log_highest_time(log, segment, &highest_ms);
        if (err == PL_OK && pl_log_segment_end(log, i) <= bound) {
            raise_peak(peak, i, highest_ms, segment->tail.max_timestamp_offset);
        } else if (err == PL_OK) {
            err = peak_below(log, i, bound, peak);
        }
        if (err != PL_OK) {
            return err;
        }
    }
    return PL_OK;
}

static enum pl_err take_peak(struct pl_log *log, int64_t bound, struct peak *peak,
                             struct stretch *stretch) {
    *stretch = (struct stretch){.log_start = log->log_start, .next_base = -1};
    *peak = (struct peak){-1, -1, -1};
    enum pl_err err = find_peak(log, bound, peak);
    if (err != PL_OK || peak->i < 0) {
        return err;
    }
    return take_stretch(log, peak->i, peak->offset, stretch);
}

enum pl_err pl_log_find_max_time(struct pl_log *log, const struct pl_lock *lock, int64_t bound,
                                 struct pl_time_offset *found) {
    *found = (struct pl_time_offset){-1, -1, -1};
    struct peak peak;
    struct stretch stretch;
    lock->lock(lock->owner);
    const struct pl_fs *fs = log->fs;
    enum pl_err err = take_peak(log, bound, &peak, &stretch);
    lock->unlock(lock->owner);
    if (err != PL_OK || stretch.segment == NULL) {
        return err;
    }
    struct pl_codec *codec;
    err = pl_codec_create(PL_MAX_BATCH_BYTES, &codec);
    if (err == PL_OK) {
        struct question question = {peak.timestamp_ms, stretch.log_start, bound};
        err = search_stretch(&stretch, fs, codec, &question, found);
        pl_codec_destroy(codec);
    }
    pl_segment_release(stretch.segment);
    return err;
}
