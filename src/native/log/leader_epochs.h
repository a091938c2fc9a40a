/* Where each leader epoch of a log began (KIP-101, KIP-320); the leader-epoch-checkpoint file of
 * Kafka: text, a line with version 0, one with the count, then "epoch start_offset" a line.
 */
#ifndef PYLOG_LOG_LEADER_EPOCHS_H
#define PYLOG_LOG_LEADER_EPOCHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pl_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct pl_epochs { /* owned by the log; epochs and offsets both ascend */
    struct pl_epoch *entries;
    uint32_t count, room;
    bool changed; /* since the file was written */
};

void pl_epochs_free(struct pl_epochs *epochs);
int32_t pl_epochs_latest(const struct pl_epochs *epochs); /* -1: none */
/* An epoch that is not above the latest changes nothing. An older epoch that has no batch (it
 * begins at the same offset) gives way. */
PL_MUST_CHECK enum pl_err pl_epochs_add(struct pl_epochs *epochs, int32_t epoch,
                                        int64_t start_offset);
/* Forgets epochs that begin at or above an offset. */
void pl_epochs_cut_end(struct pl_epochs *epochs, int64_t end_offset);
/* Forgets epochs that end at or below it; the first one left begins there at the earliest. */
void pl_epochs_cut_start(struct pl_epochs *epochs, int64_t start_offset);
/* The largest epoch <= asked and where it ends; -1, -1 when unknown. An epoch below all known
 * ones ends where the first of them begins. */
void pl_epochs_end(const struct pl_epochs *epochs, int32_t epoch, int64_t log_end, int32_t *found,
                   int64_t *end_offset);
/* Epoch of the batch at an offset, -1 when unknown. */
int32_t pl_epochs_of(const struct pl_epochs *epochs, int64_t offset);

/* *text is malloc'ed, the caller's. */
PL_MUST_CHECK enum pl_err pl_epochs_encode(const struct pl_epochs *epochs, char **text, size_t *n);
/* Into an empty list. PL_ERR_CORRUPT leaves it empty. */
PL_MUST_CHECK enum pl_err pl_epochs_decode(struct pl_epochs *epochs, const char *text, size_t n);

#endif
