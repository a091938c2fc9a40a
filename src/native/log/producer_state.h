/* What a log knows of its producers: the last batches of each (KIP-98), so that a repeated batch
 * is stored once; and their transactions, so that the last stable offset is known.
 *
 *   no transaction ──transactional batch──▶ open ──marker──▶ ended ──marker < high watermark──▶
 * gone
 *
 * Changes are kept back until pl_producers_keep: pl_producers_undo takes everything back since
 * the last keep, for batches that could not be written.
 */
#ifndef PYLOG_LOG_PRODUCER_STATE_H
#define PYLOG_LOG_PRODUCER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "pylog/codec.h"

enum { PL_NO_PRODUCER_EPOCH = -1, PL_NO_SEQUENCE = -1 };

struct pl_producer_batch {
    int64_t last_offset, timestamp_ms;
    int32_t last_sequence;
    int32_t offset_delta; /* last offset - first offset; sequences likewise */
};

struct pl_producer { /* owned by the table */
    int64_t id;
    int64_t last_timestamp_ms;
    int64_t txn_first_offset;                     /* -1: no open transaction */
    struct pl_producer *open_before, *open_after; /* open transactions by first offset */
    int32_t coordinator_epoch;                    /* -1: no marker so far */
    int16_t epoch;                                /* PL_NO_PRODUCER_EPOCH: nothing is known */
    uint8_t batch_count;
    uint8_t batch_next; /* where the next batch goes in the ring */
    uint32_t turn;      /* of the last change, see pl_producers_undo */
    struct pl_producer_batch batches[PL_PRODUCER_BATCHES_KEPT];
};

struct pl_ended_txn {
    int64_t first_offset, marker_offset;
};

struct pl_producer_undo {
    struct pl_producer *producer;
    struct pl_producer before;
    bool created;
};

struct pl_producers {           /* owned by the log */
    struct pl_producer **slots; /* open addressing; a power of two of them, or none */
    uint32_t slot_count, count;
    struct pl_producer *first_open, *last_open;
    struct pl_ended_txn *ended; /* by marker offset */
    uint32_t ended_count, ended_room;
    uint32_t ended_kept; /* of them known at the last keep; later ones go by undo */
    struct pl_producer_undo *undo;
    uint32_t undo_count, undo_room;
    uint32_t turn;
    uint32_t marked_undo, marked_ended, marked_turn; /* what they were at the mark */
};

void pl_producers_init(struct pl_producers *producers);
void pl_producers_free(struct pl_producers *producers);
void pl_producers_clear(struct pl_producers *producers);
struct pl_producer *pl_producers_find(const struct pl_producers *producers, int64_t id);
const struct pl_producer_batch *pl_producer_last_batch(const struct pl_producer *producer);

/* ---- checks: nothing changes; `producer` may be NULL ---- */

/* A data batch of a client. *duplicate, when not NULL, is the batch that it repeats. */
PL_MUST_CHECK enum pl_err pl_producer_check_batch(const struct pl_producer *producer,
                                                  const struct pl_batch_header *header,
                                                  bool transaction_verified,
                                                  const struct pl_producer_batch **duplicate);

struct pl_txn_marker {
    int32_t coordinator_epoch;
    int64_t timestamp_ms;
    bool is_marker; /* false: another kind of control record */
    bool abort;
};
/* Reads the record of a control batch (uncompressed, whole). A batch that compaction emptied is
 * no marker. */
PL_MUST_CHECK enum pl_err pl_txn_marker_parse(const uint8_t *batch,
                                              const struct pl_batch_header *header,
                                              struct pl_txn_marker *marker);
PL_MUST_CHECK enum pl_err pl_producer_check_marker(const struct pl_producer *producer,
                                                   const struct pl_batch_header *header,
                                                   const struct pl_txn_marker *marker);

/* ---- changes ---- */

PL_MUST_CHECK enum pl_err pl_producers_add_batch(struct pl_producers *producers,
                                                 const struct pl_batch_header *header);
struct pl_txn_end {
    int64_t first_offset;       /* -1: the producer had no open transaction */
    int64_t last_stable_offset; /* now that it has ended */
    bool aborted;               /* an open transaction was */
};
PL_MUST_CHECK enum pl_err pl_producers_add_marker(struct pl_producers *producers,
                                                  const struct pl_batch_header *header,
                                                  const struct pl_txn_marker *marker,
                                                  struct pl_txn_end *end);
/* Counts one stored batch of a producer in, data or marker. */
PL_MUST_CHECK enum pl_err pl_producers_note(struct pl_producers *producers,
                                            const struct pl_batch_header *header,
                                            const uint8_t *batch, struct pl_txn_end *end);
/* A producer read from a snapshot; it must not be there yet. */
PL_MUST_CHECK enum pl_err pl_producers_load(struct pl_producers *producers,
                                            const struct pl_producer *loaded);
/* All changes so far are for good, or those before the last mark; or all since the last keep are
 * taken back. One mark at a time. */
void pl_producers_keep(struct pl_producers *producers);
void pl_producers_mark(struct pl_producers *producers);
void pl_producers_keep_marked(struct pl_producers *producers);
void pl_producers_undo(struct pl_producers *producers);
/* Forgets producers without an open transaction whose last batch is older, but for changes that
 * may be taken back. */
void pl_producers_expire(struct pl_producers *producers, int64_t before_ms);

/* ---- transactions ---- */

/* First offset of the oldest transaction that is open or ended, -1: none. */
int64_t pl_producers_first_unstable(const struct pl_producers *producers);
/* Forgets ended transactions whose marker is below the high watermark. */
void pl_producers_forget_ended(struct pl_producers *producers, int64_t high_watermark);

/* ---- snapshots: Kafka's .snapshot files, version 1 (producer_snapshot.c) ---- */

/* *bytes is malloc'ed, the caller's. */
PL_MUST_CHECK enum pl_err pl_producers_encode(const struct pl_producers *producers, uint8_t **bytes,
                                              size_t *n);
/* Into an empty table. PL_ERR_CORRUPT leaves it empty. */
PL_MUST_CHECK enum pl_err pl_producers_decode(struct pl_producers *producers, const uint8_t *bytes,
                                              size_t n);

#endif
