/* The broker: partitions, and who waits for them. net/engine.c owns one and calls it from the
 * reactor; api/ works on it through the other headers of this folder.
 *
 * One turn of the reactor:
 *   deliver the mailbox · advance the timers · pl_lane_handle for every frame (appends are staged)
 *   → pl_broker_before_sleep (one write a touched log, one flush job, answers are completed)
 *   → send what was completed → sleep
 * The bytes of requests stay where they are until before_sleep returns. A large write is a job of
 * a worker, as a flush is, and keeps the buffers of its requests: the system lets a writer wait
 * while it writes the same file back, and all connections would wait with the reactor.
 *
 * Reactor thread only, except where "any thread" is said. A function with a token ends in exactly
 * one call of sink.done with it, on the reactor, perhaps before the function returns.
 */
#ifndef PYLOG_BROKER_BROKER_H
#define PYLOG_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/timer_wheel.h"
#include "pylog/engine.h"
#include "worker/pool.h"

struct pl_broker;
struct pl_quotas;
struct pl_access;

struct pl_done { /* the end of a call with a token; value, value2 and data as in pylog/engine.h */
    uint64_t token;
    int64_t value, value2;
    const uint8_t *data;
    size_t length;
    void *storage; /* of data: the receiver calls free(storage) when it is done with it */
    int16_t error; /* Kafka's code */
};

struct pl_broker_sink { /* called on the reactor */
    void *context;
    void (*done)(void *context, const struct pl_done *done);
    void (*offline)(void *context, uint64_t handle);     /* once a partition */
    void (*uncleanable)(void *context, uint64_t handle); /* likewise */
    /* Of pl_broker_open_partitions with `parallel`, once for each of its partitions. */
    void (*opened)(void *context, uint64_t token, int32_t number,
                   const struct pl_partition_opened *opened);
};

struct pl_broker_options { /* copied; what it points to outlives the broker */
    const struct pl_fs *fs;
    const struct pl_clock *clock;
    struct pl_worker_pool *workers; /* its completions are delivered on the reactor */
    struct pl_pool *pool;           /* the reactor's buffers */
    struct pl_timer_wheel *timers;  /* the reactor's: timeouts of produce, fetch, housekeeping */
    struct pl_broker_sink sink;
    int32_t node_id;
    int32_t fetch_max_bytes;
    int32_t fetch_session_slots;
    int64_t housekeep_interval_ms;
};

PL_MUST_CHECK enum pl_err pl_broker_create(const struct pl_broker_options *options,
                                           struct pl_broker **broker);
/* The end goes: close all connections (that cancels what is parked), pl_broker_stop, destroy the
 * worker pool, deliver what it left in the mailbox, pl_broker_destroy. After stop no job is
 * submitted; calls with a token end with NOT_LEADER_OR_FOLLOWER. */
void pl_broker_stop(struct pl_broker *broker);
void pl_broker_destroy(struct pl_broker *broker); /* closes the logs that are still open */

/* Once a turn, after the last request and before sends and sleep. */
void pl_broker_before_sleep(struct pl_broker *broker);
/* When the next turn has to be, at the latest, by the monotonic clock; UINT64_MAX: whenever. */
uint64_t pl_broker_next_ns(const struct pl_broker *broker);

/* ---- partitions: see the functions of the same names in pylog/engine.h ---- */

/* Everything that `partitions` points to is copied. */
void pl_broker_open_partitions(struct pl_broker *broker, uint64_t token,
                               const struct pl_partition_open *partitions, int32_t count,
                               int32_t parallel);
void pl_broker_cancel_openings(struct pl_broker *broker);
void pl_broker_withdraw_partition(struct pl_broker *broker, const uint8_t *topic_id, int32_t index);
void pl_broker_fail_partitions(struct pl_broker *broker, const uint64_t *handles, int32_t count);
void pl_broker_close_partitions(struct pl_broker *broker, uint64_t token, const uint64_t *handles,
                                int32_t count, bool delete_files);
/* Takes `bytes`, which came from malloc. */
void pl_broker_append(struct pl_broker *broker, uint64_t token, uint64_t handle, uint8_t *bytes,
                      size_t length, bool coordinator, enum pl_append_wait wait);
void pl_broker_read(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                    uint32_t max_bytes, bool to_log_end);
void pl_broker_survey(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                      int64_t until_offset, uint32_t max_bytes, bool read_committed);
void pl_broker_await_readable(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t offset, bool read_committed);
void pl_broker_find_time(struct pl_broker *broker, uint64_t token, uint64_t handle,
                         int64_t timestamp_ms, bool read_committed);
void pl_broker_delete_records(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t before_offset);

struct pl_slice;
/* Records for an answer: see pl_log_locate; below the high watermark, at least one batch. */
PL_MUST_CHECK enum pl_err pl_broker_locate(struct pl_broker *broker, uint64_t handle,
                                           int64_t offset, uint32_t max_bytes,
                                           struct pl_slice *slice);

/* Holds for cleans that begin afterwards, the rate for those under way too. */
void pl_broker_configure_cleaner(struct pl_broker *broker,
                                 const struct pl_cleaner_settings *settings);

/* Any thread. Codes of Kafka's protocol: NOT_LEADER_OR_FOLLOWER for a handle that is gone. */
void pl_broker_configure_partition(struct pl_broker *broker, uint64_t handle,
                                   const struct pl_log_config *config);
int16_t pl_broker_partition_offsets(struct pl_broker *broker, uint64_t handle,
                                    struct pl_partition_offsets *offsets);
int16_t pl_broker_epoch_end(struct pl_broker *broker, uint64_t handle, int32_t epoch,
                            int32_t *found_epoch, int64_t *end_offset);
int16_t pl_broker_producers(struct pl_broker *broker, uint64_t handle,
                            struct pl_producer_view *views, size_t *count);

/* Any thread. */
struct pl_quotas *pl_broker_quotas(struct pl_broker *broker);
struct pl_access *pl_broker_access(struct pl_broker *broker); /* reactor only */

/* Any thread. Sets the fields that the broker counts (requests_produce, requests_fetch,
 * records_appended … write_errors) and leaves the others alone. */
void pl_broker_read_counters(const struct pl_broker *broker, struct pl_engine_counters *counters);

#endif
