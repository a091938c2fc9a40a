/* Compaction of topics with cleanup.policy=compact. A round looks at all of them, some at a time
 * (log.cleaner.threads); a log decides itself whether it is worth it. One clean is three jobs:
 *
 *   begin (worker, log's lock) ─▶ run (background thread, no lock) ─▶ end (worker, log's lock)
 *
 * A round that has cleaned anything is followed by the next at once, any other after
 * log.cleaner.backoff.ms.
 */
#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "broker/state.h"
#include "log/clean_pace.h"

struct pl_cleaning { /* one log's; owned by the cleaner */
    struct pl_job job;
    struct pl_cleaner *cleaner;
    struct pl_partition *partition; /* a reference while a job uses it, else NULL */
    struct pl_clean_limits limits;
    struct pl_clean *clean;
    enum pl_err err;
    struct pl_cleaned cleaned;
};

struct pl_cleaner { /* owned by the broker */
    struct pl_broker *broker;
    struct pl_cleaner_settings settings;
    struct pl_worker_pool *threads; /* NULL once stopped */
    struct pl_clean_pace pace;
    struct pl_timer timer;
    struct pl_partition **round; /* a reference each, from `next` on */
    size_t count, next, room;
    bool cleaned_any;
    int running;
    struct pl_cleaning cleanings[PL_MAX_CLEANER_THREADS];
};

static void continue_round(struct pl_cleaner *cleaner);

/* ---- the jobs of one clean ---- */

static void begin_run(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    struct pl_partition *partition = cleaning->partition;
    const struct pl_clock *clock = partition->broker->options.clock;
    pthread_mutex_lock(&partition->mutex);
    if (!partition->leaving) {
        cleaning->err = pl_log_clean_begin(partition->log, clock->wall_ms(clock->context),
                                           partition->last_stable, &cleaning->limits,
                                           &cleaning->clean);
    }
    partition->clean = cleaning->clean;
    pthread_mutex_unlock(&partition->mutex);
}

static void copy_run(struct pl_job *job) {
    pl_clean_run(PL_CONTAINER(job, struct pl_cleaning, job)->clean);
}

static bool swap_one(struct pl_partition *partition, struct pl_clean *clean) {
    pthread_mutex_lock(&partition->mutex);
    bool swapped = pl_log_clean_swap(partition->log, clean);
    pthread_mutex_unlock(&partition->mutex);
    return swapped;
}

static void end_run(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    struct pl_partition *partition = cleaning->partition;
    while (swap_one(partition, cleaning->clean)) {
        pl_let_others_lock();
    }
    pthread_mutex_lock(&partition->mutex);
    partition->clean = NULL;
    cleaning->err = pl_log_clean_end(partition->log, cleaning->clean, &cleaning->cleaned);
    pthread_mutex_unlock(&partition->mutex);
}

/* ---- what came of it, on the reactor ---- */

static void count_clean(struct pl_broker *broker, const struct pl_cleaned *cleaned) {
    struct pl_broker_counters *counters = &broker->counters;
    pl_count(&counters->cleans, 1);
    pl_count(&counters->clean_bytes_read, (uint64_t)cleaned->bytes_before);
    pl_count(&counters->clean_bytes_written, (uint64_t)cleaned->bytes_after);
    pl_count(&counters->clean_records_removed,
             (uint64_t)(cleaned->records_before - cleaned->records_after));
    pl_count(&counters->clean_busy_ns, cleaned->busy_ns);
}

/* Whether the same would happen again: neither the lack of something nor a log that is offline or
 * being closed. */
static bool is_lasting(enum pl_err err) {
    return err == PL_ERR_CORRUPT || err == PL_ERR_INVALID || err == PL_ERR_UNSUPPORTED ||
           err == PL_ERR_LIMIT;
}

static void tell(struct pl_cleaning *cleaning) {
    struct pl_broker *broker = cleaning->cleaner->broker;
    struct pl_partition *partition = cleaning->partition;
    if (cleaning->err == PL_OK) {
        cleaning->cleaner->cleaned_any = true;
        count_clean(broker, &cleaning->cleaned);
        return;
    }
    if (cleaning->err == PL_ERR_CLOSED) {
        return;
    }
    pl_count(&broker->counters.clean_errors, 1);
    if (is_lasting(cleaning->err) && !partition->uncleanable) {
        pthread_mutex_lock(&partition->mutex);
        partition->uncleanable = true;
        pthread_mutex_unlock(&partition->mutex);
        broker->options.sink.uncleanable(broker->options.sink.context, partition->handle);
    }
}

static void leave(struct pl_cleaning *cleaning) {
    struct pl_cleaner *cleaner = cleaning->cleaner;
    struct pl_partition *partition = cleaning->partition;
    cleaning->partition = NULL;
    cleaning->clean = NULL;
    cleaner->running--;
    pl_partition_touch(partition); /* its size may have changed, a flush of names be due */
    pl_partition_job_ended(partition);
    pl_partition_release(partition);
    continue_round(cleaner);
}

static void end_done(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    tell(cleaning);
    leave(cleaning);
}

static void copy_done(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    job->run = end_run;
    job->done = end_done;
    pl_broker_submit(cleaning->cleaner->broker, job, PL_JOB_SLOW);
}

static void begin_done(struct pl_job *job) {
    struct pl_cleaning *cleaning = PL_CONTAINER(job, struct pl_cleaning, job);
    struct pl_cleaner *cleaner = cleaning->cleaner;
    if (cleaning->clean == NULL) {
        if (cleaning->err != PL_OK) {
            tell(cleaning);
        }
        leave(cleaning);
        return;
    }
    job->run = copy_run;
    job->done = copy_done;
    if (cleaner->threads != NULL) {
        pl_worker_submit(cleaner->threads, job, PL_JOB_SLOW);
        return;
    }
    pl_clean_cancel(cleaning->clean);
    copy_run(job);
    copy_done(job);
}

/* ---- a round ---- */

static void set_timer(struct pl_cleaner *cleaner, int64_t delay_ms) {
    struct pl_broker *broker = cleaner->broker;
    if (!broker->stopped) {
        pl_timer_set(broker->options.timers, &cleaner->timer,
                     pl_broker_monotonic_ms(broker) + (uint64_t)delay_ms);
    }
}

static struct pl_clean_limits limits_of(struct pl_cleaner *cleaner) {
    const struct pl_cleaner_settings *settings = &cleaner->settings;
    return (struct pl_clean_limits){
        .map_bytes = (size_t)settings->map_bytes / (size_t)settings->threads,
        .map_load = settings->map_load,
        .io_bytes = (size_t)settings->io_bytes / (size_t)settings->threads,
        .pace = &cleaner->pace,
    };
}

static struct pl_cleaning *find_idle(struct pl_cleaner *cleaner) {
    for (int32_t i = 0; i < cleaner->settings.threads; i++) {
        if (cleaner->cleanings[i].partition == NULL) {
            return &cleaner->cleanings[i];
        }
    }
    return NULL;
}

/* Takes over the caller's reference. */
static void start(struct pl_cleaning *cleaning, struct pl_partition *partition) {
    cleaning->partition = partition;
    cleaning->clean = NULL;
    cleaning->err = PL_OK;
    cleaning->limits = limits_of(cleaning->cleaner);
    cleaning->job.run = begin_run;
    cleaning->job.done = begin_done;
    cleaning->cleaner->running++;
    pl_partition_job_begins(partition);
    pl_broker_submit(cleaning->cleaner->broker, &cleaning->job, PL_JOB_SLOW);
}

static void continue_round(struct pl_cleaner *cleaner) {
    bool stopped = cleaner->broker->stopped;
    while (cleaner->next < cleaner->count) {
        struct pl_partition *partition = cleaner->round[cleaner->next];
        bool wanted = !stopped && partition->state == PL_PARTITION_SERVING;
        struct pl_cleaning *idle = wanted ? find_idle(cleaner) : NULL;
        if (wanted && idle == NULL && cleaner->running > 0) {
            return; /* goes on when one of those ends */
        }
        cleaner->next++;
        if (idle != NULL) {
            start(idle, partition);
        } else {
            pl_partition_release(partition);
        }
    }
    if (cleaner->running == 0 && cleaner->round != NULL) {
        free(cleaner->round);
        cleaner->round = NULL;
        set_timer(cleaner, cleaner->cleaned_any ? 0 : cleaner->settings.backoff_ms);
    }
}

static void add_compacted(void *context, struct pl_partition *partition) {
    struct pl_cleaner *cleaner = context;
    if (partition->state != PL_PARTITION_SERVING || partition->uncleanable ||
        cleaner->count == cleaner->room) {
        return;
    }
    pthread_mutex_lock(&partition->mutex);
    bool compacted = pl_log_config_of(partition->log)->compact_policy;
    pthread_mutex_unlock(&partition->mutex);
    if (compacted) {
        pl_partition_retain(partition);
        cleaner->round[cleaner->count++] = partition;
    }
}

static void fire(struct pl_timer *timer) {
    struct pl_cleaner *cleaner = PL_CONTAINER(timer, struct pl_cleaner, timer);
    int32_t threads = cleaner->settings.threads;
    cleaner->room = cleaner->broker->table.handle_capacity;
    cleaner->round = calloc(cleaner->room + 1, sizeof(struct pl_partition *));
    bool ready = threads > 0 && pl_worker_pool_grow(cleaner->threads, threads) > 0;
    if (cleaner->round == NULL || !ready) {
        free(cleaner->round);
        cleaner->round = NULL;
        set_timer(cleaner, cleaner->settings.backoff_ms); /* what is due stays due */
        return;
    }
    cleaner->cleaned_any = false;
    cleaner->count = cleaner->next = 0;
    pl_partition_table_each(&cleaner->broker->table, add_compacted, cleaner);
    continue_round(cleaner);
}

/* ---- life ---- */

static struct pl_cleaner_settings default_settings(void) {
    return (struct pl_cleaner_settings){
        .threads = 1,
        .map_bytes = 128 * 1024 * 1024,
        .map_load = 0.9,
        .io_bytes = 512 * 1024,
        .bytes_per_second = INFINITY,
        .backoff_ms = 15 * 1000,
    };
}

enum pl_err pl_cleaner_open(struct pl_broker *broker) {
    struct pl_cleaner *cleaner = calloc(1, sizeof *cleaner);
    if (cleaner == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = pl_worker_pool_create_background(
        broker->options.workers, PL_MAX_CLEANER_THREADS, &cleaner->threads);
    if (err != PL_OK) {
        free(cleaner);
        return err;
    }
    cleaner->broker = broker;
    cleaner->settings = default_settings();
    cleaner->timer.fire = fire;
    pl_clean_pace_open(&cleaner->pace);
    for (size_t i = 0; i < PL_MAX_CLEANER_THREADS; i++) {
        cleaner->cleanings[i].cleaner = cleaner;
    }
    broker->cleaner = cleaner;
    set_timer(cleaner, cleaner->settings.backoff_ms);
    return PL_OK;
}

void pl_broker_configure_cleaner(struct pl_broker *broker,
                                 const struct pl_cleaner_settings *settings) {
    struct pl_cleaner *cleaner = broker->cleaner;
    cleaner->settings = *settings;
    if (cleaner->settings.threads > PL_MAX_CLEANER_THREADS) {
        cleaner->settings.threads = PL_MAX_CLEANER_THREADS;
    }
    pl_clean_pace_set(&cleaner->pace, settings->bytes_per_second);
    if (cleaner->round == NULL) {
        set_timer(cleaner, cleaner->settings.backoff_ms);
    }
}

void pl_partition_stop_cleaning(struct pl_partition *partition) {
    pthread_mutex_lock(&partition->mutex);
    partition->leaving = true;
    if (partition->clean != NULL) {
        pl_clean_cancel(partition->clean);
    }
    pthread_mutex_unlock(&partition->mutex);
}

void pl_cleaner_stop(struct pl_broker *broker) {
    struct pl_cleaner *cleaner = broker->cleaner;
    pl_timer_clear(broker->options.timers, &cleaner->timer);
    for (size_t i = 0; i < PL_MAX_CLEANER_THREADS; i++) {
        if (cleaner->cleanings[i].partition != NULL) {
            pl_partition_stop_cleaning(cleaner->cleanings[i].partition);
        }
    }
    pl_worker_pool_destroy(cleaner->threads);
    cleaner->threads = NULL;
}

void pl_cleaner_close(struct pl_broker *broker) {
    if (broker->cleaner == NULL) {
        return;
    }
    pl_worker_pool_destroy(broker->cleaner->threads);
    pl_clean_pace_close(&broker->cleaner->pace);
    free(broker->cleaner);
}
