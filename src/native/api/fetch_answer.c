#include "api/fetch_answer.h"

#include <assert.h>
#include <string.h>

#include "api/answer.h"
#include "broker/error_code.h"
#include "broker/state.h"
#include "broker/throttle.h"
#include "gen/responses.h"

enum {
    FLEXIBLE_VERSION = 12,
    STORAGE_ERROR_VERSION = 6, /* older clients do not know KAFKA_STORAGE_ERROR */
    REQUEST_ROOM = 64,         /* of what is there once */
    TOPIC_ROOM = 32,           /* of a topic, without its name */
    PARTITION_ROOM = 160,      /* of a partition, without aborted transactions and records */
    ABORTED_BYTES = 17,        /* of an aborted transaction, with its tagged fields */
    COPY_BYTES = 16 * 1024,    /* records up to here are copied, not sent from the file */
    ABORTED_AT_FIRST = 16,
};

struct answering { /* one answer while it is built */
    struct pl_fetch *fetch;
    struct pl_fetch_result *results;
    struct pl_answer answer;
    int16_t version;
};

/* ---- sessions ---- */

static bool has_changed(const struct pl_session_entry *entry,
                        const struct pl_fetch_result *result) {
    return result->slice.length > 0 || result->error != PL_KAFKA_NONE ||
           result->diverging_epoch >= 0 ||
           entry->sent_high_watermark != result->high_watermark ||
           entry->sent_log_start != result->log_start;
}

/* Both are -1 on an error: so they are sent again when it is gone. */
static void note_sent(struct pl_session_entry *entry, const struct pl_fetch_result *result) {
    entry->sent_high_watermark = result->high_watermark;
    entry->sent_log_start = result->log_start;
}

/* Selects what has changed since the last answer. The session may be gone, or have been used
 * again, while the fetch was parked. */
static int16_t select_changed(struct answering *answering) {
    struct pl_fetch *fetch = answering->fetch;
    struct pl_fetch_session *session =
        pl_fetch_session_find(&fetch->broker->sessions, fetch->session_id);
    if (session == NULL) {
        return PL_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    }
    int32_t expected = fetch->session_epoch == INT32_MAX ? 1 : fetch->session_epoch + 1;
    if (session->epoch != expected) {
        return PL_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    }
    for (int32_t i = 0; i < fetch->count; i++) {
        struct pl_fetch_result *result = &answering->results[i];
        struct pl_session_entry *entry =
            pl_session_entry_find(session, &fetch->items[i].key);
        if (entry == NULL || !has_changed(entry, result)) {
            continue;
        }
        result->answered = true;
        note_sent(entry, result);
        if (result->slice.length > 0) {
            pl_ring_leave(&entry->order);
            pl_ring_add(&session->entries, &entry->order);
        }
    }
    return PL_KAFKA_NONE;
}

static void fill_session(struct pl_fetch_session *session, const struct answering *answering) {
    for (int32_t i = 0; i < answering->fetch->count; i++) {
        const struct pl_fetch_item *item = &answering->fetch->items[i];
        struct pl_session_entry *entry = pl_session_entry_put(session, &item->key);
        if (entry == NULL) {
            return; /* the client names a partition again that it is not answered */
        }
        entry->wanted = item->wanted;
        note_sent(entry, &answering->results[i]);
        if (entry->partition == NULL && item->partition != NULL) {
            pl_partition_retain(item->partition);
            entry->partition = item->partition;
        }
    }
}

/* Its id, or 0 when there is no slot for it. */
static int32_t make_session(const struct answering *answering) {
    struct pl_fetch *fetch = answering->fetch;
    struct pl_broker *broker = fetch->broker;
    struct pl_fetch_session *session =
        pl_fetch_session_create(&broker->sessions, fetch->replica_id >= 0, fetch->uses_ids,
                                (size_t)fetch->count, pl_broker_now_ms(broker));
    if (session == NULL) {
        return 0;
    }
    fill_session(session, answering);
    return session->id;
}

/* Sets answered, and the head's error and session id. */
static void settle_session(struct answering *answering, struct pl_fetch_response *head) {
    struct pl_fetch *fetch = answering->fetch;
    if (fetch->incremental) {
        head->session_id = fetch->session_id;
        head->error_code = select_changed(answering);
        return;
    }
    for (int32_t i = 0; i < fetch->count; i++) {
        answering->results[i].answered = true;
    }
    if (fetch->session_epoch == PL_FETCH_EPOCH_INITIAL) {
        head->session_id = make_session(answering);
    }
}

/* ---- records ---- */

static void release_segment(void *owner) {
    pl_segment_release(owner);
}

static void drop_slice(struct pl_fetch_result *result) {
    if (result->slice.segment != NULL) {
        pl_segment_release(result->slice.segment);
    }
    result->slice = (struct pl_slice){0};
}

/* Room for them is reserved. */
static enum pl_err copy_records(struct answering *answering, struct pl_fetch_result *result) {
    const struct pl_fs *fs = answering->fetch->broker->options.fs;
    const struct pl_slice *slice = &result->slice;
    uint8_t *to = pl_writer_take(&answering->answer.out, slice->length);
    size_t got = 0;
    enum pl_err err =
        fs->read_at(fs->context, slice->fd, to, slice->length, slice->position, &got);
    return err == PL_OK && got < slice->length ? PL_ERR_IO : err;
}

static enum pl_err add_records(struct answering *answering, struct pl_fetch_result *result) {
    struct pl_slice *slice = &result->slice;
    if (slice->length == 0) {
        return PL_OK;
    }
    pl_count(&answering->fetch->broker->counters.bytes_fetched, slice->length);
    if (slice->length <= COPY_BYTES) {
        enum pl_err err = copy_records(answering, result);
        drop_slice(result);
        return err;
    }
    if (!pl_answer_add_file(&answering->answer, slice->fd, slice->position, slice->length,
                            release_segment, slice->segment)) {
        return PL_ERR_MEMORY;
    }
    slice->segment = NULL; /* the chain's now */
    return PL_OK;
}

/* ---- aborted transactions ---- */

struct aborted_list {
    struct pl_buf *buf; /* NULL: none were asked for */
    int32_t count;      /* -1: none were asked for */
};

/* All of them, in memory of the pool. */
static enum pl_err find_aborted(const struct answering *answering, int32_t index,
                                struct aborted_list *list) {
    const struct pl_fetch_item *item = &answering->fetch->items[index];
    const struct pl_fetch_result *result = &answering->results[index];
    *list = (struct aborted_list){.count = -1};
    if (!answering->fetch->read_committed || result->error != PL_KAFKA_NONE) {
        return PL_OK;
    }
    list->count = 0;
    size_t found = result->slice.length > 0 ? ABORTED_AT_FIRST : 0, room = 0;
    while (room < found) {
        room = found;
        if (list->buf != NULL) {
            pl_buf_give(list->buf);
        }
        list->buf = pl_buf_take(answering->answer.pool, room * sizeof(struct pl_aborted));
        if (list->buf == NULL) {
            return PL_ERR_MEMORY;
        }
        enum pl_err err = pl_fetch_aborted(item, result, (void *)list->buf->bytes, &found);
        if (err != PL_OK) {
            return err;
        }
    }
    list->count = (int32_t)found;
    return PL_OK;
}

_Static_assert(sizeof(struct pl_aborted) ==
                       sizeof(struct pl_fetch_response_aborted_transaction) &&
                   offsetof(struct pl_aborted, first_offset) ==
                       offsetof(struct pl_fetch_response_aborted_transaction, first_offset),
               "what the log finds is what the writer takes");

/* ---- one partition ---- */

static int16_t error_for(int16_t version, int16_t error) {
    return error == PL_KAFKA_KAFKA_STORAGE_ERROR && version < STORAGE_ERROR_VERSION
               ? (int16_t)PL_KAFKA_NOT_LEADER_OR_FOLLOWER
               : error;
}

static struct pl_fetch_response_partition describe(const struct answering *answering, int32_t index,
                                                   const struct aborted_list *aborted) {
    const struct pl_fetch_result *result = &answering->results[index];
    struct pl_fetch_response_partition out = pl_fetch_response_partition_default;
    out.partition_index = answering->fetch->items[index].key.index;
    out.error_code = error_for(answering->version, result->error);
    out.high_watermark = result->high_watermark;
    out.last_stable_offset = result->last_stable;
    out.log_start_offset = result->log_start;
    out.diverging_epoch.epoch = result->diverging_epoch;
    out.diverging_epoch.end_offset = result->diverging_end;
    out.aborted_transactions =
        aborted->buf == NULL ? NULL : (const void *)aborted->buf->bytes;
    out.aborted_transactions_count = aborted->count;
    out.records_length = (int32_t)result->slice.length;
    return out;
}

static size_t copied_bytes(const struct pl_fetch_result *result) {
    return result->slice.length <= COPY_BYTES ? result->slice.length : 0;
}

/* An error leaves what was written in front of the partition as it was. */
static enum pl_err try_partition(struct answering *answering, int32_t index,
                                 const struct aborted_list *aborted) {
    struct pl_fetch_result *result = &answering->results[index];
    size_t room = PARTITION_ROOM + copied_bytes(result);
    room += aborted->count > 0 ? (size_t)aborted->count * ABORTED_BYTES : 0;
    if (!pl_answer_reserve(&answering->answer, room)) {
        return PL_ERR_MEMORY;
    }
    size_t start = answering->answer.out.length;
    const struct pl_fetch_response_partition out = describe(answering, index, aborted);
    pl_fetch_response_partition_open(&answering->answer.out, answering->version, &out);
    enum pl_err err = add_records(answering, result);
    if (err == PL_OK && !pl_answer_reserve(&answering->answer, PARTITION_ROOM)) {
        err = PL_ERR_MEMORY;
    }
    if (err == PL_OK) {
        pl_fetch_response_partition_close(&answering->answer.out, answering->version, &out);
    } else if (err != PL_ERR_MEMORY) {
        answering->answer.out.length = start;
    }
    return err;
}

static enum pl_err answer_partition(struct answering *answering, int32_t index) {
    struct pl_fetch_result *result = &answering->results[index];
    struct aborted_list aborted;
    enum pl_err err = find_aborted(answering, index, &aborted);
    if (err == PL_OK) {
        err = try_partition(answering, index, &aborted);
    }
    if (err != PL_OK && err != PL_ERR_MEMORY) {
        const struct aborted_list none = {.count = -1};
        drop_slice(result);
        result->error = pl_error_code(err);
        result->high_watermark = result->last_stable = result->log_start = -1;
        err = try_partition(answering, index, &none);
    }
    if (aborted.buf != NULL) {
        pl_buf_give(aborted.buf);
    }
    return err;
}

/* ---- topics ---- */

static bool is_same_topic(const struct pl_fetch *fetch, int32_t a, int32_t b) {
    const struct pl_topic_partition *left = &fetch->items[a].key, *right = &fetch->items[b].key;
    if (fetch->uses_ids) {
        return memcmp(left->id, right->id, PL_TOPIC_ID_BYTES) == 0;
    }
    return left->name_length == right->name_length &&
           memcmp(left->name, right->name, left->name_length) == 0;
}

static int32_t next_answered(const struct answering *answering, int32_t from) {
    while (from < answering->fetch->count && !answering->results[from].answered) {
        from++;
    }
    return from;
}

/* Partitions from `first` on that are answered under one topic; *next is the first behind. */
static int32_t measure_topic(const struct answering *answering, int32_t first, int32_t *next) {
    int32_t partitions = 0, at = first;
    while (at < answering->fetch->count && is_same_topic(answering->fetch, first, at)) {
        partitions++;
        at = next_answered(answering, at + 1);
    }
    *next = at;
    return partitions;
}

static int32_t count_topics(const struct answering *answering) {
    int32_t topics = 0;
    for (int32_t at = next_answered(answering, 0); at < answering->fetch->count; topics++) {
        (void)measure_topic(answering, at, &at);
    }
    return topics;
}

static enum pl_err answer_topic(struct answering *answering, int32_t first, int32_t *next) {
    const struct pl_topic_partition *key = &answering->fetch->items[first].key;
    const struct pl_fetch_response_topic out = {
        .topic = {(const uint8_t *)key->name, key->name_length},
        .topic_id = key->id,
        .partitions_count = measure_topic(answering, first, next)};
    if (!pl_answer_reserve(&answering->answer, TOPIC_ROOM + key->name_length)) {
        return PL_ERR_MEMORY;
    }
    pl_fetch_response_topic_open(&answering->answer.out, answering->version, &out);
    for (int32_t at = first; at < *next; at = next_answered(answering, at + 1)) {
        enum pl_err err = answer_partition(answering, at);
        if (err != PL_OK) {
            return err;
        }
    }
    if (!pl_answer_reserve(&answering->answer, TOPIC_ROOM)) {
        return PL_ERR_MEMORY;
    }
    pl_fetch_response_topic_close(&answering->answer.out, answering->version, &out);
    return PL_OK;
}

/* ---- the whole ---- */

/* An answer without partitions. */
static enum pl_err write_head(struct pl_broker *broker, const struct pl_reply *reply,
                              const struct pl_fetch_response *head, struct pl_chain *frame) {
    struct pl_answer answer;
    if (!pl_answer_open(&answer, broker->options.pool, REQUEST_ROOM, reply,
                        reply->api_version >= FLEXIBLE_VERSION)) {
        return PL_ERR_MEMORY;
    }
    pl_fetch_response_open(&answer.out, reply->api_version, head);
    pl_fetch_response_close(&answer.out, reply->api_version, head);
    pl_answer_close(&answer, frame);
    return PL_OK;
}

static enum pl_err answer_all(struct answering *answering, struct pl_fetch_response *head) {
    head->responses_count = head->error_code == PL_KAFKA_NONE ? count_topics(answering) : 0;
    pl_fetch_response_open(&answering->answer.out, answering->version, head);
    int32_t at = next_answered(answering, 0);
    for (int32_t i = 0; i < head->responses_count; i++) {
        enum pl_err err = answer_topic(answering, at, &at);
        if (err != PL_OK) {
            return err;
        }
    }
    if (!pl_answer_reserve(&answering->answer, REQUEST_ROOM)) {
        return PL_ERR_MEMORY;
    }
    pl_fetch_response_close(&answering->answer.out, answering->version, head);
    return PL_OK;
}

/* An answer about one partition is one buffer, and so one run to send. */
static size_t first_room(const struct answering *answering) {
    const struct pl_fetch *fetch = answering->fetch;
    if (fetch->count != 1) {
        return REQUEST_ROOM;
    }
    return 2 * (REQUEST_ROOM + TOPIC_ROOM + PARTITION_ROOM) + fetch->items[0].key.name_length +
           copied_bytes(&answering->results[0]);
}

static enum pl_err build(struct answering *answering, struct pl_chain *frame) {
    struct pl_fetch *fetch = answering->fetch;
    struct pl_fetch_response head = pl_fetch_response_default;
    settle_session(answering, &head);
    if (!pl_answer_open(&answering->answer, fetch->broker->options.pool, first_room(answering),
                        fetch->reply, answering->version >= FLEXIBLE_VERSION)) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = answer_all(answering, &head);
    if (err == PL_OK) {
        pl_answer_close(&answering->answer, frame);
    } else {
        pl_answer_drop(&answering->answer);
    }
    return err;
}

/* ---- quotas ---- */

/* Charges the records. Above the quota they are not given, and so not charged either. */
static int32_t throttle(struct pl_fetch *fetch, const struct pl_fetch_result *results) {
    uint64_t bytes = 0;
    for (int32_t i = 0; i < fetch->count; i++) {
        bytes += results[i].slice.length;
    }
    struct pl_broker *broker = fetch->broker;
    int32_t throttle_ms =
        pl_throttle_end(broker, fetch->client, PL_QUOTA_FETCH, bytes, fetch->began_ns);
    if (throttle_ms > 0) {
        pl_throttle_refund(broker, fetch->client, PL_QUOTA_FETCH, bytes);
    }
    return throttle_ms;
}

/* No partitions; the session, where there is one, goes on. */
static enum pl_err build_throttled(struct pl_fetch *fetch, struct pl_chain *frame) {
    struct pl_fetch_response head = pl_fetch_response_default;
    head.throttle_time_ms = fetch->reply->throttle_ms;
    head.session_id = fetch->incremental ? fetch->session_id : 0;
    return write_head(fetch->broker, fetch->reply, &head, frame);
}

void pl_fetch_answer(struct pl_fetch *fetch, struct pl_fetch_result *results) {
    struct pl_chain frame = {0};
    struct answering answering = {
        .fetch = fetch, .results = results, .version = fetch->reply->api_version};
    if (results != NULL) {
        fetch->reply->throttle_ms = throttle(fetch, results);
        enum pl_err err = fetch->reply->throttle_ms > 0 ? build_throttled(fetch, &frame)
                                                        : build(&answering, &frame);
        if (err != PL_OK) {
            frame = (struct pl_chain){0};
        }
        for (int32_t i = 0; i < fetch->count; i++) {
            drop_slice(&results[i]);
        }
    }
    fetch->reply->complete(fetch->reply, &frame);
}

enum pl_err pl_fetch_refuse(struct pl_broker *broker, struct pl_reply *reply, int16_t error) {
    struct pl_chain frame;
    struct pl_fetch_response head = pl_fetch_response_default;
    head.error_code = error;
    enum pl_err err = write_head(broker, reply, &head, &frame);
    if (err == PL_OK) {
        reply->complete(reply, &frame);
    }
    return err;
}
