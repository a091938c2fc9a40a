/* From offsets to slices of files. At the tail, and when a reader goes on where its last slice
 * ended, the answer comes from the remembered boundaries; else from the index and a short walk.
 */
#include <stddef.h>

#include "log/log_state.h"
#include "log/scan.h"

/* ---- boundaries ---- */

void pl_boundaries_clear(struct pl_boundaries *boundaries) {
    for (int i = 0; i < PL_BOUNDARIES; i++) {
        boundaries->entries[i].offset = -1;
    }
}

void pl_boundaries_add(struct pl_boundaries *boundaries, int64_t offset, uint64_t position) {
    boundaries->entries[boundaries->next++ % PL_BOUNDARIES] =
        (struct pl_boundary){.offset = offset, .position = position};
}

void pl_boundaries_cut(struct pl_boundaries *boundaries, int64_t offset) {
    for (int i = 0; i < PL_BOUNDARIES; i++) {
        if (boundaries->entries[i].offset >= offset) {
            boundaries->entries[i].offset = -1;
        }
    }
}

static const struct pl_boundary *recall(const struct pl_boundaries *boundaries, int64_t offset) {
    for (int i = 0; i < PL_BOUNDARIES; i++) {
        if (boundaries->entries[i].offset == offset) {
            return &boundaries->entries[i];
        }
    }
    return NULL;
}

/* The last boundary in [from, bound] that is not behind max_position. */
static const struct pl_boundary *recall_below(const struct pl_boundaries *boundaries, int64_t from,
                                              int64_t bound, uint64_t max_position) {
    const struct pl_boundary *best = NULL;
    for (int i = 0; i < PL_BOUNDARIES; i++) {
        const struct pl_boundary *one = &boundaries->entries[i];
        if (one->offset >= from && one->offset <= bound && one->position <= max_position &&
            (best == NULL || one->offset > best->offset)) {
            best = one;
        }
    }
    return best;
}

/* ---- where a slice begins ---- */

struct start {
    int32_t i; /* of the segment */
    uint64_t position;
    int64_t base_offset; /* of the batch there, at the least */
};

static enum pl_err index_offset(struct pl_log *log, struct pl_segment *segment, int64_t offset,
                                uint64_t *position) {
    enum pl_err err = pl_segment_find_offset(segment, offset, position);
    if (err == PL_ERR_CORRUPT) {
        err = pl_log_heal(log, segment);
        if (err == PL_OK) {
            err = pl_segment_find_offset(segment, offset, position);
        }
    }
    return err;
}

enum pl_err pl_log_find_batch(struct pl_log *log, int32_t i, int64_t offset, uint64_t *position,
                              int64_t *base_offset) {
    struct pl_segment *segment = log->segments[i];
    *base_offset = pl_log_segment_end(log, i);
    *position = segment->written;
    if (segment->written == 0) {
        return PL_OK;
    }
    uint64_t from;
    enum pl_err err = index_offset(log, segment, offset, &from);
    if (err == PL_OK) {
        err = pl_log_open_file(log, segment);
    }
    if (err != PL_OK) {
        return err;
    }
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, segment->fd, from, segment->written, buffer, sizeof buffer);
    while ((err = pl_scan_next(&scan)) == PL_OK) {
        if (pl_batch_last_offset(&scan.header) >= offset) {
            *position = scan.position;
            *base_offset = scan.header.base_offset;
            break;
        }
    }
    pl_scan_close(&scan);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err find_start(struct pl_log *log, int64_t offset, struct start *start) {
    start->i = pl_log_floor(log, offset);
    if (start->i < 0) {
        start->i = 0;
    }
    const struct pl_boundary *known = recall(&log->boundaries, offset);
    if (known != NULL) {
        start->position = known->position;
        start->base_offset = offset;
        return PL_OK;
    }
    for (;;) { /* compaction may have left nothing at the end of a segment */
        enum pl_err err =
            pl_log_find_batch(log, start->i, offset, &start->position, &start->base_offset);
        if (err != PL_OK || start->position < log->segments[start->i]->written ||
            start->i + 1 == log->segment_count) {
            return err;
        }
        start->i++;
    }
}

/* ---- where it ends ---- */

struct end {
    uint64_t position;
    int64_t offset;
};

/* Where the bytes below `bound` end, when that is known without reading: *end is set. */
static bool end_is_known(const struct pl_log *log, const struct start *start, int64_t bound,
                         struct end *end) {
    int64_t segment_end = pl_log_segment_end(log, start->i);
    if (bound >= segment_end) {
        *end = (struct end){log->segments[start->i]->written, segment_end};
        return true;
    }
    const struct pl_boundary *known = recall(&log->boundaries, bound);
    if (known != NULL) {
        *end = (struct end){known->position, bound};
    }
    return known != NULL;
}

/* Goes on from a known start of a batch (`from`) while whole batches fit. The first batch behind
 * `start` is taken whatever its size when `first_anyway`. PL_ERR_CORRUPT where offsets go back. */
static enum pl_err walk_to_end(struct pl_log *log, const struct start *start, struct end from,
                               int64_t bound, uint64_t max_position, bool first_anyway,
                               struct end *end) {
    struct pl_segment *segment = log->segments[start->i];
    enum pl_err err = pl_log_open_file(log, segment);
    if (err != PL_OK) {
        return err;
    }
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, segment->fd, from.position, segment->written, buffer,
                 sizeof buffer);
    *end = from;
    int64_t least = start->base_offset;
    while ((err = pl_scan_next(&scan)) == PL_OK) {
        if (scan.header.base_offset < least) {
            err = PL_ERR_CORRUPT;
            break;
        }
        end->offset = scan.header.base_offset;
        if (pl_batch_last_offset(&scan.header) >= bound) {
            break;
        }
        bool first = scan.position == start->position;
        if (scan.next > max_position && !(first && first_anyway)) {
            break;
        }
        end->position = scan.next;
        end->offset = least = pl_batch_last_offset(&scan.header) + 1;
    }
    pl_scan_close(&scan);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

static enum pl_err find_end(struct pl_log *log, const struct start *start, int64_t bound,
                            uint32_t max_bytes, bool at_least_one, struct end *end) {
    uint64_t max_position = start->position + max_bytes;
    if (end_is_known(log, start, bound, end) && end->position <= max_position) {
        return PL_OK;
    }
    struct pl_segment *segment = log->segments[start->i];
    struct end from = {start->position, start->base_offset};
    int64_t last = pl_log_segment_end(log, start->i) - 1;
    const struct pl_boundary *known = recall_below(&log->boundaries, start->base_offset,
                                                   bound < last ? bound : last, max_position);
    if (known != NULL && known->position > from.position) {
        from = (struct end){known->position, known->offset};
    }
    if (max_position - from.position > PL_SCAN_SMALL_BYTES) {
        uint64_t indexed;
        enum pl_err err = pl_segment_find_position(segment, bound, max_position, &indexed);
        if (err == PL_OK && indexed > from.position) {
            from = (struct end){indexed, bound}; /* the walk's first header tells the offset */
        } else if (err != PL_OK && err != PL_ERR_CORRUPT) {
            return err;
        }
    }
    return walk_to_end(log, start, from, bound, max_position, at_least_one, end);
}

enum pl_err pl_log_locate(struct pl_log *log, int64_t offset, int64_t bound, uint32_t max_bytes,
                          bool at_least_one, struct pl_slice *slice) {
    *slice = (struct pl_slice){.fd = -1, .first_offset = offset, .end_offset = offset};
    if (offset < log->log_start || offset > log->log_end) {
        return PL_ERR_OUT_OF_RANGE;
    }
    int64_t readable = log->offline ? log->flushed_end : log->written_end;
    if (bound > readable) {
        bound = readable;
    }
    if (offset >= bound || log->segment_count == 0) {
        return PL_OK;
    }
    struct start start;
    struct end end;
    enum pl_err err = find_start(log, offset, &start);
    if (err == PL_OK && start.base_offset >= bound) {
        return PL_OK;
    }
    if (err == PL_OK) {
        err = find_end(log, &start, bound, max_bytes, at_least_one, &end);
    }
    if (err != PL_OK) {
        return err;
    }
    struct pl_segment *segment = log->segments[start.i];
    if (end.position <= start.position) {
        return PL_OK;
    }
    err = pl_log_open_file(log, segment);
    if (err != PL_OK) {
        return err;
    }
    if (end.position < segment->written && recall(&log->boundaries, end.offset) == NULL) {
        pl_boundaries_add(&log->boundaries, end.offset, end.position);
    }
    pl_segment_retain(segment);
    *slice = (struct pl_slice){
        .segment = segment,
        .fd = segment->fd,
        .position = start.position,
        .length = (uint32_t)(end.position - start.position),
        .first_offset = start.base_offset,
        .end_offset = end.offset,
    };
    return PL_OK;
}
