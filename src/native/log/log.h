/* One partition's log: segments of record batches on one disk folder, in Kafka's file format.
 *
 * The life of a batch:   append (staged) → write (in the page cache) → flush (on the disk)
 *   log_end_offset         end of what is staged: the next batch gets this offset
 *   written_end_offset     end of what a read may see at the most
 *   flushed_end_offset     end of what survives a power cut
 * Always log_start <= flushed_end <= written_end <= log_end. None of them goes back, except by
 * pl_log_truncate.
 *
 * Staging exists so that one turn of the reactor costs one pwritev a log, however many
 * connections appended to it: the staged bytes are NOT copied, the caller keeps them alive and
 * unchanged until they are written: until pl_log_write, or the pl_log_write_end of the write that
 * took them, returns.
 *
 * Not thread safe: the partition's lock is held around every call, except where "any thread"
 * is said. A pl_slice, a pl_flush and a pl_segment reference stay valid without the lock.
 *
 * Errors: PL_ERR_NO_SPACE leaves the log as it was before the call, later appends may succeed.
 * PL_ERR_IO on write or flush takes the log offline: every later call but reads of what was
 * flushed and close answers PL_ERR_OFFLINE.
 */
#ifndef PYLOG_LOG_LOG_H
#define PYLOG_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

struct pl_codec; /* pylog/codec.h */
struct pl_log;
struct pl_segment;

enum pl_durability { PL_DURABILITY_FSYNC, PL_DURABILITY_OS };
enum pl_timestamp_type { PL_TIMESTAMP_CREATE, PL_TIMESTAMP_APPEND };

struct pl_log_config { /* copied in; Kafka's topic settings of the same names */
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_index_bytes;
    int64_t index_interval_bytes;
    int64_t max_message_bytes;
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms */
    int64_t timestamp_after_max_ms;
    int64_t retention_ms;    /* -1: none */
    int64_t retention_bytes; /* -1: none */
    int64_t file_delete_delay_ms;
    int64_t delete_retention_ms;
    int64_t min_compaction_lag_ms;
    int64_t max_compaction_lag_ms;
    int64_t flush_messages; /* INT64_MAX: never by count */
    int64_t flush_ms;       /* INT64_MAX: never by time */
    int64_t producer_id_expiration_ms;
    double min_cleanable_dirty_ratio;
    enum pl_timestamp_type timestamp_type;
    enum pl_durability durability;
    int8_t compression; /* -1: producer; else the attribute bits of the type to store */
    int8_t compression_level_set;
    int32_t compression_level;
    bool delete_policy;
    bool compact_policy;
};

/* Removing large files takes long: it is handed to whoever owns a worker. `submit` may be called
 * by any thread and never fails; somebody then calls collect(garbage) once, on a thread that may
 * wait. `next` belongs to the one that holds it until then. */
struct pl_garbage {
    struct pl_garbage *next;
    void (*collect)(struct pl_garbage *garbage);
    void *owner;
};
struct pl_disposal {
    void *owner;
    void (*submit)(void *owner, struct pl_garbage *garbage);
};

struct pl_log_recovered { /* what opening had to repair; zero after a clean shutdown */
    int64_t bytes_scanned;
    int64_t bytes_cut;        /* torn or corrupt, from the first bad batch to the end of the log */
    int64_t first_cut_offset; /* log end offset that is left; -1: nothing was cut */
    int32_t segments_scanned;
    int32_t segments_removed;      /* behind a cut */
    bool cut_below_recovery_point; /* flushed batches are lost: the disk has changed them */
};

struct pl_log_open {
    const struct pl_fs *fs; /* fs, clock and disposal outlive the log and its segments */
    const struct pl_clock *clock;
    const struct pl_disposal *disposal; /* NULL: files are removed at once by the caller's thread */
    const char *folder;                 /* DATA_DIR/TOPIC-PARTITION, made when absent */
    bool clean_shutdown;                /* the marker was found: no scan */
    int64_t recovery_point;             /* everything below is known to be on disk; 0: scan all */
    int64_t log_start_offset;           /* from the checkpoint; 0 when none */
    int64_t cleaned_end;                /* likewise: what compaction has seen */
    struct pl_log_recovered *recovered; /* set when not NULL */
};

PL_MUST_CHECK enum pl_err pl_log_open(const struct pl_log_open *open,
                                      const struct pl_log_config *config, struct pl_log **log);
/* Writes what is staged, flushes, writes indexes and the producer snapshot. Frees the log
 * whatever it returns: only PL_OK lets the next open count on a clean shutdown (an offline log
 * answers PL_ERR_OFFLINE). References to its segments stay valid. No write or flush may be under
 * way. */
PL_MUST_CHECK enum pl_err pl_log_close(struct pl_log *log);
/* Renames the folder to its -delete name (DATA_DIR/TOPIC-PARTITION.UNIQUE-delete) and hands that
 * to the disposal; slices that are being sent stay valid. Frees the log whatever it returns. No
 * write or flush may be under way. */
PL_MUST_CHECK enum pl_err pl_log_delete(struct pl_log *log);
/* Removes a folder and the files in it: a -delete folder that a crash left behind. */
PL_MUST_CHECK enum pl_err pl_log_remove_folder(const struct pl_fs *fs, const char *folder);
/* Its disk has failed, which others have found out: as after a failed write. */
void pl_log_set_offline(struct pl_log *log);
void pl_log_configure(struct pl_log *log, const struct pl_log_config *config);
const struct pl_log_config *pl_log_config_of(const struct pl_log *log);

struct pl_log_offsets {
    int64_t log_start, flushed_end, written_end, log_end;
    int64_t recovery_point; /* for the checkpoint: the next open need not scan what is below */
    int64_t first_unstable; /* of the oldest transaction that is open, or whose marker was not
                               below the high watermark at the last pl_log_last_stable; -1: none */
    int64_t size_bytes;
    int64_t cleaned_end; /* compaction has seen everything below */
    int32_t segment_count;
    int32_t latest_epoch; /* -1: none */
    bool offline;
};
void pl_log_offsets(const struct pl_log *log, struct pl_log_offsets *offsets);
/* Last stable offset: the high watermark, or the first offset of the oldest transaction whose end
 * is not below it. Never goes back while the high watermark does not. */
int64_t pl_log_last_stable(struct pl_log *log, int64_t high_watermark);

/* ---- writing ---- */

enum pl_append_origin {
    PL_APPEND_CLIENT,      /* offsets are assigned, everything is checked */
    PL_APPEND_COORDINATOR, /* trusted: offsets are assigned, control batches allowed */
    PL_APPEND_REPLICA,     /* from the leader: offsets and epochs stay, must continue the log */
};

struct pl_bad_records { /* indexes within a batch; begins as {0}, owned by who asks for them */
    int32_t *indexes;
    int32_t count, room;
};
void pl_bad_records_free(struct pl_bad_records *bad);

struct pl_append {
    enum pl_append_origin origin;
    int32_t leader_epoch;
    int64_t now_ms;
    /* Transactions of the second protocol (KIP-890): refuse a transactional batch of a producer
     * with no open transaction here unless the coordinator has verified it. */
    bool transaction_verified;
    /* Decompresses batches whose records must be looked at; NULL: one is made for the call. */
    struct pl_codec *codec;
    /* Gets every record that PL_ERR_RECORD or PL_ERR_TIMESTAMP is about; NULL: nobody asks. */
    struct pl_bad_records *bad;
};

struct pl_appended {
    int64_t first_offset;   /* of this append, or of the original for a duplicate */
    int64_t end_offset;     /* last offset + 1 */
    int64_t append_time_ms; /* log append time, or -1 with create time */
    bool duplicate;         /* nothing was staged; the original was acknowledged or will be */
};

/* `bytes` holds one or more whole record batches, v2 (magic 0 and 1 are up-converted by the
 * caller or refused: PL_ERR_UNSUPPORTED). From a client exactly one. Checks length, magic,
 * CRC-32C, counts, sizes, times, producer sequence; assigns offsets in place; stages. All or
 * nothing. */
PL_MUST_CHECK enum pl_err pl_log_append(struct pl_log *log, const struct pl_append *append,
                                        uint8_t *bytes, size_t n, struct pl_appended *appended);
/* Writes what is staged. On an error the staged batches are forgotten (offsets, producer state
 * and log_end_offset go back to what they were before them). PL_ERR_BUSY while a write is under
 * way. */
PL_MUST_CHECK enum pl_err pl_log_write(struct pl_log *log);
uint64_t pl_log_staged_bytes(const struct pl_log *log);

/* The same for what may take long: the system lets a writer wait while it writes the same file
 * back. Begin and end under the lock, run without it. */
struct pl_write;
/* Takes what is staged; NULL in *write when nothing is. Appends go on meanwhile and are staged
 * for the next write. At most one a log at a time (PL_ERR_BUSY); the log is neither truncated,
 * closed nor deleted meanwhile. Errors as of pl_log_write. */
PL_MUST_CHECK enum pl_err pl_log_write_begin(struct pl_log *log, struct pl_write **write);
void pl_write_run(struct pl_write *write); /* any thread */
/* Errors as of pl_log_write: what has been staged since begin is forgotten as well, as it lies
 * behind what could not be written. */
PL_MUST_CHECK enum pl_err pl_log_write_end(struct pl_log *log, struct pl_write *write);

/* ---- flushing: begin and end under the lock, run on a worker without it ---- */
struct pl_flush;
/* Whether somebody should begin one now: with fsync whenever something is written and not
 * flushed; with os by flush.messages, flush.ms and after a roll. */
bool pl_log_flush_due(const struct pl_log *log, int64_t now_ms);
/* NULL in *flush when there is nothing to flush. At most one a log at a time (PL_ERR_BUSY). */
PL_MUST_CHECK enum pl_err pl_log_flush_begin(struct pl_log *log, struct pl_flush **flush);
void pl_flush_run(struct pl_flush *flush); /* any thread */
/* Advances flushed_end_offset, or takes the log offline. Frees the flush. PL_ERR_NO_SPACE: the
 * batches are flushed, but leader-epoch-checkpoint found no room; the recovery point stays, and
 * the next flush tries again. */
PL_MUST_CHECK enum pl_err pl_log_flush_end(struct pl_log *log, struct pl_flush *flush);

/* ---- reading ---- */
struct pl_slice {               /* whole batches of one segment */
    struct pl_segment *segment; /* one reference is the caller's, NULL when the slice is empty */
    int fd;
    uint64_t position;
    uint32_t length;
    int64_t first_offset; /* base offset of its first batch, or of a gap that compaction left
                             in front of it */
    int64_t end_offset;   /* where to read on: nothing lies between its last batch and this */
};
void pl_segment_retain(struct pl_segment *segment);  /* any thread */
void pl_segment_release(struct pl_segment *segment); /* any thread; may hand files to be unlinked */

/* Batches from the one that contains `offset`, below `bound` (high watermark or last stable
 * offset), at most max_bytes; with `at_least_one` the first batch is given whatever its size.
 * PL_ERR_OUT_OF_RANGE when offset < log_start or offset > log_end. offset == bound or a bound
 * below it gives an empty slice, as do staged batches. At the tail nothing is read from files. */
PL_MUST_CHECK enum pl_err pl_log_locate(struct pl_log *log, int64_t offset, int64_t bound,
                                        uint32_t max_bytes, bool at_least_one,
                                        struct pl_slice *slice);

struct pl_aborted {
    int64_t producer_id, first_offset;
};
/* Aborted transactions that overlap [from, to); *count in: room, out: found (may be more than
 * the room: call again). */
PL_MUST_CHECK enum pl_err pl_log_aborted(struct pl_log *log, int64_t from, int64_t to,
                                         struct pl_aborted *aborted, size_t *count);

struct pl_time_offset {
    int64_t offset, timestamp_ms; /* -1, -1: none */
    int32_t leader_epoch;
};
/* First record at or after a time, below bound. Reads files: call on a worker or a Python
 * thread; takes `lock` and `unlock` of the caller around the short parts that need it. */
struct pl_lock {
    void *owner;
    void (*lock)(void *owner);
    void (*unlock)(void *owner);
};
PL_MUST_CHECK enum pl_err pl_log_find_time(struct pl_log *log, const struct pl_lock *lock,
                                           int64_t timestamp_ms, int64_t bound,
                                           struct pl_time_offset *found);
/* The record with the highest timestamp below bound (KIP-734), likewise. */
PL_MUST_CHECK enum pl_err pl_log_find_max_time(struct pl_log *log, const struct pl_lock *lock,
                                               int64_t bound, struct pl_time_offset *found);

/* ---- leader epochs (KIP-101, KIP-320) ---- */
/* The end offset of the largest epoch <= asked, and that epoch; -1, -1 when unknown. */
void pl_log_epoch_end(const struct pl_log *log, int32_t epoch, int32_t *found, int64_t *end);
PL_MUST_CHECK enum pl_err pl_log_epoch_begin(struct pl_log *log, int32_t epoch); /* at log_end */

/* ---- forgetting ---- */
/* For followers. Batches that reach beyond end_offset go; nothing may be staged or on its way to
 * the file (PL_ERR_BUSY).
 * Waits for the disk; any failure takes the log offline. Checkpoints of the recovery point above
 * the new end must be rewritten before the next append. */
PL_MUST_CHECK enum pl_err pl_log_truncate(struct pl_log *log, int64_t end_offset);
/* Empties the log; it goes on at start_offset. */
PL_MUST_CHECK enum pl_err pl_log_truncate_fully(struct pl_log *log, int64_t start_offset);
/* DeleteRecords: never goes back; PL_ERR_OUT_OF_RANGE above written_end. Files go by
 * pl_log_housekeep. The caller keeps the offset in its checkpoint. */
PL_MUST_CHECK enum pl_err pl_log_advance_start(struct pl_log *log, int64_t offset);
/* Retention by time, size and start offset; rolls by time; expires producers; removes files
 * whose delay is over; closes idle descriptors. Cheap when nothing is due. Never removes anything
 * at or above bound (the high watermark) or that an open transaction needs; when everything has
 * expired an empty segment stays. Removes some segments at a time, so that the lock is not held
 * for long: call it again while it removes any. */
PL_MUST_CHECK enum pl_err pl_log_housekeep(struct pl_log *log, int64_t now_ms, int64_t bound,
                                           int32_t *segments_removed);

/* ---- compaction (KIP-58, KIP-98, KIP-534): begin and end under the lock, run without it ---- */
struct pl_clean;
struct pl_clean_pace;
struct pl_clean_limits {
    size_t map_bytes;           /* memory for the newest offset of each key, 24 bytes a key */
    double map_load;            /* part of it that may be used, the rest makes it quick */
    size_t io_bytes;            /* of the buffers for reading and writing together */
    struct pl_clean_pace *pace; /* outlives the clean; NULL: as fast as it goes */
};
/* NULL in *clean when nothing is due: no compact policy, too little is dirty, too young. What is
 * cleaned is sealed, flushed and below `bound` (the last stable offset). At most one clean a log
 * at a time (PL_ERR_BUSY); the log is neither truncated, closed nor deleted meanwhile. */
PL_MUST_CHECK enum pl_err pl_log_clean_begin(struct pl_log *log, int64_t now_ms, int64_t bound,
                                             const struct pl_clean_limits *limits,
                                             struct pl_clean **clean);
void pl_clean_run(struct pl_clean *clean);    /* any thread; takes its time */
void pl_clean_cancel(struct pl_clean *clean); /* any thread; run returns soon */
struct pl_cleaned {
    int64_t bytes_before, bytes_after, records_before, records_after;
    int64_t cleaned_end; /* from here on the log is dirty */
    uint64_t busy_ns;    /* that the run has taken */
};
/* Puts one cleaned segment in place of its sources; false: none is left to be put. What end does
 * as well, for who lets go of the lock in between: each takes some renames. */
bool pl_log_clean_swap(struct pl_log *log, struct pl_clean *clean);
/* Puts the cleaned segments in place of their sources, or removes them when the run failed or
 * was cancelled (then the log is as before and the error is told). Frees the clean. */
PL_MUST_CHECK enum pl_err pl_log_clean_end(struct pl_log *log, struct pl_clean *clean,
                                           struct pl_cleaned *cleaned);

/* ---- producers, for DescribeProducers ---- */
struct pl_producer_view {
    int64_t producer_id, last_timestamp_ms, transaction_start; /* -1: no open transaction */
    int32_t last_sequence, coordinator_epoch;
    int16_t epoch;
};
/* Whether this producer has an open transaction here, under this epoch. */
bool pl_log_in_transaction(const struct pl_log *log, int64_t producer_id, int16_t producer_epoch);
PL_MUST_CHECK enum pl_err pl_log_producers(const struct pl_log *log, struct pl_producer_view *views,
                                           size_t *count);

#endif
