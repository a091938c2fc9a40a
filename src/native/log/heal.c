/* Damaged or missing offset and time indexes of a sealed segment are written anew, in front of
 * whoever needed them. The batches were checked when they were stored: headers will do. */
#include "log/log_state.h"
#include "log/scan.h"

static enum pl_err add_batches(struct pl_log *log, struct pl_segment *segment) {
    uint8_t buffer[PL_SCAN_SMALL_BYTES];
    struct pl_scan scan;
    pl_scan_open(&scan, log->fs, segment->fd, 0, segment->written, buffer, sizeof buffer);
    enum pl_err err;
    while ((err = pl_scan_next(&scan)) == PL_OK) {
        if (pl_batch_last_offset(&scan.header) - segment->base_offset > INT32_MAX) {
            err = PL_ERR_CORRUPT;
        }
        if (err == PL_OK) {
            err = pl_segment_reserve(segment);
        }
        if (err != PL_OK) {
            break;
        }
        pl_segment_add_batch(segment, &scan.header, log->config.index_interval_bytes);
    }
    pl_scan_close(&scan);
    return err == PL_ERR_NOT_FOUND ? PL_OK : err;
}

enum pl_err pl_log_heal(struct pl_log *log, struct pl_segment *segment) {
    if (!segment->sealed) {
        return PL_ERR_CORRUPT; /* what is staged is nowhere else */
    }
    enum pl_err err = pl_log_open_file(log, segment);
    if (err == PL_OK) {
        err = pl_segment_clear_indexes(segment, false);
    }
    if (err != PL_OK) {
        return err;
    }
    segment->tail.size = 0;
    segment->tail.max_timestamp_ms = PL_TIME_NONE;
    segment->tail.max_timestamp_offset = segment->base_offset;
    err = add_batches(log, segment);
    segment->tail.size = segment->written;
    if (err != PL_OK) {
        return err;
    }
    bool created = false;
    err = pl_segment_seal_indexes(segment, &created);
    log->folder_changed = log->folder_changed || created;
    return err == PL_ERR_NO_SPACE ? PL_OK : err; /* in memory they serve as well */
}

enum pl_err pl_log_first_time(struct pl_log *log, struct pl_segment *segment,
                              int64_t *timestamp_ms) {
    enum pl_err err = PL_OK;
    if (segment->tail.first_timestamp_ms == PL_TIME_UNKNOWN && segment->written > 0) {
        err = pl_log_open_file(log, segment);
        if (err != PL_OK) {
            return err;
        }
        uint8_t buffer[PL_BATCH_HEADER_BYTES];
        struct pl_scan scan;
        pl_scan_open(&scan, log->fs, segment->fd, 0, segment->written, buffer, sizeof buffer);
        err = pl_scan_next(&scan);
        if (err == PL_OK) {
            segment->tail.first_timestamp_ms = scan.header.max_timestamp;
        }
        pl_scan_close(&scan);
    }
    *timestamp_ms = segment->tail.first_timestamp_ms;
    return err;
}

enum pl_err pl_log_highest_time(struct pl_log *log, struct pl_segment *segment,
                                int64_t *timestamp_ms) {
    enum pl_err err = pl_segment_max_timestamp(segment, timestamp_ms);
    if (err != PL_ERR_CORRUPT) {
        return err;
    }
    err = pl_log_heal(log, segment);
    return err == PL_OK ? pl_segment_max_timestamp(segment, timestamp_ms) : err;
}
