/* Compaction of topics with cleanup.policy=compact: one log at a time, on a worker. A round looks
 * at all of them; a log decides itself whether it is worth it.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "broker/state.h"

struct pl_cleaning { /* a round; owned by its job */
    struct pl_job job;
    struct pl_broker *broker;
    size_t count, next, room;
    struct pl_partition *partitions[]; /* a reference each, from `next` on */
};

static void clean_next(struct pl_cleaning *cleaning);

/* ---- on a worker ---- */

static struct pl_clean *begin(struct pl_cleaning *cleaning, struct pl_partition *partition) {
    static const struct pl_clean_limits limits = {.map_bytes = PL_CLEAN_MAP_BYTES,
                                                  .bytes_per_second = INT64_MAX};
    const struct pl_clock *clock = cleaning->broker->options.clock;
    struct pl_clean *clean = NULL;
    pthread_mutex_lock(&partition->mutex);
    if (!partition->leaving) {
        /* A failure has taken the log offline, which the next settle tells, or it passes. */
        (void)!pl_log_clean_begin(partition->log, clock->wall_ms(clock->context),
                                  partition->last_stable, &limits, &clean);
    }
    partition->clean = clean;
    pthread_mutex_unlock(&partition->mutex);
    return clean;
}

static void clean_run(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    struct pl_partition *partition = cleaning->partitions[cleaning->next];
    struct pl_clean *clean = begin(cleaning, partition);
    if (clean == NULL) {
        return;
    }
    pl_clean_run(clean);
    struct pl_cleaned cleaned;
    pthread_mutex_lock(&partition->mutex);
    partition->clean = NULL;
    (void)!pl_log_clean_end(partition->log, clean, &cleaned);
    pthread_mutex_unlock(&partition->mutex);
}

/* ---- on the reactor ---- */

static void clean_done(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    struct pl_partition *partition = cleaning->partitions[cleaning->next++];
    pl_partition_touch(partition); /* its size has changed, a flush of names is due */
    pl_partition_job_ended(partition);
    pl_partition_release(partition);
    clean_next(cleaning);
}

static void set_timer(struct pl_broker *broker) {
    int64_t interval_ms = broker->options.housekeep_interval_ms;
    if (interval_ms > PL_CLEAN_INTERVAL_MS) {
        interval_ms = PL_CLEAN_INTERVAL_MS;
    }
    if (interval_ms > 0 && !broker->stopped) {
        pl_timer_set(broker->options.timers, &broker->clean_timer,
                     pl_broker_monotonic_ms(broker) + (uint64_t)interval_ms);
    }
}

static void clean_next(struct pl_cleaning *cleaning) {
    struct pl_broker *broker = cleaning->broker;
    for (; cleaning->next < cleaning->count; cleaning->next++) {
        struct pl_partition *partition = cleaning->partitions[cleaning->next];
        if (!broker->stopped && partition->state == PL_PARTITION_SERVING) {
            pl_partition_job_begins(partition);
            pl_broker_submit(broker, &cleaning->job, PL_JOB_SLOW);
            return;
        }
        pl_partition_release(partition);
    }
    free(cleaning);
    broker->cleaning = NULL;
    set_timer(broker);
}

static void add_compacted(void *context, struct pl_partition *partition) {
    struct pl_cleaning *cleaning = context;
    if (partition->state != PL_PARTITION_SERVING || cleaning->count == cleaning->room) {
        return;
    }
    pthread_mutex_lock(&partition->mutex);
    bool compacted = pl_log_config_of(partition->log)->compact_policy;
    pthread_mutex_unlock(&partition->mutex);
    if (compacted) {
        pl_partition_retain(partition);
        cleaning->partitions[cleaning->count++] = partition;
    }
}

static void clean_fire(struct pl_timer *timer) {
    struct pl_broker *broker = PL_CONTAINER(timer, struct pl_broker, clean_timer);
    size_t room = broker->table.handle_capacity;
    struct pl_cleaning *cleaning =
        calloc(1, sizeof *cleaning + room * sizeof(struct pl_partition *));
    if (cleaning == NULL) {
        set_timer(broker); /* what is due stays due */
        return;
    }
    cleaning->job.run = clean_run;
    cleaning->job.done = clean_done;
    cleaning->broker = broker;
    cleaning->room = room;
    pl_partition_table_each(&broker->table, add_compacted, cleaning);
    broker->cleaning = cleaning;
    clean_next(cleaning);
}

void pl_cleaning_start(struct pl_broker *broker) {
    broker->clean_timer.fire = clean_fire;
    set_timer(broker);
}

void pl_partition_stop_cleaning(struct pl_partition *partition) {
    pthread_mutex_lock(&partition->mutex);
    partition->leaving = true;
    if (partition->clean != NULL) {
        pl_clean_cancel(partition->clean);
    }
    pthread_mutex_unlock(&partition->mutex);
}

void pl_cleaning_stop(struct pl_broker *broker) {
    pl_timer_clear(broker->options.timers, &broker->clean_timer);
    if (broker->cleaning != NULL) {
        pl_partition_stop_cleaning(broker->cleaning->partitions[broker->cleaning->next]);
    }
}
