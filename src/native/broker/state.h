/* What the files of this folder share of the broker. */
#ifndef PYLOG_BROKER_STATE_H
#define PYLOG_BROKER_STATE_H

#include <stdatomic.h>
#include <time.h>

#include "broker/access.h"
#include "broker/broker.h"
#include "broker/fetch_session.h"
#include "broker/partition.h"
#include "broker/partition_table.h"
#include "broker/quota.h"

struct pl_broker_counters { /* added to by the reactor only, read by any thread */
    _Atomic uint64_t requests_produce, requests_fetch;
    _Atomic uint64_t records_appended, batches_appended, bytes_appended, bytes_fetched;
    _Atomic uint64_t flushes, flush_errors, write_errors;
    _Atomic uint64_t cleans, clean_errors, clean_bytes_read, clean_bytes_written;
    _Atomic uint64_t clean_records_removed, clean_busy_ns;
};

static inline void pl_count(_Atomic uint64_t *counter, uint64_t n) {
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

struct pl_collector { /* removes the files of deleted segments, one job at a time */
    pthread_mutex_t mutex; /* guards first and under_way */
    struct pl_garbage *first;
    bool under_way, stopped;
    struct pl_worker_pool *workers;
    struct pl_job job;
};

struct pl_broker { /* owned by the engine */
    struct pl_broker_options options;
    struct pl_partition_table table;
    struct pl_fetch_sessions sessions;
    struct pl_quotas *quotas;
    struct pl_access *access;
    struct pl_codec *codec;   /* the reactor's */
    struct pl_partition *touched; /* linked by touched_next */
    struct pl_partition *held; /* linked by held_next, a reference each */
    uint64_t held_until_ns;    /* the first of their holds is over; UINT64_MAX: there is none */
    struct pl_ring woken;         /* parked fetches to look at again */
    struct pl_opening *openings;  /* under way; lifecycle.c */
    int64_t now_ms;               /* wall clock of this turn, 0: not read yet */
    bool stopped;
    struct pl_timer housekeep_timer;
    struct pl_housekeeping *housekeeping; /* under way */
    struct pl_cleaner *cleaner;
    struct pl_disposal disposal;
    struct pl_collector collector;
    struct pl_broker_counters counters;
};

/* Wall clock, read once a turn. */
int64_t pl_broker_now_ms(struct pl_broker *broker);
uint64_t pl_broker_monotonic_ns(const struct pl_broker *broker);
uint64_t pl_broker_monotonic_ms(const struct pl_broker *broker);
void pl_broker_submit(struct pl_broker *broker, struct pl_job *job, enum pl_job_kind kind);
void pl_broker_done(const struct pl_broker *broker, const struct pl_done *done);

/* Between two locks of one mutex: without a pause, whoever waits for it would not get it. */
static inline void pl_let_others_lock(void) {
    const struct timespec pause = {.tv_nsec = 50 * 1000};
    (void)nanosleep(&pause, NULL);
}

void pl_housekeeping_start(struct pl_broker *broker);
PL_MUST_CHECK enum pl_err pl_cleaner_open(struct pl_broker *broker);
void pl_cleaner_stop(struct pl_broker *broker); /* ends the cleans that are under way */
void pl_cleaner_close(struct pl_broker *broker);
/* No clean begins any more, the one that is under way ends soon: the log is to be closed. */
void pl_partition_stop_cleaning(struct pl_partition *partition);
void pl_collector_open(struct pl_broker *broker);
void pl_collector_stop(struct pl_broker *broker); /* from here on files are removed at once */
void pl_collector_close(struct pl_broker *broker);

/* lifecycle.c: at the end, without workers. */
void pl_partition_close_now(struct pl_partition *partition);

#endif
