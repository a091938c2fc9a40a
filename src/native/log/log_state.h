/* The inside of struct pl_log, for the files of this folder. Which file does what:
 *
 *   log.c        open, close, delete, small getters     load.c      folder → segments
 *   append.c     check, assign, stage                   recover.c   scan, replay, cut
 *   write.c      staged → file, or taken back; seal     locate.c    offset → slice
 *   flush.c      begin, run, end                        find_time.c time → offset
 *   retention.c  housekeeping, log start                truncate.c  the end goes back
 *   heal.c       indexes anew                           aborted.c   aborted transactions
 *   records.c    what a topic asks of records           cleaner.c   compaction, see clean.h
 */
#ifndef PYLOG_LOG_LOG_STATE_H
#define PYLOG_LOG_LOG_STATE_H

#include "log/leader_epochs.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"
#include "log/segment_index.h"

struct pl_stage { /* batches between append and write, and the way back to before them */
    struct iovec *iov;
    int count, room;
    uint64_t bytes;
    uint8_t **owned; /* batches that were packed anew; freed after the write */
    int owned_count, owned_room;
    bool open;          /* the fields below are set */
    enum pl_err failed; /* an append could not be taken back alone: write takes back all */
    int64_t log_end;
    int32_t segment_count;
    struct pl_segment_tail tail; /* of the last segment then */
};

struct pl_write_item {
    struct pl_segment *segment; /* stays in the log: it has bytes that are not written */
    int from, count;            /* of the stage's vectors */
    uint64_t position, end;     /* in the file */
};

struct pl_write { /* part of its log: at most one at a time */
    const struct pl_fs *fs;
    struct pl_stage stage; /* what is being written */
    struct pl_write_item *items;
    int32_t count, room;
    int32_t segment_count; /* of the log with this stage */
    int64_t end_offset;
    bool running;
    enum pl_err err;
};

/* Known starts of batches, so that reading at the tail and reading on need no index: ends of
 * writes and of slices. */
struct pl_boundary {
    int64_t offset; /* -1: none */
    uint64_t position;
};
enum { PL_BOUNDARIES = 32, PL_FLUSH_INLINE = 4, PL_OPEN_SEALED = 8 };
struct pl_boundaries {
    struct pl_boundary entries[PL_BOUNDARIES];
    uint32_t next;
};

struct pl_flush_item {
    struct pl_segment *segment; /* one reference */
    int fd;                     /* -1: its batches are flushed */
    uint64_t size;
    bool settle; /* sealed: its other files too */
};

struct pl_flush { /* part of its log: at most one at a time */
    struct pl_store *store;
    struct pl_flush_item *items;
    int32_t count, room;
    int64_t end_offset;
    uint32_t truncations; /* of the log when it began */
    char *epochs_text;    /* owned; NULL: unchanged */
    size_t epochs_bytes;
    bool flush_folder, flush_parent;
    bool running;
    enum pl_err err;        /* of batches, indexes, names: the log can't go on */
    enum pl_err epochs_err; /* leader-epoch-checkpoint is the old one: the next flush tries again */
};

struct pl_log {
    struct pl_store *store; /* one reference is the log's */
    const struct pl_fs *fs;
    const struct pl_clock *clock;
    struct pl_log_config config;
    struct pl_segment **segments; /* by base offset; the last one is active; may be none */
    int32_t segment_count, segment_room;
    int64_t log_start, flushed_end, written_end, log_end;
    int64_t recovery_point; /* as flushed_end, but not above an epoch that is in no file */
    int64_t size_bytes;     /* written, of all segments */
    struct pl_stage stage;
    struct pl_write write; /* of the stage before */
    struct pl_boundaries boundaries; /* of any segment: an offset tells which */
    struct pl_producers producers;
    struct pl_epochs epochs;
    struct pl_flush flush;
    struct pl_segment **doomed; /* left the log; their files wait for file.delete.delay.ms */
    int32_t doomed_count, doomed_room;
    int64_t cleaned_end; /* compaction has seen everything below */
    bool cleaning;
    int64_t snapshot_end; /* newest producer snapshot that is in a file, -1: none */
    int64_t flushed_ms;   /* end of the last flush */
    int64_t expired_ms;   /* when producers were looked through last */
    uint32_t truncations;
    bool folder_changed, parent_changed; /* names that no flush has reached */
    int32_t open_sealed;                 /* sealed segments opened since close_sealed looked */
    bool seal_due;                       /* a full segment is to be sealed: its files are due */
    bool roll_flush_due; /* with os durability: a segment was sealed since the last flush */
    bool offline;
};

/* Nothing is between append and file: the log's end may be moved otherwise. */
static inline bool pl_log_at_rest(const struct pl_log *log) {
    return !log->stage.open && !log->write.running;
}
static inline struct pl_segment *pl_log_active(const struct pl_log *log) {
    return log->segment_count == 0 ? NULL : log->segments[log->segment_count - 1];
}
/* How long a segment may be active: what compaction owes by max.compaction.lag.ms must be sealed.
 */
static inline int64_t pl_log_max_segment_ms(const struct pl_log *log) {
    const struct pl_log_config *config = &log->config;
    bool lag = config->compact_policy && config->max_compaction_lag_ms < config->segment_ms;
    return lag ? config->max_compaction_lag_ms : config->segment_ms;
}
/* What an error means for the log: lack of space, memory or descriptors passes; anything else
 * takes it offline and is PL_ERR_IO. */
enum pl_err pl_log_fail(struct pl_log *log, enum pl_err err);
/* Index of the segment that holds an offset: the last one that begins at or below it, -1: none. */
int32_t pl_log_floor(const struct pl_log *log, int64_t offset);
/* End of the offsets that a segment may hold. */
int64_t pl_log_segment_end(const struct pl_log *log, int32_t i);
PL_MUST_CHECK enum pl_err pl_log_push_segment(struct pl_log *log, int64_t base_offset,
                                              struct pl_segment **segment);
PL_MUST_CHECK enum pl_err pl_log_open_file(struct pl_log *log, struct pl_segment *segment);

/* ---- records.c ---- */
/* Looks at the records of a client's batch that has passed pl_batch_check; may correct its highest
 * time, in place and in the header. The records to blame go to append->bad. */
PL_MUST_CHECK enum pl_err pl_log_check_records(const struct pl_log *log,
                                               const struct pl_append *append, uint8_t *bytes,
                                               struct pl_batch_header *header);
/* The same records with the compression of the topic: *packed is malloc'ed, NULL when the batch
 * is right as it is. */
PL_MUST_CHECK enum pl_err pl_log_recompress(const struct pl_log *log,
                                            const struct pl_append *append, const uint8_t *bytes,
                                            const struct pl_batch_header *header, uint8_t **packed,
                                            size_t *packed_n);

/* ---- append.c, write.c ---- */
void pl_stage_begin(struct pl_log *log);
void pl_stage_end(struct pl_stage *stage); /* the staged bytes may go */
/* So many segments have come (or gone, below zero) in front of what is staged. */
void pl_stages_shift(struct pl_log *log, int32_t segments);
/* The next batch goes to a new segment. Nothing is written before pl_log_write. */
PL_MUST_CHECK enum pl_err pl_log_roll(struct pl_log *log);
PL_MUST_CHECK enum pl_err pl_log_write_snapshot(struct pl_log *log, int64_t offset,
                                                const uint8_t *bytes, size_t n);
/* Writes a small file whole, under its final name. */
PL_MUST_CHECK enum pl_err pl_write_file(const struct pl_fs *fs, const char *path, const void *bytes,
                                        size_t n, bool flush);
PL_MUST_CHECK enum pl_err pl_read_file(const struct pl_fs *fs, const char *path, size_t max_bytes,
                                       uint8_t **bytes, size_t *n);

/* ---- locate.c ---- */
void pl_boundaries_clear(struct pl_boundaries *boundaries);
void pl_boundaries_add(struct pl_boundaries *boundaries, int64_t offset, uint64_t position);
/* Forgets those at or above an offset. */
void pl_boundaries_cut(struct pl_boundaries *boundaries, int64_t offset);
/* Start of the first batch of segment i that ends behind `offset`; *position is the segment's end
 * when there is none. */
PL_MUST_CHECK enum pl_err pl_log_find_batch(struct pl_log *log, int32_t i, int64_t offset,
                                            uint64_t *position, int64_t *base_offset);
/* Builds damaged indexes of a sealed segment anew. */
PL_MUST_CHECK enum pl_err pl_log_heal(struct pl_log *log, struct pl_segment *segment);
/* The time of a segment's first batch. */
PL_MUST_CHECK enum pl_err pl_log_first_time(struct pl_log *log, struct pl_segment *segment,
                                            int64_t *timestamp_ms);
/* The highest timestamp of a segment, healing its index when need be. */
PL_MUST_CHECK enum pl_err pl_log_highest_time(struct pl_log *log, struct pl_segment *segment,
                                              int64_t *timestamp_ms);

/* ---- load.c, recover.c ---- */
PL_MUST_CHECK enum pl_err pl_log_load_folder(struct pl_log *log);
PL_MUST_CHECK enum pl_err pl_log_recover(struct pl_log *log, const struct pl_log_open *open,
                                         struct pl_log_recovered *report);
/* Times of the active segment and the log end, from its last index entries and the batches behind
 * them. PL_ERR_CORRUPT: they do not fit, it must be scanned. */
PL_MUST_CHECK enum pl_err pl_log_read_tail(struct pl_log *log, struct pl_segment *active);
PL_MUST_CHECK enum pl_err pl_log_remove_snapshots_above(struct pl_log *log, int64_t offset);
/* Producer state at an offset, from the newest snapshot below it and the batches in between. */
PL_MUST_CHECK enum pl_err pl_log_replay_producers(struct pl_log *log, int64_t end_offset);
/* Counts one stored batch in: producers, aborted transactions of `segment` (when not NULL). */
PL_MUST_CHECK enum pl_err pl_log_note_producer(struct pl_log *log, struct pl_segment *segment,
                                               const struct pl_batch_header *header,
                                               const uint8_t *batch);

/* ---- inspect.c ---- */
/* Fills in at most `room` views; returns how many there are. */
size_t pl_producers_view(const struct pl_producers *producers, struct pl_producer_view *views,
                         size_t room);

/* ---- retention.c, truncate.c ---- */
/* Takes segments [from, to) out of the log; their files get .deleted names and go later. */
PL_MUST_CHECK enum pl_err pl_log_remove_segments(struct pl_log *log, int32_t from, int32_t to);
/* The same, but the snapshot of the first one stays: another segment takes its place. */
PL_MUST_CHECK enum pl_err pl_log_replace_segments(struct pl_log *log, int32_t from, int32_t to);
void pl_log_release_doomed(struct pl_log *log, int64_t now_ms);
PL_MUST_CHECK enum pl_err pl_log_restart_at(struct pl_log *log, int64_t offset);

#endif
