/* What the control plane asks of a partition: append, read, find, forget (pylog/engine.h). */
#include <stdlib.h>
#include <string.h>

#include "broker/error_code.h"
#include "broker/state.h"
#include "broker/survey.h"

static void end_with(const struct pl_broker *broker, uint64_t token, int16_t error) {
    struct pl_done done = {.token = token, .value = -1, .value2 = -1, .error = error};
    pl_broker_done(broker, &done);
}

/* ---- append ---- */

struct control_append { /* owned by its wait */
    struct pl_wait wait;
    struct pl_broker *broker;
    uint64_t token;
    int64_t first_offset;
};

static void append_end(struct pl_wait *wait, int16_t error) {
    struct control_append *append = PL_CONTAINER(wait, struct control_append, wait);
    struct pl_done done = {.token = append->token,
                           .value = error == 0 ? append->first_offset : -1,
                           .value2 = error == 0 ? wait->end_offset : -1,
                           .error = error};
    pl_broker_done(append->broker, &done);
    free(append);
}

static void append_to(struct pl_partition *partition, struct control_append *append,
                      const struct pl_records *records, bool coordinator,
                      enum pl_append_wait until) {
    struct pl_appended appended;
    enum pl_err err =
        pl_partition_append(partition, coordinator ? PL_APPEND_COORDINATOR : PL_APPEND_CLIENT,
                            true, records, NULL, &appended);
    if (err != PL_OK) {
        append_end(&append->wait, pl_error_code(err));
        return;
    }
    append->first_offset = appended.first_offset;
    append->wait.end_offset = appended.end_offset;
    pl_partition_wait(partition, until == PL_WAIT_COMMITTED ? PL_LEVEL_COMMITTED : PL_LEVEL_WRITTEN,
                      &append->wait);
}

void pl_broker_append(struct pl_broker *broker, uint64_t token, uint64_t handle, uint8_t *bytes,
                      size_t length, bool coordinator, enum pl_append_wait wait) {
    struct control_append *append = calloc(1, sizeof *append);
    struct pl_records records = {bytes, length, pl_holding_of_malloc(bytes)};
    if (append == NULL) {
        free(bytes);
        end_with(broker, token, pl_error_code(PL_ERR_MEMORY));
        return;
    }
    append->broker = broker;
    append->token = token;
    append->wait.end = append_end;
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    int16_t error =
        partition == NULL ? PL_KAFKA_NOT_LEADER_OR_FOLLOWER : pl_partition_error(partition);
    if (error != PL_KAFKA_NONE) {
        free(bytes);
        append_end(&append->wait, error);
    } else {
        append_to(partition, append, &records, coordinator, wait);
    }
    if (partition != NULL) {
        pl_partition_release(partition);
    }
}

/* ---- jobs that read files ---- */

struct control_job { /* owned by its job */
    struct pl_job job;
    struct pl_partition *partition; /* kept by pl_partition_job_begins */
    enum pl_err (*work)(struct control_job *job, struct pl_log *log);
    struct pl_done done;
    int64_t offset, until_offset, timestamp_ms; /* what is asked */
    uint32_t max_bytes;
    bool to_log_end, read_committed;
};

static void control_run(struct pl_job *job) {
    struct control_job *control = PL_CONTAINER(job, struct control_job, job);
    struct pl_log *log = control->partition->log; /* stays: jobs hold it open */
    enum pl_err err = log == NULL ? PL_ERR_OFFLINE : control->work(control, log);
    control->done.error = pl_error_code(err);
}

static void control_done(struct pl_job *job) {
    struct control_job *control = PL_CONTAINER(job, struct control_job, job);
    struct pl_broker *broker = control->partition->broker;
    pl_partition_job_ended(control->partition);
    pl_broker_done(broker, &control->done);
    free(control);
}

static void submit(struct pl_broker *broker, uint64_t handle, const struct control_job *asked) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    struct control_job *job = calloc(1, sizeof *job);
    if (partition == NULL || job == NULL) {
        enum pl_err err = partition == NULL ? PL_ERR_CLOSED : PL_ERR_MEMORY;
        end_with(broker, asked->done.token, pl_error_code(err));
        free(job);
    } else {
        *job = *asked;
        job->job.run = control_run;
        job->job.done = control_done;
        job->partition = partition;
        pl_partition_job_begins(partition);
        pl_broker_submit(broker, &job->job, PL_JOB_SLOW);
    }
    if (partition != NULL) {
        pl_partition_release(partition);
    }
}

/* ---- read ---- */

static enum pl_err load(struct control_job *job, const struct pl_slice *slice) {
    const struct pl_fs *fs = job->partition->broker->options.fs;
    uint8_t *bytes = malloc(slice->length);
    if (bytes == NULL) {
        return PL_ERR_MEMORY;
    }
    size_t got = 0;
    enum pl_err err =
        fs->read_at(fs->context, slice->fd, bytes, slice->length, slice->position, &got);
    if (err == PL_OK && got < slice->length) {
        err = PL_ERR_CORRUPT; /* the file is shorter than what was written to it */
    }
    if (err != PL_OK) {
        free(bytes);
        return err;
    }
    job->done.data = job->done.storage = bytes;
    job->done.length = slice->length;
    return PL_OK;
}

static enum pl_err read_work(struct control_job *job, struct pl_log *log) {
    struct pl_partition *partition = job->partition;
    struct pl_slice slice = {0};
    pthread_mutex_lock(&partition->mutex);
    int64_t bound =
        job->to_log_end ? partition->offsets.written_end : partition->high_watermark;
    enum pl_err err = pl_log_locate(log, job->offset, bound, job->max_bytes, true, &slice);
    pthread_mutex_unlock(&partition->mutex);
    job->done.value = job->offset;
    if (err != PL_OK || slice.segment == NULL) {
        return err;
    }
    err = load(job, &slice);
    job->done.value = err == PL_OK ? slice.end_offset : job->offset;
    pl_segment_release(slice.segment);
    return err;
}

void pl_broker_read(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                    uint32_t max_bytes, bool to_log_end) {
    struct control_job job = {.work = read_work,
                              .done = {.token = token},
                              .offset = offset,
                              .max_bytes = max_bytes,
                              .to_log_end = to_log_end};
    submit(broker, handle, &job);
}

/* ---- survey ---- */

static enum pl_err survey_work(struct control_job *job, struct pl_log *log) {
    struct pl_partition *partition = job->partition;
    struct pl_slice slice = {0};
    struct pl_survey survey = {.fs = partition->broker->options.fs,
                               .until_offset = job->until_offset};
    pthread_mutex_lock(&partition->mutex);
    int64_t bound = job->read_committed ? partition->last_stable : partition->high_watermark;
    enum pl_err err = pl_log_locate(log, job->offset, bound, job->max_bytes, true, &slice);
    if (err == PL_OK && job->read_committed && slice.segment != NULL) {
        err = pl_survey_find_aborted(&survey, log, &slice);
    }
    pthread_mutex_unlock(&partition->mutex);
    job->done.value = job->offset;
    if (slice.segment == NULL) {
        return err;
    }
    if (err == PL_OK) {
        err = pl_survey_run(&survey, &slice);
    }
    if (err == PL_OK) {
        job->done.value = survey.next_offset;
        job->done.data = job->done.storage = survey.views;
        job->done.length = survey.count * sizeof *survey.views;
        survey.views = NULL;
    }
    pl_survey_close(&survey);
    pl_segment_release(slice.segment);
    return err;
}

void pl_broker_survey(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                      int64_t until_offset, uint32_t max_bytes, bool read_committed) {
    struct control_job job = {.work = survey_work,
                              .done = {.token = token},
                              .offset = offset,
                              .until_offset = until_offset,
                              .max_bytes = max_bytes,
                              .read_committed = read_committed};
    submit(broker, handle, &job);
}

enum pl_err pl_broker_locate(struct pl_broker *broker, uint64_t handle, int64_t offset,
                             uint32_t max_bytes, struct pl_slice *slice) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition == NULL) {
        return PL_ERR_CLOSED;
    }
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = partition->log == NULL
                          ? PL_ERR_CLOSED
                          : pl_log_locate(partition->log, offset, partition->high_watermark,
                                          max_bytes, true, slice);
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_release(partition);
    if (err == PL_OK) {
        pl_count(&broker->counters.bytes_fetched, slice->length);
    }
    return err;
}

/* ---- find by time ---- */

enum { LATEST_TIME = -3 }; /* ListOffsets: the record with the highest timestamp (KIP-734) */

static void lock_partition(void *owner) {
    struct pl_partition *partition = owner;
    pthread_mutex_lock(&partition->mutex);
}

static void unlock_partition(void *owner) {
    struct pl_partition *partition = owner;
    pthread_mutex_unlock(&partition->mutex);
}

static enum pl_err find_work(struct control_job *job, struct pl_log *log) {
    struct pl_partition *partition = job->partition;
    const struct pl_lock lock = {
        .owner = partition, .lock = lock_partition, .unlock = unlock_partition};
    struct pl_time_offset found = {-1, -1, -1};
    lock_partition(partition);
    int64_t bound = job->read_committed ? partition->last_stable : partition->high_watermark;
    unlock_partition(partition);
    enum pl_err err = job->timestamp_ms == LATEST_TIME
                          ? pl_log_find_max_time(log, &lock, bound, &found)
                          : pl_log_find_time(log, &lock, job->timestamp_ms, bound, &found);
    int32_t *epoch = malloc(sizeof *epoch);
    if (epoch == NULL) {
        return PL_ERR_MEMORY;
    }
    *epoch = found.leader_epoch;
    job->done.data = job->done.storage = epoch;
    job->done.length = sizeof *epoch;
    job->done.value = found.offset;
    job->done.value2 = found.timestamp_ms;
    return err;
}

void pl_broker_find_time(struct pl_broker *broker, uint64_t token, uint64_t handle,
                         int64_t timestamp_ms, bool read_committed) {
    struct control_job job = {.work = find_work,
                              .done = {.token = token},
                              .timestamp_ms = timestamp_ms,
                              .read_committed = read_committed};
    submit(broker, handle, &job);
}

/* ---- delete records (KIP-107) ---- */

static int16_t delete_before(struct pl_partition *partition, int64_t before_offset,
                             int64_t *log_start) {
    int16_t error = pl_partition_error(partition);
    if (error != PL_KAFKA_NONE) {
        return error;
    }
    int64_t offset = before_offset == -1 ? partition->high_watermark : before_offset;
    if (offset < 0 || offset > partition->high_watermark) {
        return PL_KAFKA_OFFSET_OUT_OF_RANGE;
    }
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = offset > partition->offsets.log_start
                          ? pl_log_advance_start(partition->log, offset)
                          : PL_OK;
    pl_log_offsets(partition->log, &partition->offsets);
    pthread_mutex_unlock(&partition->mutex);
    *log_start = partition->offsets.log_start;
    return pl_error_code(err);
}

void pl_broker_delete_records(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t before_offset) {
    struct pl_done done = {.token = token, .value = -1, .error = PL_KAFKA_NOT_LEADER_OR_FOLLOWER};
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition != NULL) {
        done.error = delete_before(partition, before_offset, &done.value);
        pl_partition_release(partition);
    }
    pl_broker_done(broker, &done);
}

/* ---- any thread ---- */

void pl_broker_configure_partition(struct pl_broker *broker, uint64_t handle,
                                   const struct pl_log_config *config) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition == NULL) {
        return;
    }
    pthread_mutex_lock(&partition->mutex);
    if (partition->log != NULL) {
        pl_log_configure(partition->log, config);
    }
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_release(partition);
}

int16_t pl_broker_partition_offsets(struct pl_broker *broker, uint64_t handle,
                                    struct pl_partition_offsets *offsets) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition == NULL) {
        return PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    }
    pthread_mutex_lock(&partition->mutex);
    bool open = partition->log != NULL;
    const struct pl_log_offsets *own = &partition->offsets;
    *offsets = (struct pl_partition_offsets){.log_start = own->log_start,
                                             .flushed_end = own->flushed_end,
                                             .recovery_point = own->recovery_point,
                                             .log_end = own->written_end,
                                             .high_watermark = partition->high_watermark,
                                             .last_stable = partition->last_stable,
                                             .size_bytes = own->size_bytes,
                                             .leader_epoch = partition->leader_epoch,
                                             .segment_count = own->segment_count,
                                             .cleaned_end = own->cleaned_end,
                                             .offline = own->offline || !open,
                                             .uncleanable = partition->uncleanable};
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_release(partition);
    return open ? PL_KAFKA_NONE : PL_KAFKA_KAFKA_STORAGE_ERROR;
}

int16_t pl_broker_epoch_end(struct pl_broker *broker, uint64_t handle, int32_t epoch,
                            int32_t *found_epoch, int64_t *end_offset) {
    *found_epoch = -1;
    *end_offset = -1;
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition == NULL) {
        return PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    }
    pthread_mutex_lock(&partition->mutex);
    bool open = partition->log != NULL;
    if (open) {
        pl_log_epoch_end(partition->log, epoch, found_epoch, end_offset);
    }
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_release(partition);
    return open ? PL_KAFKA_NONE : PL_KAFKA_KAFKA_STORAGE_ERROR;
}

int16_t pl_broker_producers(struct pl_broker *broker, uint64_t handle,
                            struct pl_producer_view *views, size_t *count) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    if (partition == NULL) {
        return PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    }
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = partition->log == NULL ? PL_ERR_CLOSED
                                             : pl_log_producers(partition->log, views, count);
    pthread_mutex_unlock(&partition->mutex);
    pl_partition_release(partition);
    return err == PL_OK ? PL_KAFKA_NONE : PL_KAFKA_KAFKA_STORAGE_ERROR;
}
