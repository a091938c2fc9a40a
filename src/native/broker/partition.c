#include "broker/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "broker/error_code.h"
#include "broker/held_flushes.h"
#include "broker/message_set.h"
#include "broker/state.h"

static void write_run(struct pl_job *job);
static void write_done(struct pl_job *job);
static void flush_run(struct pl_job *job);
static void flush_done(struct pl_job *job);

/* ---- one open and close pair ---- */

static bool is_internal(const char *name) {
    return strcmp(name, "__consumer_offsets") == 0 || strcmp(name, "__transaction_state") == 0 ||
           strcmp(name, "__share_group_state") == 0;
}

struct pl_partition *pl_partition_create(struct pl_broker *broker,
                                         const struct pl_partition_open *open) {
    size_t length = strlen(open->topic);
    char *folder = strdup(open->folder);
    struct pl_partition *partition = calloc(1, sizeof *partition + length + 1);
    if (length > UINT16_MAX || folder == NULL || partition == NULL) {
        free(folder);
        free(partition);
        return NULL;
    }
    atomic_init(&partition->references, 1);
    partition->broker = broker;
    partition->index = open->partition;
    partition->leader_epoch = open->leader_epoch;
    partition->internal = is_internal(open->topic);
    partition->folder = folder;
    partition->name_length = (uint16_t)length;
    memcpy(partition->name, open->topic, length);
    memcpy(partition->topic_id, open->topic_id, PL_TOPIC_ID_BYTES);
    partition->flush_job.run = flush_run;
    partition->flush_job.done = flush_done;
    partition->write_job.run = write_run;
    partition->write_job.done = write_done;
    pthread_mutex_init(&partition->mutex, NULL);
    pl_ring_init(&partition->watches);
    for (int level = 0; level < PL_LEVEL_COUNT; level++) {
        pl_ring_init(&partition->waits[level]);
    }
    return partition;
}

void pl_partition_retain(struct pl_partition *partition) {
    atomic_fetch_add_explicit(&partition->references, 1, memory_order_relaxed);
}

void pl_partition_release(struct pl_partition *partition) {
    if (atomic_fetch_sub_explicit(&partition->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    assert(partition->log == NULL && partition->topic == NULL);
    pthread_mutex_destroy(&partition->mutex);
    pl_holdings_free(&partition->staged);
    pl_holdings_free(&partition->writing);
    free(partition->folder);
    free(partition);
}

int16_t pl_partition_error(const struct pl_partition *partition) {
    if (partition->state == PL_PARTITION_SERVING) {
        return PL_KAFKA_NONE;
    }
    if (partition->state == PL_PARTITION_OFFLINE) {
        return PL_KAFKA_KAFKA_STORAGE_ERROR;
    }
    return partition->deleted ? PL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                              : PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
}

/* ---- appending ---- */

void pl_partition_touch(struct pl_partition *partition) {
    if (!partition->touched) {
        partition->touched = true;
        partition->touched_next = partition->broker->touched;
        partition->broker->touched = partition;
        pl_partition_retain(partition);
    }
}

static void count_append(struct pl_broker_counters *counters, const struct pl_appended *appended,
                         size_t n) {
    pl_count(&counters->batches_appended, 1);
    pl_count(&counters->bytes_appended, n);
    pl_count(&counters->records_appended,
             (uint64_t)(appended->end_offset - appended->first_offset));
}

bool pl_partition_in_transaction(struct pl_partition *partition, int64_t producer_id,
                                 int16_t producer_epoch) {
    pthread_mutex_lock(&partition->mutex);
    bool open = partition->log != NULL &&
                pl_log_in_transaction(partition->log, producer_id, producer_epoch);
    pthread_mutex_unlock(&partition->mutex);
    return open;
}

static void replace(struct pl_records *records, struct pl_buf *buf, size_t length) {
    pl_holding_release(&records->memory);
    *records = (struct pl_records){buf->bytes, length, pl_holding_of_buf(buf)};
}

static enum pl_err convert(struct pl_broker *broker, struct pl_records *records) {
    struct pl_buf *batch;
    size_t length;
    enum pl_err err =
        pl_message_set_convert(broker, records->bytes, records->length, &batch, &length);
    if (err == PL_OK) {
        replace(records, batch, length);
    }
    return err;
}

enum { COPIED_BYTES = 16 * 1024 };

/* Small batches that have to wait leave the buffer that they share with many requests: it would
 * be kept as long. */
static void move_out(struct pl_broker *broker, struct pl_records *records) {
    struct pl_buf *copy = pl_buf_take(broker->options.pool, records->length);
    if (copy != NULL) {
        memcpy(copy->bytes, records->bytes, records->length);
        replace(records, copy, records->length);
    }
}

static enum pl_err append_held(struct pl_partition *partition, const struct pl_append *append,
                               const struct pl_records *records, struct pl_appended *appended) {
    if (!pl_holdings_reserve(&partition->staged)) {
        return PL_ERR_MEMORY;
    }
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = partition->log == NULL
                          ? PL_ERR_CLOSED
                          : pl_log_append(partition->log, append, records->bytes, records->length,
                                          appended);
    pthread_mutex_unlock(&partition->mutex);
    return err;
}

enum pl_err pl_partition_append(struct pl_partition *partition, enum pl_append_origin origin,
                                bool verified, const struct pl_records *records,
                                struct pl_bad_records *bad, struct pl_appended *appended) {
    struct pl_broker *broker = partition->broker;
    const struct pl_append append = {.origin = origin,
                                     .leader_epoch = partition->leader_epoch,
                                     .now_ms = pl_broker_now_ms(broker),
                                     .transaction_verified = verified,
                                     .codec = broker->codec,
                                     .bad = bad};
    struct pl_records own = *records;
    enum pl_err err = PL_OK;
    if (pl_is_message_set(own.bytes, own.length)) {
        err = convert(broker, &own);
    } else if (partition->write != NULL && own.length <= COPIED_BYTES) {
        move_out(broker, &own);
    }
    if (err == PL_OK) {
        err = append_held(partition, &append, &own, appended);
    }
    if (err == PL_OK && !appended->duplicate) {
        count_append(&broker->counters, appended, own.length);
        pl_holdings_add(&partition->staged, &own.memory);
    } else {
        pl_holding_release(&own.memory); /* no staged byte lies in it that will be written */
    }
    pl_partition_touch(partition);
    return err;
}

/* ---- offsets ---- */

/* The replicas in sync are this one, so what is durable here is committed. */
static int64_t committed_end(const struct pl_partition *partition) {
    return pl_partition_end(partition, PL_LEVEL_DURABLE);
}

int64_t pl_partition_end(const struct pl_partition *partition, enum pl_level level) {
    const struct pl_log_offsets *offsets = &partition->offsets;
    if (level == PL_LEVEL_COMMITTED) {
        return partition->high_watermark;
    }
    bool flushed = level == PL_LEVEL_DURABLE && partition->durability == PL_DURABILITY_FSYNC;
    return flushed ? offsets->flushed_end : offsets->written_end;
}

/* With the mutex held. */
static void take_offsets(struct pl_partition *partition) {
    pl_log_offsets(partition->log, &partition->offsets);
    const struct pl_log_config *config = pl_log_config_of(partition->log);
    partition->durability = config->flush_messages <= 1 ? PL_DURABILITY_FSYNC : config->durability;
    int64_t committed = committed_end(partition);
    if (committed > partition->high_watermark) {
        partition->high_watermark = committed;
    }
    partition->last_stable = pl_log_last_stable(partition->log, partition->high_watermark);
}

/* ---- who waits ---- */

void pl_partition_wait(struct pl_partition *partition, enum pl_level level, struct pl_wait *wait) {
    struct pl_ring *head = &partition->waits[level];
    struct pl_ring *before = head->previous;
    /* Only a duplicate of an earlier batch is not at the end. */
    while (before != head &&
           PL_CONTAINER(before, struct pl_wait, link)->end_offset > wait->end_offset) {
        before = before->previous;
    }
    pl_ring_insert(before, &wait->link);
    partition->flush_hold.arrived += level == PL_LEVEL_WRITTEN ? 0 : 1;
}

void pl_partition_watch(struct pl_partition *partition, struct pl_watch *watch) {
    pl_ring_add(&partition->watches, &watch->link);
}

static void end_wait(struct pl_ring *link, int16_t error) {
    struct pl_wait *wait = PL_CONTAINER(link, struct pl_wait, link);
    pl_ring_leave(link);
    wait->end(wait, error);
}

static void end_reached(struct pl_partition *partition, enum pl_level level) {
    struct pl_ring *head = &partition->waits[level];
    int64_t end = pl_partition_end(partition, level);
    while (!pl_ring_is_empty(head) &&
           PL_CONTAINER(head->next, struct pl_wait, link)->end_offset <= end) {
        end_wait(head->next, PL_KAFKA_NONE);
        partition->flush_hold.answered += level == PL_LEVEL_WRITTEN ? 0 : 1;
    }
}

/* Those whose offset is above what the log has, or can still reach. */
static void end_beyond(struct pl_partition *partition, int64_t end, int16_t error) {
    for (int level = 0; level < PL_LEVEL_COUNT; level++) {
        struct pl_ring *head = &partition->waits[level];
        while (!pl_ring_is_empty(head) &&
               PL_CONTAINER(head->previous, struct pl_wait, link)->end_offset > end) {
            end_wait(head->previous, error);
        }
    }
}

void pl_partition_wake_watches(struct pl_partition *partition) {
    struct pl_ring *head = &partition->watches;
    for (struct pl_ring *link = head->next, *next; link != head; link = next) {
        struct pl_watch *watch = PL_CONTAINER(link, struct pl_watch, link);
        next = link->next;
        watch->wake(watch);
    }
}

void pl_partition_end_waits(struct pl_partition *partition, int16_t error) {
    end_beyond(partition, INT64_MIN, error);
}

static void tell_offline(struct pl_partition *partition) {
    const struct pl_broker_sink *sink = &partition->broker->options.sink;
    if (partition->state == PL_PARTITION_SERVING) {
        partition->state = PL_PARTITION_OFFLINE;
    }
    end_beyond(partition, INT64_MIN, PL_KAFKA_KAFKA_STORAGE_ERROR);
    pl_partition_wake_watches(partition);
    if (!partition->offline_told) {
        partition->offline_told = true;
        sink->offline(sink->context, partition->handle);
    }
}

/* After the offsets have moved, or after a failed write, which took some back. */
static void tell(struct pl_partition *partition, bool readable_moved, enum pl_err err) {
    if (err != PL_OK) {
        end_beyond(partition, partition->offsets.log_end, pl_error_code(err));
    }
    for (int level = 0; level < PL_LEVEL_COUNT; level++) {
        end_reached(partition, (enum pl_level)level);
    }
    if (readable_moved) {
        pl_partition_wake_watches(partition);
    }
    if (partition->offsets.offline) {
        tell_offline(partition);
    }
}

/* ---- writing and flushing ---- */

static bool wants_flush(const struct pl_partition *partition) {
    return partition->state == PL_PARTITION_SERVING && partition->flush == NULL &&
           !partition->broker->stopped &&
           pl_log_flush_due(partition->log, pl_broker_now_ms(partition->broker));
}

/* With the mutex held; the job is submitted without it. In the turn in which the last flush has
 * ended it is not known yet how many that answers. */
static bool begin_flush(struct pl_partition *partition) {
    uint64_t now_ns = pl_broker_monotonic_ns(partition->broker);
    if (partition->flush_ended || pl_flush_is_held(&partition->flush_hold, now_ns)) {
        pl_held_flushes_add(partition);
        return false;
    }
    enum pl_err err = pl_log_flush_begin(partition->log, &partition->flush);
    if (err != PL_OK) {
        partition->flush = NULL;
    }
    if (partition->flush != NULL) {
        pl_flush_hold_begin(&partition->flush_hold, now_ns);
    }
    return partition->flush != NULL;
}

static void flush_run(struct pl_job *job) {
    struct pl_partition *partition = PL_CONTAINER(job, struct pl_partition, flush_job);
    pl_flush_run(partition->flush);
}

static void flush_done(struct pl_job *job) {
    struct pl_partition *partition = PL_CONTAINER(job, struct pl_partition, flush_job);
    struct pl_broker_counters *counters = &partition->broker->counters;
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = pl_log_flush_end(partition->log, partition->flush);
    partition->flush = NULL;
    pthread_mutex_unlock(&partition->mutex);
    partition->flush_ended = true;
    pl_count(err == PL_OK ? &counters->flushes : &counters->flush_errors, 1);
    pl_partition_touch(partition); /* the next flush takes along what this turn appends */
    pl_partition_job_ended(partition);
}

/* With the mutex held, as all below up to settle. What is large takes the way by a worker, and
 * what comes to this log meanwhile waits for it. */
static bool belongs_to_worker(const struct pl_partition *partition) {
    return partition->state == PL_PARTITION_SERVING && !partition->broker->stopped &&
           pl_log_staged_bytes(partition->log) > PL_MAX_DIRECT_WRITE_BYTES;
}

static enum pl_err write_here(struct pl_partition *partition) {
    enum pl_err err = pl_log_write(partition->log);
    pl_holdings_release(&partition->staged);
    return err;
}

static enum pl_err begin_write(struct pl_partition *partition) {
    enum pl_err err = pl_log_write_begin(partition->log, &partition->write);
    if (err != PL_OK) {
        partition->write = NULL;
        pl_holdings_release(&partition->staged);
        return err;
    }
    struct pl_holdings free_room = partition->writing;
    partition->writing = partition->staged;
    partition->staged = free_room;
    return PL_OK;
}

static void submit(struct pl_partition *partition, struct pl_job *job) {
    pl_partition_job_begins(partition);
    pl_broker_submit(partition->broker, job, PL_JOB_FLUSH);
}

/* Unlocks the mutex. `err` is the outcome of a write that has just ended. */
static void settle(struct pl_partition *partition, enum pl_err err) {
    int64_t high_watermark = partition->high_watermark, last_stable = partition->last_stable;
    bool write = err == PL_OK && partition->write == NULL && belongs_to_worker(partition);
    if (write) {
        err = begin_write(partition);
        write = err == PL_OK;
    } else if (err == PL_OK && partition->write == NULL) {
        err = write_here(partition);
    }
    take_offsets(partition);
    bool flush = wants_flush(partition) && begin_flush(partition);
    pthread_mutex_unlock(&partition->mutex);
    if (write) {
        submit(partition, &partition->write_job);
    }
    if (flush) {
        submit(partition, &partition->flush_job);
    }
    if (err != PL_OK) {
        pl_count(&partition->broker->counters.write_errors, 1);
    }
    bool moved = partition->high_watermark != high_watermark ||
                 partition->last_stable != last_stable;
    tell(partition, moved, err);
    if (partition->flush_ended) {
        partition->flush_ended = false;
        pl_flush_hold_end(&partition->flush_hold, pl_broker_monotonic_ns(partition->broker));
    }
}

void pl_partition_settle(struct pl_partition *partition) {
    pthread_mutex_lock(&partition->mutex);
    if (partition->log == NULL) {
        pthread_mutex_unlock(&partition->mutex);
    } else {
        settle(partition, PL_OK);
    }
}

static void write_run(struct pl_job *job) {
    pl_write_run(PL_CONTAINER(job, struct pl_partition, write_job)->write);
}

/* What has been staged meanwhile goes at once: whoever sent it has waited. */
static void write_done(struct pl_job *job) {
    struct pl_partition *partition = PL_CONTAINER(job, struct pl_partition, write_job);
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err = pl_log_write_end(partition->log, partition->write);
    partition->write = NULL;
    pl_holdings_release(&partition->writing);
    if (err != PL_OK) {
        pl_holdings_release(&partition->staged); /* taken back as well */
    }
    settle(partition, err);
    pl_partition_job_ended(partition);
}
