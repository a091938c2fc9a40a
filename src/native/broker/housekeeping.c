/* Retention, rolls by time, expiry of producers: every log in one job, every so often. */
#include <stdlib.h>

#include "broker/state.h"

struct pl_housekeeping { /* owned by its job */
    struct pl_job job;
    struct pl_broker *broker;
    int64_t now_ms;
    size_t count, room;
    struct pl_partition *partitions[]; /* a reference each */
};

/* Whether there may be more to do. */
static bool keep_some(struct pl_partition *partition, int64_t now_ms) {
    int32_t removed = 0;
    enum pl_err err = PL_OK;
    pthread_mutex_lock(&partition->mutex);
    if (partition->log != NULL) {
        /* A failure has taken the log offline, which the next settle tells. */
        err = pl_log_housekeep(partition->log, now_ms, partition->high_watermark, &removed);
    }
    pthread_mutex_unlock(&partition->mutex);
    return err == PL_OK && removed > 0;
}

static void housekeep_run(struct pl_job *job) {
    struct pl_housekeeping *keeping = PL_CONTAINER(job, struct pl_housekeeping, job);
    for (size_t i = 0; i < keeping->count; i++) {
        while (keep_some(keeping->partitions[i], keeping->now_ms)) {
            pl_let_others_lock();
        }
    }
}

static void set_timer(struct pl_broker *broker) {
    int64_t interval_ms = broker->options.housekeep_interval_ms;
    if (interval_ms > 0 && !broker->stopped) {
        pl_timer_set(broker->options.timers, &broker->housekeep_timer,
                     pl_broker_monotonic_ms(broker) + (uint64_t)interval_ms);
    }
}

static void housekeep_done(struct pl_job *job) {
    struct pl_housekeeping *keeping = PL_CONTAINER(job, struct pl_housekeeping, job);
    struct pl_broker *broker = keeping->broker;
    for (size_t i = 0; i < keeping->count; i++) {
        pl_partition_touch(keeping->partitions[i]); /* offsets may have moved, a flush be due */
        pl_partition_release(keeping->partitions[i]);
    }
    free(keeping);
    broker->housekeeping = NULL;
    set_timer(broker);
}

static void add(void *context, struct pl_partition *partition) {
    struct pl_housekeeping *keeping = context;
    if (keeping->count < keeping->room) {
        pl_partition_retain(partition);
        keeping->partitions[keeping->count++] = partition;
    }
}

static void housekeep_fire(struct pl_timer *timer) {
    struct pl_broker *broker = PL_CONTAINER(timer, struct pl_broker, housekeep_timer);
    size_t room = broker->table.handle_capacity;
    struct pl_housekeeping *keeping =
        calloc(1, sizeof *keeping + room * sizeof(struct pl_partition *));
    if (keeping == NULL) {
        set_timer(broker); /* what is due stays due */
        return;
    }
    keeping->job.run = housekeep_run;
    keeping->job.done = housekeep_done;
    keeping->broker = broker;
    keeping->now_ms = pl_broker_now_ms(broker);
    keeping->room = room;
    pl_partition_table_each(&broker->table, add, keeping);
    broker->housekeeping = keeping;
    pl_broker_submit(broker, &keeping->job, PL_JOB_SLOW);
}

void pl_housekeeping_start(struct pl_broker *broker) {
    broker->housekeep_timer.fire = housekeep_fire;
    set_timer(broker);
}
