/* The indexes of a segment.
 *
 * Offset index: (last offset of a batch, its position), one entry in about index.interval.bytes.
 * Time index: (highest timestamp so far, last offset of the batch that brought it), written with
 * an offset entry when the time has grown, and once more when the segment is sealed.
 * Transaction index: one entry an aborted transaction, in the segment of its marker.
 * Offsets are stored relative to the base offset, all integers big-endian, as Kafka does.
 *
 * PL_ERR_CORRUPT from a function here means that an index is damaged or missing: it can be had
 * anew by pl_segment_rebuild.
 */
#ifndef PYLOG_LOG_SEGMENT_INDEX_H
#define PYLOG_LOG_SEGMENT_INDEX_H

#include "log/segment.h"
#include "pylog/codec.h"

/* Room for the entries of one more batch, so that pl_segment_add_batch cannot fail. */
PL_MUST_CHECK enum pl_err pl_segment_reserve(struct pl_segment *segment);
/* Counts a batch in at the end of the segment (tail.size). */
void pl_segment_add_batch(struct pl_segment *segment, const struct pl_batch_header *header,
                          int64_t index_interval_bytes);

struct pl_txn_entry { /* of an aborted transaction */
    int64_t producer_id;
    int64_t first_offset, last_offset; /* last: of its marker */
    int64_t last_stable_offset;        /* when it had ended */
};
PL_MUST_CHECK enum pl_err pl_segment_add_aborted(struct pl_segment *segment,
                                                 const struct pl_txn_entry *entry);
PL_MUST_CHECK enum pl_err pl_segment_read_aborted(struct pl_entry_reader *reader, uint32_t i,
                                                  struct pl_txn_entry *entry);

/* Whether the next batch needs another segment, as far as the indexes are concerned. */
bool pl_segment_index_full(const struct pl_segment *segment, int64_t segment_index_bytes);
/* The last time index entry; then spills all indexes. *created: a file is new. */
PL_MUST_CHECK enum pl_err pl_segment_seal_indexes(struct pl_segment *segment, bool *created);
/* Index entries go to their files; those behind `until`, a mark of the segment, stay in memory,
 * where they can be taken back. NULL: all go. */
PL_MUST_CHECK enum pl_err pl_segment_spill(struct pl_segment *segment,
                                           const struct pl_segment_tail *until, bool *created);
bool pl_segment_spill_due(const struct pl_segment *segment);

/* Takes over the index files of a segment that was opened (once; later calls are free). */
PL_MUST_CHECK enum pl_err pl_segment_load_indexes(struct pl_segment *segment);
/* Its highest timestamp, from the time index of a sealed segment. */
PL_MUST_CHECK enum pl_err pl_segment_max_timestamp(struct pl_segment *segment,
                                                   int64_t *timestamp_ms);

/* Position of a batch that is not behind the one with `offset`; close in front of it. */
PL_MUST_CHECK enum pl_err pl_segment_find_offset(struct pl_segment *segment, int64_t offset,
                                                 uint64_t *position);
/* Greatest known start of a batch that is <= max_position and whose batch ends below `bound`. */
PL_MUST_CHECK enum pl_err pl_segment_find_position(struct pl_segment *segment, int64_t bound,
                                                   uint64_t max_position, uint64_t *position);
struct pl_time_entry {
    int64_t timestamp_ms; /* PL_TIME_NONE: before the first entry */
    int64_t offset;       /* the base offset then */
};
/* Last entry with a timestamp < timestamp_ms: the first record at or after that time is not in
 * front of it. */
PL_MUST_CHECK enum pl_err pl_segment_find_time(struct pl_segment *segment, int64_t timestamp_ms,
                                               struct pl_time_entry *entry);
/* Last entry whose offset is < bound. */
PL_MUST_CHECK enum pl_err pl_segment_find_time_below(struct pl_segment *segment, int64_t bound,
                                                     struct pl_time_entry *entry);

/* Forgets entries of batches at or above an offset; tail.indexed_position and last_time_entry_ms
 * follow. */
PL_MUST_CHECK enum pl_err pl_segment_cut_indexes(struct pl_segment *segment, int64_t offset);
/* Empties the index files. */
PL_MUST_CHECK enum pl_err pl_segment_clear_indexes(struct pl_segment *segment, bool txns_too);

#endif
