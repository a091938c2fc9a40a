#include "broker/broker.h"

#include <stdlib.h>

#include "broker/fetch.h"
#include "broker/held_flushes.h"
#include "broker/state.h"
#include "pylog/codec.h"

enum { NS_PER_MS = 1000000 };

static enum pl_err open_parts(struct pl_broker *broker) {
    enum pl_err err = pl_codec_create(PL_MAX_BATCH_BYTES, &broker->codec);
    if (err != PL_OK) {
        return err;
    }
    err = pl_partition_table_open(&broker->table);
    if (err == PL_OK) {
        err = pl_fetch_sessions_open(&broker->sessions, broker->options.fetch_session_slots);
        if (err == PL_OK) {
            return PL_OK;
        }
        pl_partition_table_close(&broker->table);
    }
    pl_codec_destroy(broker->codec);
    return err;
}

enum pl_err pl_broker_create(const struct pl_broker_options *options, struct pl_broker **created) {
    struct pl_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        return PL_ERR_MEMORY;
    }
    broker->options = *options;
    broker->held_until_ns = UINT64_MAX;
    pl_ring_init(&broker->woken);
    enum pl_err err = pl_quotas_create(&broker->quotas);
    if (err == PL_OK) {
        err = pl_access_create(&broker->access);
    }
    if (err == PL_OK) {
        err = pl_cleaner_open(broker);
    }
    if (err == PL_OK) {
        err = open_parts(broker);
    }
    if (err != PL_OK) {
        pl_cleaner_close(broker);
        pl_access_destroy(broker->access);
        pl_quotas_destroy(broker->quotas);
        free(broker);
        return err;
    }
    pl_collector_open(broker);
    pl_housekeeping_start(broker);
    *created = broker;
    return PL_OK;
}

void pl_broker_stop(struct pl_broker *broker) {
    broker->stopped = true;
    pl_collector_stop(broker);
    pl_timer_clear(broker->options.timers, &broker->housekeep_timer);
    pl_cleaner_stop(broker);
}

static void close_one(void *context, struct pl_partition *partition) {
    (void)context;
    pl_partition_close_now(partition);
}

void pl_broker_destroy(struct pl_broker *broker) {
    if (broker == NULL) {
        return;
    }
    pl_fetch_sessions_close(&broker->sessions);
    pl_broker_before_sleep(broker);
    pl_partition_table_each(&broker->table, close_one, NULL);
    pl_partition_table_close(&broker->table);
    pl_collector_close(broker);
    pl_cleaner_close(broker);
    pl_codec_destroy(broker->codec);
    pl_access_destroy(broker->access);
    pl_quotas_destroy(broker->quotas);
    free(broker);
}

static void settle_touched(struct pl_broker *broker) {
    while (broker->touched != NULL) {
        struct pl_partition *partition = broker->touched;
        broker->touched = partition->touched_next;
        partition->touched = false;
        pl_partition_settle(partition);
        pl_partition_release(partition);
    }
}

void pl_broker_before_sleep(struct pl_broker *broker) {
    settle_touched(broker);
    pl_held_flushes_end_turn(broker);
    pl_fetch_serve_woken(broker);
    broker->now_ms = 0;
}

uint64_t pl_broker_next_ns(const struct pl_broker *broker) {
    return broker->held_until_ns;
}

int64_t pl_broker_now_ms(struct pl_broker *broker) {
    if (broker->now_ms == 0) {
        const struct pl_clock *clock = broker->options.clock;
        broker->now_ms = clock->wall_ms(clock->context);
    }
    return broker->now_ms;
}

uint64_t pl_broker_monotonic_ns(const struct pl_broker *broker) {
    const struct pl_clock *clock = broker->options.clock;
    return clock->monotonic_ns(clock->context);
}

uint64_t pl_broker_monotonic_ms(const struct pl_broker *broker) {
    return pl_broker_monotonic_ns(broker) / NS_PER_MS;
}

void pl_broker_submit(struct pl_broker *broker, struct pl_job *job, enum pl_job_kind kind) {
    if (broker->stopped) {
        job->run(job);
        job->done(job);
    } else {
        pl_worker_submit(broker->options.workers, job, kind);
    }
}

void pl_broker_done(const struct pl_broker *broker, const struct pl_done *done) {
    broker->options.sink.done(broker->options.sink.context, done);
}

struct pl_access *pl_broker_access(struct pl_broker *broker) {
    return broker->access;
}

struct pl_quotas *pl_broker_quotas(struct pl_broker *broker) {
    return broker->quotas;
}

static uint64_t counted(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void pl_broker_read_counters(const struct pl_broker *broker, struct pl_engine_counters *counters) {
    const struct pl_broker_counters *own = &broker->counters;
    counters->requests_produce = counted(&own->requests_produce);
    counters->requests_fetch = counted(&own->requests_fetch);
    counters->records_appended = counted(&own->records_appended);
    counters->batches_appended = counted(&own->batches_appended);
    counters->bytes_appended = counted(&own->bytes_appended);
    counters->bytes_fetched = counted(&own->bytes_fetched);
    counters->flushes = counted(&own->flushes);
    counters->flush_errors = counted(&own->flush_errors);
    counters->write_errors = counted(&own->write_errors);
    counters->cleans = counted(&own->cleans);
    counters->clean_errors = counted(&own->clean_errors);
    counters->clean_bytes_read = counted(&own->clean_bytes_read);
    counters->clean_bytes_written = counted(&own->clean_bytes_written);
    counters->clean_records_removed = counted(&own->clean_records_removed);
    counters->clean_busy_ns = counted(&own->clean_busy_ns);
}
