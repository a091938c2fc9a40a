/* Opening and closing partitions: the logs' part on the workers, the table's on the reactor. */
#include <assert.h>
#include <stdlib.h>

#include "broker/error_code.h"
#include "broker/partition.h"
#include "broker/state.h"

/* ---- open ---- */

struct pl_open_job {
    struct pl_job job;
    struct pl_opening *opening;
    struct pl_partition *partition; /* a reference */
    struct pl_log *log;
    struct pl_log_open open;
    struct pl_log_config config;
    struct pl_log_recovered recovered;
    enum pl_err err;
};

struct pl_opening { /* owned by its jobs: the last one that ends frees it */
    struct pl_broker *broker;
    struct pl_opening *following; /* of the broker's list */
    struct pl_partition_opened *results;
    uint64_t token;
    int32_t count, remaining;
    int32_t next;              /* job to begin next */
    int32_t running, parallel; /* jobs under way, and how many may be */
    bool tells_each;
    struct pl_open_job jobs[];
};

static void list_opening(struct pl_opening *opening) {
    opening->following = opening->broker->openings;
    opening->broker->openings = opening;
}

static void unlist_opening(struct pl_opening *opening) {
    struct pl_opening **at = &opening->broker->openings;
    while (*at != opening) {
        at = &(*at)->following;
    }
    *at = opening->following;
}

static void finish_opening(struct pl_opening *opening) {
    struct pl_done done = {.token = opening->token,
                           .data = (const uint8_t *)opening->results,
                           .length = (size_t)opening->count * sizeof *opening->results,
                           .storage = opening->results};
    unlist_opening(opening);
    pl_broker_done(opening->broker, &done);
    free(opening);
}

static void open_run(struct pl_job *job) {
    struct pl_open_job *open = PL_CONTAINER(job, struct pl_open_job, job);
    open->err = pl_log_open(&open->open, &open->config, &open->log);
    if (open->err != PL_OK) {
        return;
    }
    struct pl_log_offsets offsets;
    pl_log_offsets(open->log, &offsets);
    if (offsets.latest_epoch < open->partition->leader_epoch) {
        open->err = pl_log_epoch_begin(open->log, open->partition->leader_epoch);
    }
}

/* Also a log that could not be opened has its place: its clients get KAFKA_STORAGE_ERROR. */
static void start_serving(struct pl_partition *partition, struct pl_log *log, enum pl_err err) {
    pthread_mutex_lock(&partition->mutex);
    partition->log = log;
    pthread_mutex_unlock(&partition->mutex);
    partition->state = err == PL_OK ? PL_PARTITION_SERVING : PL_PARTITION_OFFLINE;
    if (partition->deleted) {
        partition->state = PL_PARTITION_CLOSING;
    }
    pl_partition_settle(partition);
}

static void end_open(struct pl_open_job *open) {
    struct pl_opening *opening = open->opening;
    const struct pl_broker_sink *sink = &opening->broker->options.sink;
    int32_t number = (int32_t)(open - opening->jobs);
    struct pl_partition_opened *result = &opening->results[number];
    *result = (struct pl_partition_opened){
        .error = pl_error_code(open->err),
        .passing = open->err == PL_ERR_NO_SPACE || open->err == PL_ERR_MEMORY ||
                   open->err == PL_ERR_LIMIT,
        .cut_below_recovery_point = open->recovered.cut_below_recovery_point,
        .bytes_scanned = open->recovered.bytes_scanned,
        .bytes_cut = open->recovered.bytes_cut,
    };
    if (open->partition != NULL) {
        start_serving(open->partition, open->log, open->err);
        result->handle = open->partition->handle;
        result->end_offset = open->partition->offsets.log_end;
        pl_partition_release(open->partition);
    }
    if (opening->tells_each) {
        sink->opened(sink->context, opening->token, number, result);
    }
    opening->running--;
    opening->remaining--;
}

/* Keeps as many jobs under way as there may be. Frees the opening when it was the last. */
static void go_on(struct pl_opening *opening) {
    while (opening->next < opening->count && opening->running < opening->parallel) {
        struct pl_open_job *job = &opening->jobs[opening->next++];
        opening->running++;
        if (job->err == PL_OK && !opening->broker->stopped) {
            pl_broker_submit(opening->broker, &job->job, PL_JOB_SLOW);
            continue;
        }
        job->err = job->err == PL_OK ? PL_ERR_CLOSED : job->err;
        end_open(job);
    }
    if (opening->remaining == 0) {
        finish_opening(opening);
    }
}

static void open_done(struct pl_job *job) {
    struct pl_open_job *open = PL_CONTAINER(job, struct pl_open_job, job);
    struct pl_opening *opening = open->opening;
    end_open(open);
    go_on(opening);
}

/* In the table and with a handle from here on, so that nobody takes its place. */
static enum pl_err register_partition(struct pl_broker *broker,
                                      const struct pl_partition_open *open,
                                      struct pl_partition **registered) {
    struct pl_partition *partition = pl_partition_create(broker, open);
    if (partition == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = pl_partition_attach(&broker->table, partition);
    if (err == PL_OK) {
        err = pl_handle_make(&broker->table, partition);
        if (err != PL_OK) {
            pl_partition_detach(&broker->table, partition);
        }
    }
    if (err != PL_OK) {
        pl_partition_release(partition);
        return err;
    }
    *registered = partition;
    return PL_OK;
}

static void prepare_open(struct pl_opening *opening, struct pl_open_job *job,
                         const struct pl_partition_open *open) {
    struct pl_broker *broker = opening->broker;
    job->opening = opening;
    job->job.run = open_run;
    job->job.done = open_done;
    job->err = register_partition(broker, open, &job->partition);
    if (job->err == PL_OK && open->folder[0] == '\0') {
        job->err = PL_ERR_OFFLINE;
    }
    if (job->err != PL_OK) {
        return;
    }
    job->config = *open->config;
    job->open = (struct pl_log_open){.fs = broker->options.fs,
                                     .clock = broker->options.clock,
                                     .disposal = &broker->disposal,
                                     .folder = job->partition->folder,
                                     .clean_shutdown = open->clean_shutdown,
                                     .recovery_point = open->recovery_point,
                                     .log_start_offset = open->log_start_offset,
                                     .cleaned_end = open->cleaned_end,
                                     .recovered = &job->recovered};
}

void pl_broker_open_partitions(struct pl_broker *broker, uint64_t token,
                               const struct pl_partition_open *partitions, int32_t count,
                               int32_t parallel) {
    size_t n = count > 0 ? (size_t)count : 0;
    struct pl_opening *opening = calloc(1, sizeof *opening + n * sizeof opening->jobs[0]);
    struct pl_partition_opened *results = calloc(n + 1, sizeof *results);
    if (opening == NULL || results == NULL || n == 0) {
        bool failed = opening == NULL || results == NULL;
        free(opening);
        free(results);
        struct pl_done done = {.token = token,
                               .error = pl_error_code(failed ? PL_ERR_MEMORY : PL_OK)};
        pl_broker_done(broker, &done);
        return;
    }
    *opening = (struct pl_opening){.broker = broker, .results = results, .token = token,
                                   .count = count, .remaining = count,
                                   .parallel = parallel > 0 ? parallel : count,
                                   .tells_each = parallel > 0};
    list_opening(opening);
    for (size_t i = 0; i < n; i++) {
        prepare_open(opening, &opening->jobs[i], &partitions[i]);
    }
    go_on(opening);
}

void pl_broker_cancel_openings(struct pl_broker *broker) {
    for (struct pl_opening *opening = broker->openings, *following; opening != NULL;
         opening = following) {
        following = opening->following;
        for (int32_t i = opening->next; i < opening->count; i++) {
            opening->jobs[i].err = PL_ERR_CLOSED;
        }
        opening->parallel = INT32_MAX;
        go_on(opening);
    }
}

void pl_broker_withdraw_partition(struct pl_broker *broker, const uint8_t *topic_id,
                                  int32_t index) {
    const struct pl_topic *topic = pl_topic_by_id(&broker->table, topic_id);
    struct pl_partition *partition = topic == NULL ? NULL : pl_topic_partition(topic, index);
    if (partition == NULL) {
        return;
    }
    partition->deleted = true;
    if (partition->state != PL_PARTITION_OPENING) { /* too late to prevent it */
        partition->state = PL_PARTITION_CLOSING;
        pl_partition_end_waits(partition, pl_partition_error(partition));
        pl_partition_wake_watches(partition);
    }
}

/* ---- close ---- */

struct pl_close_job {
    struct pl_job job;
    struct pl_closing *closing;
    struct pl_partition *partition; /* a reference */
    enum pl_err err;
};

struct pl_closing { /* owned by its jobs: the last one that ends frees it */
    struct pl_broker *broker;
    uint64_t token;
    int32_t remaining;
    bool delete_files;
    enum pl_err err; /* the first */
    struct pl_close_job jobs[];
};

static enum pl_err close_log(struct pl_partition *partition, bool delete_files) {
    pthread_mutex_lock(&partition->mutex);
    struct pl_log *log = partition->log;
    partition->log = NULL;
    pthread_mutex_unlock(&partition->mutex);
    if (log == NULL) {
        return PL_OK;
    }
    return delete_files ? pl_log_delete(log) : pl_log_close(log);
}

/* What was appended is on the disk now. Who waited for that is told so: if they sent it again, the
 * next to open the log might not know it for a repetition, as snapshots keep a producer's last
 * batch only. */
static void end_closing(struct pl_partition *partition, enum pl_err err) {
    partition->state = PL_PARTITION_CLOSED;
    pl_partition_end_waits(partition,
                           err == PL_OK ? PL_KAFKA_NONE : pl_partition_error(partition));
}

static void close_run(struct pl_job *job) {
    struct pl_close_job *close = PL_CONTAINER(job, struct pl_close_job, job);
    close->err = close_log(close->partition, close->closing->delete_files);
}

static void close_done(struct pl_job *job) {
    struct pl_close_job *close = PL_CONTAINER(job, struct pl_close_job, job);
    struct pl_closing *closing = close->closing;
    if (close->partition != NULL) {
        close->partition->closing = NULL;
        end_closing(close->partition, close->err);
        pl_partition_release(close->partition);
    }
    closing->err = closing->err == PL_OK ? close->err : closing->err;
    if (--closing->remaining == 0) {
        struct pl_done done = {.token = closing->token, .error = pl_error_code(closing->err)};
        pl_broker_done(closing->broker, &done);
        free(closing);
    }
}

void pl_partition_job_begins(struct pl_partition *partition) {
    partition->jobs++;
    pl_partition_retain(partition);
}

void pl_partition_job_ended(struct pl_partition *partition) {
    assert(partition->jobs > 0);
    partition->jobs--;
    if (partition->jobs == 0 && partition->closing != NULL) {
        pl_broker_submit(partition->broker, &partition->closing->job, PL_JOB_SLOW);
    }
    pl_partition_release(partition);
}

static void stop_serving(struct pl_partition *partition, bool deleted) {
    struct pl_partition_table *table = &partition->broker->table;
    partition->state = PL_PARTITION_CLOSING;
    partition->deleted = deleted;
    pl_partition_settle(partition); /* staged bytes are those of this turn's requests */
    pl_partition_detach(table, partition);
    pl_handle_forget(table, partition->handle);
    if (deleted) {
        pl_partition_end_waits(partition, pl_partition_error(partition));
    }
    pl_partition_wake_watches(partition);
    pl_partition_stop_cleaning(partition);
}

static void start_close(struct pl_broker *broker, struct pl_close_job *job, uint64_t handle) {
    job->job.run = close_run;
    job->job.done = close_done;
    job->partition = pl_partition_by_handle(&broker->table, handle);
    if (job->partition == NULL) {
        job->err = PL_ERR_CLOSED;
        close_done(&job->job);
        return;
    }
    stop_serving(job->partition, job->closing->delete_files);
    job->partition->closing = job;
    if (job->partition->jobs == 0) {
        pl_broker_submit(broker, &job->job, PL_JOB_SLOW);
    }
}

void pl_broker_close_partitions(struct pl_broker *broker, uint64_t token, const uint64_t *handles,
                                int32_t count, bool delete_files) {
    size_t n = count > 0 ? (size_t)count : 0;
    struct pl_closing *closing = calloc(1, sizeof *closing + n * sizeof closing->jobs[0]);
    if (closing == NULL || n == 0) {
        struct pl_done done = {.token = token,
                               .error = pl_error_code(closing == NULL ? PL_ERR_MEMORY : PL_OK)};
        free(closing);
        pl_broker_done(broker, &done);
        return;
    }
    *closing = (struct pl_closing){
        .broker = broker, .token = token, .remaining = count, .delete_files = delete_files};
    for (size_t i = 0; i < n; i++) {
        closing->jobs[i].closing = closing;
        start_close(broker, &closing->jobs[i], handles[i]);
    }
}

/* ---- failed disks ---- */

static void fail_partition(struct pl_partition *partition) {
    pthread_mutex_lock(&partition->mutex);
    if (partition->log != NULL) {
        pl_log_set_offline(partition->log);
    }
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_settle(partition);
}

void pl_broker_fail_partitions(struct pl_broker *broker, const uint64_t *handles, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        struct pl_partition *partition = pl_partition_by_handle(&broker->table, handles[i]);
        if (partition != NULL) {
            fail_partition(partition);
            pl_partition_release(partition);
        }
    }
}

/* ---- the end ---- */

void pl_partition_close_now(struct pl_partition *partition) {
    pl_partition_retain(partition);
    stop_serving(partition, false);
    end_closing(partition, close_log(partition, false));
    pl_partition_release(partition);
}
