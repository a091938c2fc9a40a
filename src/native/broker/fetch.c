#include "broker/fetch.h"

#include <string.h>

#include "broker/error_code.h"
#include "broker/state.h"
#include "broker/throttle.h"
#include "broker/warm.h"

enum { NS_PER_MS = 1000000 };

static void wake(struct pl_watch *watch);
static void timer_fire(struct pl_timer *timer);

/* ---- one open and close pair ---- */

struct pl_fetch *pl_fetch_create(struct pl_broker *broker, size_t items, size_t name_bytes) {
    size_t size = sizeof(struct pl_fetch) + items * sizeof(struct pl_fetch_item);
    struct pl_buf *memory = pl_buf_take(broker->options.pool, size + name_bytes);
    if (memory == NULL) {
        return NULL;
    }
    struct pl_fetch *fetch = (void *)memory->bytes;
    *fetch = (struct pl_fetch){
        .broker = broker, .memory = memory, .names = (char *)memory->bytes + size};
    pl_ring_init(&fetch->woken);
    fetch->timer.fire = timer_fire;
    return fetch;
}

void pl_fetch_add(struct pl_fetch *fetch, struct pl_partition *partition, int16_t error,
                  const struct pl_topic_partition *key, const struct pl_fetch_parameters *wanted) {
    struct pl_fetch_item *item = &fetch->items[fetch->count++];
    *item = (struct pl_fetch_item){
        .fetch = fetch, .partition = partition, .key = *key, .wanted = *wanted, .error = error};
    item->watch.wake = wake;
    pl_ring_init(&item->watch.link);
    if (partition != NULL) {
        item->key.name = partition->name;
        item->key.name_length = partition->name_length;
    } else if (key->name_length > 0) {
        memcpy(fetch->names, key->name, key->name_length);
        item->key.name = fetch->names;
        fetch->names += key->name_length;
    }
}

void pl_fetch_drop(struct pl_fetch *fetch) {
    pl_timer_clear(fetch->broker->options.timers, &fetch->timer);
    pl_ring_leave(&fetch->woken);
    if (fetch->warming != NULL) {
        pl_warm_leave(fetch->warming);
    }
    for (int32_t i = 0; i < fetch->count; i++) {
        pl_ring_leave(&fetch->items[i].watch.link);
        if (fetch->items[i].partition != NULL) {
            pl_partition_release(fetch->items[i].partition);
        }
    }
    pl_buf_give(fetch->memory);
}

static void cancel(void *waiter) {
    pl_fetch_drop(waiter);
}

/* ---- reading ---- */

/* What this fetcher may see: a consumer what is committed; a replica and a debugging consumer
 * (replica id -2) everything. */
static int64_t bound_of(const struct pl_fetch *fetch, const struct pl_partition *partition) {
    if (fetch->replica_id != -1) {
        return pl_partition_end(partition, PL_LEVEL_WRITTEN);
    }
    return fetch->read_committed ? partition->last_stable : partition->high_watermark;
}

/* The set of replicas is the leader alone, so no follower is known (codes as Kafka's). */
static int16_t check_leader(const struct pl_fetch_item *item) {
    int32_t wanted_epoch = item->wanted.current_leader_epoch;
    int16_t error = pl_partition_error(item->partition);
    if (error != PL_KAFKA_NONE) {
        return error;
    }
    if (wanted_epoch >= 0 && wanted_epoch < item->partition->leader_epoch) {
        return PL_KAFKA_FENCED_LEADER_EPOCH;
    }
    if (wanted_epoch > item->partition->leader_epoch) {
        return PL_KAFKA_UNKNOWN_LEADER_EPOCH;
    }
    if (item->fetch->replica_id >= 0) {
        return wanted_epoch >= 0 ? PL_KAFKA_UNKNOWN_LEADER_EPOCH : PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    }
    return PL_KAFKA_NONE;
}

/* With the mutex held. Truncation by epoch (KIP-595): tells where the fetcher's log leaves ours. */
static enum pl_err find_divergence(const struct pl_fetch_item *item, const struct pl_log *log,
                                   struct pl_fetch_result *result) {
    int32_t epoch = -1;
    int64_t end = -1;
    pl_log_epoch_end(log, item->wanted.last_fetched_epoch, &epoch, &end);
    if (epoch < 0 || end < 0 ||
        item->wanted.fetch_offset < item->partition->offsets.log_start) {
        return PL_ERR_OUT_OF_RANGE;
    }
    if (epoch < item->wanted.last_fetched_epoch || end < item->wanted.fetch_offset) {
        result->diverging_epoch = epoch;
        result->diverging_end = end;
    }
    return PL_OK;
}

static enum pl_err locate(const struct pl_fetch_item *item, uint32_t max_bytes, bool at_least_one,
                          struct pl_fetch_result *result) {
    struct pl_partition *partition = item->partition;
    int64_t offset = item->wanted.fetch_offset, bound = bound_of(item->fetch, partition);
    bool nothing = offset == bound || (max_bytes == 0 && !at_least_one);
    if (nothing && item->wanted.last_fetched_epoch < 0 && offset >= partition->offsets.log_start &&
        offset <= partition->offsets.log_end) {
        return PL_OK;
    }
    enum pl_err err = PL_OK;
    pthread_mutex_lock(&partition->mutex);
    if (item->wanted.last_fetched_epoch >= 0) {
        err = find_divergence(item, partition->log, result);
    }
    if (err == PL_OK && result->diverging_epoch < 0) {
        err = pl_log_locate(partition->log, offset, bound, max_bytes, at_least_one, &result->slice);
    }
    pthread_mutex_unlock(&partition->mutex);
    return err;
}

static void set_error(struct pl_fetch_result *result, int16_t error) {
    result->error = error;
    result->high_watermark = result->last_stable = result->log_start = -1;
}

static void read_item(const struct pl_fetch_item *item, uint32_t bytes_left, bool at_least_one,
                      struct pl_fetch_result *result) {
    *result = (struct pl_fetch_result){.diverging_epoch = -1, .diverging_end = -1};
    int16_t error = item->error != PL_KAFKA_NONE ? item->error : check_leader(item);
    if (error != PL_KAFKA_NONE) {
        set_error(result, error);
        return;
    }
    uint32_t wanted = item->wanted.max_bytes > 0 ? (uint32_t)item->wanted.max_bytes : 0;
    enum pl_err err =
        locate(item, wanted < bytes_left ? wanted : bytes_left, at_least_one, result);
    if (err != PL_OK) {
        set_error(result, pl_error_code(err));
        return;
    }
    result->high_watermark = item->partition->high_watermark;
    result->last_stable = item->partition->last_stable;
    result->log_start = item->partition->offsets.log_start;
}

/* Whether waiting would change what this partition answers. */
static bool ends_waiting(const struct pl_fetch_item *item, const struct pl_fetch_result *result) {
    if (item->error != PL_KAFKA_NONE) {
        return false;
    }
    bool has_more = result->slice.length > 0 &&
                    result->slice.end_offset < bound_of(item->fetch, item->partition);
    return result->error != PL_KAFKA_NONE || result->diverging_epoch >= 0 || has_more;
}

/* The first batch of the first partition that has one is given whatever its size (KIP-74). True
 * when the answer need not wait. */
static bool read_all(const struct pl_fetch *fetch, struct pl_fetch_result *results) {
    uint32_t bytes_left = fetch->max_bytes;
    uint64_t total = 0;
    bool enough = false, waits_for_any = false;
    for (int32_t i = 0; i < fetch->count; i++) {
        read_item(&fetch->items[i], bytes_left, total == 0, &results[i]);
        uint32_t length = results[i].slice.length;
        total += length;
        bytes_left -= length < bytes_left ? length : bytes_left;
        enough = enough || ends_waiting(&fetch->items[i], &results[i]);
        waits_for_any = waits_for_any || fetch->items[i].error == PL_KAFKA_NONE;
    }
    int64_t min_bytes =
        fetch->min_bytes < (int64_t)fetch->max_bytes ? fetch->min_bytes : (int64_t)fetch->max_bytes;
    return enough || !waits_for_any || (int64_t)total >= min_bytes;
}

static void release_slices(const struct pl_fetch *fetch, struct pl_fetch_result *results) {
    for (int32_t i = 0; i < fetch->count; i++) {
        if (results[i].slice.segment != NULL) {
            pl_segment_release(results[i].slice.segment);
        }
    }
}

/* True when the fetch is finished, and gone. */
static bool serve(struct pl_fetch *fetch, bool last) {
    if (fetch->warming != NULL) {
        return false;
    }
    fetch->began_ns = pl_throttle_begin(fetch->broker);
    struct pl_buf *memory = pl_buf_take(fetch->broker->options.pool,
                                        (size_t)fetch->count * sizeof(struct pl_fetch_result));
    struct pl_fetch_result *results = memory == NULL ? NULL : (void *)memory->bytes;
    bool enough = results == NULL || read_all(fetch, results) || last;
    if (enough && !fetch->warmed && results != NULL && pl_warm_start(fetch, results)) {
        enough = false;
    }
    if (enough) {
        fetch->finish(fetch, results);
        pl_fetch_drop(fetch);
    } else {
        release_slices(fetch, results);
    }
    if (memory != NULL) {
        pl_buf_give(memory);
    }
    return enough;
}

void pl_fetch_warmed(struct pl_fetch *fetch) {
    fetch->warming = NULL;
    fetch->warmed = true;
    (void)serve(fetch, true);
}

/* ---- waiting ---- */

static void wake(struct pl_watch *watch) {
    struct pl_fetch *fetch = PL_CONTAINER(watch, struct pl_fetch_item, watch)->fetch;
    if (pl_ring_is_empty(&fetch->woken)) {
        pl_ring_add(&fetch->broker->woken, &fetch->woken);
    }
}

static void timer_fire(struct pl_timer *timer) {
    (void)serve(PL_CONTAINER(timer, struct pl_fetch, timer), true);
}

static void hurry(void *waiter) {
    (void)serve(waiter, true);
}

void pl_fetch_serve_woken(struct pl_broker *broker) {
    while (!pl_ring_is_empty(&broker->woken)) {
        struct pl_ring *link = broker->woken.next;
        pl_ring_leave(link);
        (void)serve(PL_CONTAINER(link, struct pl_fetch, woken), false);
    }
}

void pl_fetch_start(struct pl_fetch *fetch, struct pl_reply *reply) {
    fetch->reply = reply;
    if (serve(fetch, fetch->max_wait_ms <= 0)) {
        return;
    }
    reply->cancel = cancel;
    reply->hurry = hurry;
    reply->waiter = fetch;
    for (int32_t i = 0; i < fetch->count; i++) {
        if (fetch->items[i].error == PL_KAFKA_NONE) {
            pl_partition_watch(fetch->items[i].partition, &fetch->items[i].watch);
        }
    }
    pl_timer_set(fetch->broker->options.timers, &fetch->timer,
                 reply->received_ns / NS_PER_MS + (uint64_t)fetch->max_wait_ms + 1);
}

/* ---- aborted transactions ---- */

enum pl_err pl_fetch_aborted(const struct pl_fetch_item *item,
                             const struct pl_fetch_result *result, struct pl_aborted *aborted,
                             size_t *count) {
    struct pl_partition *partition = item->partition;
    pthread_mutex_lock(&partition->mutex);
    enum pl_err err =
        partition->log == NULL
            ? PL_ERR_CLOSED
            : pl_log_aborted(partition->log, item->wanted.fetch_offset, result->slice.end_offset,
                             aborted, count);
    pthread_mutex_unlock(&partition->mutex);
    return err;
}
