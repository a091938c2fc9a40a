/* Transactions as compaction meets them, batch by batch in the order of offsets: which batches
 * belong to an aborted one, and which markers still have batches in front of them.
 */
#ifndef PYLOG_LOG_CLEAN_TXNS_H
#define PYLOG_LOG_CLEAN_TXNS_H

#include "log/producer_state.h"
#include "log/segment_index.h"

struct pl_clean_open_txn {
    struct pl_txn_entry entry;
    bool seen; /* a batch of it is still in the log */
};

struct pl_clean_txns { /* owned by one clean; a walk begins with `next` 0 and nothing open */
    const struct pl_txn_entry *entries; /* aborted ones, by first offset; borrowed */
    size_t entry_count, next;
    int64_t from; /* where the walk begins */
    struct pl_clean_open_txn *aborted; /* begun, marker not met */
    size_t aborted_count, aborted_room;
    int64_t *committed; /* producers whose open transaction is not aborted, once seen */
    size_t committed_count, committed_room;
};

/* The walk begins at the start of a segment: what has ended in front of that counts no more. */
void pl_clean_txns_begin(struct pl_clean_txns *txns, const struct pl_txn_entry *entries,
                         size_t count, int64_t from);
void pl_clean_txns_free(struct pl_clean_txns *txns);

/* A data batch: *aborted, its records do not count. */
PL_MUST_CHECK enum pl_err pl_clean_txns_batch(struct pl_clean_txns *txns,
                                              const struct pl_batch_header *header, bool *aborted);
struct pl_clean_marker {
    bool is_empty;   /* no batch of its transaction is left */
    bool is_aborted; /* entry is set: it stays in the transaction index */
    struct pl_txn_entry entry;
};
PL_MUST_CHECK enum pl_err pl_clean_txns_marker(struct pl_clean_txns *txns,
                                               const struct pl_batch_header *header,
                                               const struct pl_txn_marker *marker,
                                               struct pl_clean_marker *met);

#endif
