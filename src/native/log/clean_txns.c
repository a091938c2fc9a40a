#include "log/clean_txns.h"

#include <stdlib.h>

void pl_clean_txns_begin(struct pl_clean_txns *txns, const struct pl_txn_entry *entries,
                         size_t count, int64_t from) {
    txns->entries = entries;
    txns->entry_count = count;
    txns->from = from;
    txns->next = txns->aborted_count = txns->committed_count = 0;
}

void pl_clean_txns_free(struct pl_clean_txns *txns) {
    free(txns->aborted);
    free(txns->committed);
}

/* The list with room for one more, or NULL. */
static void *with_room(void *list, size_t count, size_t *room, size_t width) {
    if (count < *room) {
        return list;
    }
    size_t more = *room == 0 ? 16 : *room * 2;
    void *larger = realloc(list, more * width);
    if (larger != NULL) {
        *room = more;
    }
    return larger;
}

/* Opens the aborted transactions that begin at or below an offset. */
static enum pl_err open_until(struct pl_clean_txns *txns, int64_t offset) {
    while (txns->next < txns->entry_count && txns->entries[txns->next].first_offset <= offset) {
        if (txns->entries[txns->next].last_offset < txns->from) {
            txns->next++; /* its marker will not be met */
            continue;
        }
        struct pl_clean_open_txn *aborted =
            with_room(txns->aborted, txns->aborted_count, &txns->aborted_room, sizeof *aborted);
        if (aborted == NULL) {
            return PL_ERR_MEMORY;
        }
        txns->aborted = aborted;
        txns->aborted[txns->aborted_count++] =
            (struct pl_clean_open_txn){.entry = txns->entries[txns->next++]};
    }
    return PL_OK;
}

/* A producer has one open transaction at a time; entries of its later ones begin behind. */
static size_t find_aborted(const struct pl_clean_txns *txns, int64_t producer_id) {
    size_t i = 0;
    while (i < txns->aborted_count && txns->aborted[i].entry.producer_id != producer_id) {
        i++;
    }
    return i;
}

static size_t find_committed(const struct pl_clean_txns *txns, int64_t producer_id) {
    size_t i = 0;
    while (i < txns->committed_count && txns->committed[i] != producer_id) {
        i++;
    }
    return i;
}

static enum pl_err see_committed(struct pl_clean_txns *txns, int64_t producer_id) {
    if (find_committed(txns, producer_id) < txns->committed_count) {
        return PL_OK;
    }
    int64_t *committed =
        with_room(txns->committed, txns->committed_count, &txns->committed_room, sizeof *committed);
    if (committed == NULL) {
        return PL_ERR_MEMORY;
    }
    txns->committed = committed;
    txns->committed[txns->committed_count++] = producer_id;
    return PL_OK;
}

enum pl_err pl_clean_txns_batch(struct pl_clean_txns *txns, const struct pl_batch_header *header,
                                bool *aborted) {
    *aborted = false;
    enum pl_err err = open_until(txns, pl_batch_last_offset(header));
    if (err != PL_OK || !pl_batch_is(header, PL_BATCH_TRANSACTIONAL)) {
        return err;
    }
    size_t i = find_aborted(txns, header->producer_id);
    if (i == txns->aborted_count) {
        return see_committed(txns, header->producer_id);
    }
    txns->aborted[i].seen = true;
    *aborted = true;
    return PL_OK;
}

enum pl_err pl_clean_txns_marker(struct pl_clean_txns *txns, const struct pl_batch_header *header,
                                 const struct pl_txn_marker *marker, struct pl_clean_marker *met) {
    *met = (struct pl_clean_marker){.is_empty = true};
    enum pl_err err = open_until(txns, pl_batch_last_offset(header));
    if (err != PL_OK) {
        return err;
    }
    if (marker->abort) {
        size_t i = find_aborted(txns, header->producer_id);
        if (i < txns->aborted_count) {
            met->is_empty = !txns->aborted[i].seen;
            met->is_aborted = txns->aborted[i].seen;
            met->entry = txns->aborted[i].entry;
            txns->aborted[i] = txns->aborted[--txns->aborted_count];
        }
        return PL_OK;
    }
    size_t i = find_committed(txns, header->producer_id);
    if (i < txns->committed_count) {
        met->is_empty = false;
        txns->committed[i] = txns->committed[--txns->committed_count];
    }
    return PL_OK;
}
