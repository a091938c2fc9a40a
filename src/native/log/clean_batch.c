/* What compaction leaves of a batch (KIP-58, KIP-534).
 *
 * A record stays when no later one has its key; a tombstone stays until its delete horizon, which
 * the first clean that meets it writes into the batch (now + delete.retention.ms); records of
 * aborted transactions go. A marker goes delete.retention.ms after the last batch of its
 * transaction has gone. The last batch of a live producer keeps its header. Offsets never change.
 */
#include <stdlib.h>
#include <string.h>

#include "log/clean.h"

enum fate { KEEP_AS_IS, KEEP_SOME, KEEP_HEADER, DROP };

struct verdict {
    enum fate fate;
    bool set_horizon; /* it holds a tombstone, or it is the marker of an empty transaction */
    int32_t kept;     /* records */
};

static int compare_producers(const void *a, const void *b) {
    const struct pl_clean_producer *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static bool is_last_of_producer(const struct pl_clean *clean,
                                const struct pl_batch_header *header) {
    if (header->producer_id < 0 || clean->producer_count == 0) {
        return false;
    }
    struct pl_clean_producer key = {.id = header->producer_id};
    const struct pl_clean_producer *producer =
        bsearch(&key, clean->producers, clean->producer_count, sizeof key, compare_producers);
    if (producer == NULL) {
        return false;
    }
    if (producer->last_offset >= 0) {
        return producer->last_offset == pl_batch_last_offset(header);
    }
    return pl_batch_is(header, PL_BATCH_CONTROL) && producer->epoch == header->producer_epoch;
}

static bool horizon_passed(const struct pl_clean *clean, const struct pl_batch_header *header) {
    return pl_batch_is(header, PL_BATCH_DELETE_HORIZON) && header->base_timestamp <= clean->now_ms;
}

static bool record_stays(const struct pl_clean *clean, const struct pl_batch_header *header,
                         const struct pl_record *record, const uint64_t hash[2]) {
    int64_t offset = header->base_offset + record->offset_delta;
    if (offset >= clean->mapped_end) {
        return true;
    }
    if (record->key.length < 0) {
        return false; /* from before the topic was compacted: nothing to keep it by */
    }
    if (offset < pl_clean_map_get(&clean->map, hash)) {
        return false;
    }
    return record->value.length >= 0 || !horizon_passed(clean, header);
}

static enum pl_err reserve_stays(struct pl_clean *clean, int32_t records) {
    if (clean->stays_room >= (size_t)records) {
        return PL_OK;
    }
    bool *larger = realloc(clean->stays, (size_t)records * sizeof *larger);
    if (larger == NULL) {
        return PL_ERR_MEMORY;
    }
    clean->stays = larger;
    clean->stays_room = (size_t)records;
    return PL_OK;
}

/* The reader gives at most as many records as the header counts. */
static enum pl_err judge_records(struct pl_clean *clean, const struct pl_batch *batch,
                                 struct verdict *verdict) {
    const struct pl_batch_header *header = &batch->header;
    struct pl_record_reader reader;
    enum pl_err err = reserve_stays(clean, header->records_count);
    if (err == PL_OK) {
        err = pl_batch_open_records(clean->codec, batch, &reader);
    }
    if (err != PL_OK) {
        return err;
    }
    bool tombstone = false;
    bool *stays = clean->stays;
    const struct pl_clean_ahead *ahead = &clean->ahead;
    while (pl_clean_look_ahead(clean, &reader)) {
        for (size_t i = 0; i < ahead->count; i++) {
            const struct pl_record *record = &ahead->records[i];
            *stays = record_stays(clean, header, record, ahead->hashes[i]);
            verdict->kept += *stays ? 1 : 0;
            tombstone = tombstone || (*stays && record->value.length < 0);
            stays++;
        }
    }
    bool whole = verdict->kept == header->records_count;
    verdict->fate = verdict->kept == 0 ? DROP : whole ? KEEP_AS_IS : KEEP_SOME;
    verdict->set_horizon = tombstone && !pl_batch_is(header, PL_BATCH_DELETE_HORIZON);
    return reader.cursor.err;
}

static enum pl_err judge_marker(struct pl_clean *clean, const struct pl_batch *batch,
                                struct verdict *verdict) {
    const struct pl_batch_header *header = &batch->header;
    struct pl_txn_marker marker;
    enum pl_err err = pl_txn_marker_parse(batch->bytes, header, &marker);
    if (err != PL_OK) {
        return err;
    }
    if (!marker.is_marker) { /* emptied by an earlier clean, or another control record */
        verdict->fate = header->records_count == 0 ? DROP : KEEP_AS_IS;
        return PL_OK;
    }
    struct pl_clean_marker met;
    err = pl_clean_txns_marker(&clean->txns, header, &marker, &met);
    if (err == PL_OK && met.is_aborted) {
        err = pl_segment_add_aborted(clean->output.segment, &met.entry);
    }
    verdict->kept = 1;
    verdict->fate = met.is_empty && horizon_passed(clean, header) ? DROP : KEEP_AS_IS;
    verdict->set_horizon = met.is_empty && !pl_batch_is(header, PL_BATCH_DELETE_HORIZON);
    return err;
}

static enum pl_err judge(struct pl_clean *clean, const struct pl_batch *batch, bool must_stay,
                         struct verdict *verdict) {
    *verdict = (struct verdict){.fate = DROP};
    enum pl_err err;
    if (pl_batch_is(&batch->header, PL_BATCH_CONTROL)) {
        err = judge_marker(clean, batch, verdict);
    } else {
        bool aborted;
        err = pl_clean_txns_batch(&clean->txns, &batch->header, &aborted);
        if (err == PL_OK && !aborted) {
            err = judge_records(clean, batch, verdict);
        }
    }
    if (verdict->fate == DROP && (must_stay || is_last_of_producer(clean, &batch->header))) {
        verdict->fate = batch->header.records_count == 0 ? KEEP_AS_IS : KEEP_HEADER;
    }
    verdict->set_horizon =
        verdict->set_horizon && verdict->fate != DROP && verdict->fate != KEEP_HEADER;
    return err;
}

/* ---- building what is left ---- */

static struct pl_batch_options options_of(const struct pl_clean *clean,
                                          const struct pl_batch_header *header,
                                          const struct verdict *verdict) {
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = pl_batch_compression(header);
    options.base_offset = header->base_offset;
    options.partition_leader_epoch = header->partition_leader_epoch;
    options.producer_id = header->producer_id;
    options.producer_epoch = header->producer_epoch;
    options.base_sequence = header->base_sequence;
    options.transactional = pl_batch_is(header, PL_BATCH_TRANSACTIONAL);
    options.control = pl_batch_is(header, PL_BATCH_CONTROL);
    options.last_offset_delta = header->last_offset_delta;
    if (pl_batch_is(header, PL_BATCH_APPEND_TIME)) {
        options.append_time_ms = header->max_timestamp;
    }
    if (verdict->set_horizon) {
        options.delete_horizon_ms = clean->now_ms + clean->config.delete_retention_ms;
    } else if (verdict->fate != KEEP_HEADER && pl_batch_is(header, PL_BATCH_DELETE_HORIZON)) {
        options.delete_horizon_ms = header->base_timestamp;
    }
    return options;
}

static enum pl_err copy_kept(struct pl_clean *clean, const struct pl_batch *batch) {
    bool control = pl_batch_is(&batch->header, PL_BATCH_CONTROL);
    struct pl_record_reader reader;
    enum pl_err err = pl_batch_open_records(clean->codec, batch, &reader);
    struct pl_record record;
    const bool *stays = clean->stays;
    while (err == PL_OK && pl_record_reader_next(&reader, &record)) {
        if (control || *stays++) {
            err = pl_batch_builder_copy(clean->builder,
                                        pl_record_timestamp(&batch->header, &record), &record);
        }
    }
    return err != PL_OK ? err : reader.cursor.err;
}

static enum pl_err rebuild(struct pl_clean *clean, const struct pl_batch *batch,
                           const struct verdict *verdict, const uint8_t **bytes, size_t *n) {
    struct pl_batch_options options = options_of(clean, &batch->header, verdict);
    pl_batch_builder_reset(clean->builder, &options);
    enum pl_err err = verdict->fate == KEEP_HEADER ? PL_OK : copy_kept(clean, batch);
    if (err != PL_OK) {
        return err;
    }
    return pl_batch_builder_build(clean->builder, clean->codec, bytes, n);
}

static enum pl_err put_out(struct pl_clean *clean, const uint8_t *bytes, size_t n,
                           const struct pl_batch_header *original) {
    struct pl_clean_output *output = &clean->output;
    enum pl_err err = pl_clean_output_reserve(clean, n);
    if (err == PL_OK) {
        err = pl_segment_reserve(output->segment);
    }
    if (err != PL_OK) {
        return err;
    }
    uint8_t *to = output->buffer + output->filled;
    memcpy(to, bytes, n);
    struct pl_batch_header header;
    err = pl_batch_header_parse(to, n, &header);
    if (err != PL_OK) {
        return err;
    }
    if (header.records_count == 0 && header.max_timestamp != original->max_timestamp) {
        pl_batch_set_max_timestamp(to, original->max_timestamp);
        header.max_timestamp = original->max_timestamp;
    }
    pl_segment_add_batch(output->segment, &header, clean->config.index_interval_bytes);
    output->filled += n;
    return PL_OK;
}

enum pl_err pl_clean_batch(struct pl_clean *clean, struct pl_scan *scan, bool must_stay) {
    uint8_t *bytes;
    enum pl_err err = pl_scan_bytes(scan, &bytes);
    if (err != PL_OK) {
        return err;
    }
    size_t n = pl_batch_size(&scan->header);
    struct pl_batch batch = {.bytes = bytes, .size = n};
    err = pl_batch_check(bytes, n, PL_BATCH_FROM_LOG, &batch.header, NULL);
    struct verdict verdict;
    if (err == PL_OK) {
        err = judge(clean, &batch, must_stay, &verdict);
    }
    if (err != PL_OK) {
        return err == PL_ERR_INVALID ? PL_ERR_CORRUPT : err;
    }
    clean->result.records_before += batch.header.records_count;
    const uint8_t *left = bytes;
    if (verdict.fate == DROP) {
        return PL_OK;
    }
    if (verdict.fate != KEEP_AS_IS || verdict.set_horizon) {
        err = rebuild(clean, &batch, &verdict, &left, &n);
    }
    clean->result.records_after += verdict.fate == KEEP_HEADER ? 0 : verdict.kept;
    return err == PL_OK ? put_out(clean, left, n, &batch.header) : err;
}
