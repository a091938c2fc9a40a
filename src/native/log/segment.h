/* One segment: a .log file of record batches, its offset, time and transaction index.
 *
 * A segment is counted: the log holds one reference while the segment is part of it, every
 * slice that is being sent and every job that reads it hold one each. Its descriptor is opened
 * at the first use and stays open while somebody beside the log holds it. A segment that has
 * left the log ("doomed") takes its files along when the last reference goes.
 *
 * Sizes:  flushed <= written <= size. Bytes between written and size are staged: known to the
 * index, not yet in the file.
 */
#ifndef PYLOG_LOG_SEGMENT_H
#define PYLOG_LOG_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "log/entry_file.h"
#include "log/file_name.h"
#include "log/log.h"

enum { PL_OFFSET_ENTRY_BYTES = 8, PL_TIME_ENTRY_BYTES = 12, PL_TXN_ENTRY_BYTES = 34 };

#define PL_TIME_NONE ((int64_t)-1)    /* no record with a timestamp */
#define PL_TIME_UNKNOWN ((int64_t)-2) /* not read from the file so far */

struct pl_store { /* what the segments of a log share; counted, outlives the log */
    _Atomic int32_t references;
    const struct pl_fs *fs;
    const struct pl_disposal *disposal; /* or NULL */
    char folder[];
};
PL_MUST_CHECK enum pl_err pl_store_create(const struct pl_fs *fs,
                                          const struct pl_disposal *disposal, const char *folder,
                                          struct pl_store **store);
void pl_store_release(struct pl_store *store);
/* Collects now when there is no disposal. */
void pl_garbage_submit(const struct pl_disposal *disposal, struct pl_garbage *garbage);

/* What changes of a segment when a batch is staged, so that it can be taken back. */
struct pl_segment_tail {
    uint64_t size;
    uint64_t indexed_position;    /* of the last batch with an index entry, else 0 */
    int64_t first_timestamp_ms;   /* of its first batch: when it is due to roll */
    int64_t max_timestamp_ms;     /* or PL_TIME_NONE, PL_TIME_UNKNOWN */
    int64_t max_timestamp_offset; /* last offset of the first batch that has it */
    int64_t last_time_entry_ms;   /* timestamp of the last time index entry */
    uint32_t offset_entries, time_entries, txn_entries;
};

struct pl_segment {
    _Atomic int32_t references;
    int fd;                 /* -1: not open */
    struct pl_store *store; /* one reference is the segment's */
    int64_t base_offset;
    enum pl_file_phase phase;    /* LIVE, but while compaction makes it */
    struct pl_segment_tail tail; /* the three counts are set by pl_segment_mark only */
    uint64_t written, flushed;
    struct pl_entry_file offsets, times, txns;
    uint8_t *snapshot; /* owned: producer state below base_offset, to be written; or NULL */
    size_t snapshot_bytes;
    int64_t used_ms; /* last use of the descriptor */
    int staged_from; /* first of its vectors in the log's stage */
    bool file_exists;
    bool sealed;  /* no more batches; index and snapshot files are complete */
    bool settled; /* sealed, and these files have been flushed */
    bool indexes_loaded;
    bool txns_damaged; /* its transaction index must be had anew by a scan */
    bool doomed;
    int64_t doomed_ms; /* when its files may go */
    struct pl_garbage garbage;
};

PL_MUST_CHECK enum pl_err pl_segment_create(struct pl_store *store, int64_t base_offset,
                                            struct pl_segment **segment);
/* Opens the descriptor, makes the file when it does not exist (*created). */
PL_MUST_CHECK enum pl_err pl_segment_open_file(struct pl_segment *segment, bool *created);
void pl_segment_close_file(struct pl_segment *segment); /* nobody else may be using it */
/* Gives the descriptor back when nobody else can be using it. */
void pl_segment_close_idle(struct pl_segment *segment, int64_t unused_since_ms);
/* Whether a reference beside the log's is held. */
bool pl_segment_shared(const struct pl_segment *segment);

void pl_segment_path(const struct pl_segment *segment, enum pl_file_kind kind, char *path);
struct pl_segment_tail pl_segment_mark(const struct pl_segment *segment);
void pl_segment_restore(struct pl_segment *segment, const struct pl_segment_tail *tail);

#endif
