/* One clean of a compacted log: what pl_log_clean_begin takes along from under the lock, so that
 * pl_clean_run needs nothing of the log itself.
 *
 *   cleaner.c      begin and end, with the log         clean_run.c    the two passes, without it
 *   clean_batch.c  which records of a batch stay       clean_map.c, clean_txns.c
 */
#ifndef PYLOG_LOG_CLEAN_H
#define PYLOG_LOG_CLEAN_H

#include <stdatomic.h>

#include "log/clean_map.h"
#include "log/clean_txns.h"
#include "log/log_state.h"
#include "log/scan.h"

struct pl_clean_producer { /* whose last batch keeps its header, so that its sequence is known */
    int64_t id;
    int64_t last_offset; /* -1: a marker was its last batch */
    int16_t epoch;
};

struct pl_clean_group {         /* neighbours that become one segment */
    int32_t from, to;           /* of the sources */
    struct pl_segment *cleaned; /* owned by the clean until the swap; NULL before it is made */
};

enum { PL_CLEAN_AHEAD = 32 };
struct pl_clean_ahead { /* records that were read, their keys hashed, none looked up yet */
    struct pl_record records[PL_CLEAN_AHEAD];
    uint64_t hashes[PL_CLEAN_AHEAD][2];
    size_t count;
};

struct pl_clean {
    struct pl_store *store; /* one reference */
    const struct pl_clock *clock;
    struct pl_log_config config;
    struct pl_clean_limits limits;
    int64_t now_ms;
    struct pl_segment **sources; /* one reference each; sealed, flushed, in order */
    int64_t *source_ends;
    int32_t source_count;
    int64_t first_dirty;          /* keys from here on are looked up */
    int64_t end;                  /* end of the sources */
    int64_t mapped_end;           /* end of what the map covers: where the next clean begins */
    struct pl_txn_entry *aborted; /* by first offset */
    size_t aborted_count;
    struct pl_clean_producer *producers; /* by id */
    size_t producer_count;
    struct pl_clean_group *groups;
    int32_t group_count;
    struct pl_clean_map map;
    struct pl_clean_txns txns;
    struct pl_clean_ahead ahead;
    bool *stays; /* of each record of the batch that was judged last */
    size_t stays_room;
    struct pl_codec *codec;
    struct pl_batch_builder *builder;
    uint8_t *block; /* reading */
    size_t block_room;
    struct pl_clean_output {
        struct pl_segment *segment;
        uint8_t *buffer; /* owned; whole batches that wait for the write */
        size_t room, filled;
        uint64_t flushed; /* of the segment's bytes */
    } output;
    size_t unpaced_bytes; /* read or written since the pace was looked at */
    struct pl_cleaned result;
    _Atomic bool cancelled;
    enum pl_err err;
};

/* clean_batch.c: takes the batch that the scan gave last, appends what stays of it to the
 * output. `must_stay`: its header at the least. */
PL_MUST_CHECK enum pl_err pl_clean_batch(struct pl_clean *clean, struct pl_scan *scan,
                                         bool must_stay);

/* clean_run.c: reads some records ahead; false at the end of the batch. */
bool pl_clean_look_ahead(struct pl_clean *clean, struct pl_record_reader *reader);
/* Room for n more bytes in the output, written out when need be. */
PL_MUST_CHECK enum pl_err pl_clean_output_reserve(struct pl_clean *clean, size_t n);

#endif
