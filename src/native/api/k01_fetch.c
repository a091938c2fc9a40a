/* Fetch: record batches from an offset on, waiting for them when there are none yet.
 *
 * Behaviour
 *   Batches are sent whole, as they are stored: a fetch at an offset inside a batch gets all of
 *   it. The first batch is sent even when it is larger than the limits (KIP-74). An unknown
 *   partition is answered but ends no waiting; any other error is answered at once.
 *   Sessions: see broker/fetch_session.h. Partitions that gave records go to the end of their
 *   session, so that all get their turn when the limit is small.
 * Versions
 *   4   isolation level (KIP-98)         5   log start offset
 *   7   incremental sessions (KIP-227)   9   current leader epoch (KIP-320)
 *   11  rack, preferred read replica (KIP-392)
 *   12  flexible (KIP-482), diverging epoch (KIP-595)
 *   13  topic ids (KIP-516)              15  replica state (KIP-903)
 * Not done
 *   Followers, since a partition has one replica: they are told so. Rack and high watermark of
 *   the request are read and not used.
 */
#include <assert.h>
#include <string.h>

#include "api/fetch_answer.h"
#include "api/handlers.h"
#include "broker/error_code.h"
#include "broker/state.h"
#include "gen/requests.h"

enum { FIRST_ID_VERSION = 13, FIRST_REPLICA_STATE_VERSION = 15 };

struct request { /* one request while it is handled */
    struct pl_broker *broker;
    const struct pl_request *frame;
    struct pl_fetch_request message;
    struct pl_fetch *fetch;
    bool uses_ids;
};

/* ---- partitions ---- */

/* A topic as a request names it; its index is not set. */
static struct pl_topic_partition key_of(const uint8_t *topic_id, struct pl_span name) {
    struct pl_topic_partition key = {.name = (const char *)name.data,
                                     .name_length = (uint16_t)name.length};
    if (topic_id != NULL) {
        key.name = NULL;
        key.name_length = 0;
        memcpy(key.id, topic_id, PL_TOPIC_ID_BYTES);
    }
    return key;
}

static struct pl_topic *find_topic(const struct request *request,
                                   const struct pl_topic_partition *key) {
    const struct pl_partition_table *table = &request->broker->table;
    return request->uses_ids ? pl_topic_by_id(table, key->id)
                             : pl_topic_by_name(table, key->name, key->name_length);
}

static struct pl_fetch_parameters
parameters_of(const struct pl_fetch_request_partition *partition) {
    return (struct pl_fetch_parameters){.fetch_offset = partition->fetch_offset,
                                        .log_start = partition->log_start_offset,
                                        .max_bytes = partition->partition_max_bytes,
                                        .current_leader_epoch = partition->current_leader_epoch,
                                        .last_fetched_epoch = partition->last_fetched_epoch};
}

static bool may_read(const struct request *request, const struct pl_topic *topic,
                     const struct pl_topic_partition *key) {
    if (topic == NULL && request->uses_ids) {
        return true; /* an id that is nobody's gives away no name */
    }
    const char *name = topic != NULL ? topic->name : key->name;
    size_t length = topic != NULL ? topic->name_length : key->name_length;
    return pl_access_allows(request->broker->access, request->frame->client->subject,
                            PL_ACCESS_READ, name, length);
}

/* Adds the partition of `topic` with the key's index, or what is to be answered instead. */
static void add_item(struct request *request, const struct pl_topic *topic,
                     const struct pl_topic_partition *key,
                     const struct pl_fetch_parameters *wanted) {
    struct pl_partition *partition = topic == NULL ? NULL : pl_topic_partition(topic, key->index);
    int16_t error = PL_KAFKA_NONE;
    if (!may_read(request, topic, key)) {
        partition = NULL;
        error = PL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    } else if (partition != NULL) {
        pl_partition_retain(partition);
    } else {
        error = topic == NULL && request->uses_ids ? PL_KAFKA_UNKNOWN_TOPIC_ID
                                                   : PL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    pl_fetch_add(request->fetch, partition, error, key, wanted);
}

/* ---- a request without a session, or for a new one: it names all its partitions ---- */

static void count_partitions(const struct request *request, size_t *partitions,
                             size_t *name_bytes) {
    struct pl_cursor topics = request->message.topics.elements;
    for (int32_t i = 0; i < request->message.topics.count; i++) {
        struct pl_fetch_request_topic topic;
        pl_fetch_request_topic_read(&topics, request->frame->api_version, &topic);
        size_t count = (size_t)topic.partitions.count;
        *partitions += count;
        *name_bytes += count * (size_t)topic.topic.length;
    }
}

static void add_topic(struct request *request, const struct pl_fetch_request_topic *in) {
    struct pl_topic_partition key = key_of(in->topic_id, in->topic);
    const struct pl_topic *topic = find_topic(request, &key);
    struct pl_cursor partitions = in->partitions.elements;
    for (int32_t i = 0; i < in->partitions.count; i++) {
        struct pl_fetch_request_partition partition;
        pl_fetch_request_partition_read(&partitions, request->frame->api_version, &partition);
        struct pl_fetch_parameters wanted = parameters_of(&partition);
        key.index = partition.partition;
        add_item(request, topic, &key, &wanted);
    }
}

static enum pl_err add_requested(struct request *request) {
    size_t partitions = 0, name_bytes = 0;
    count_partitions(request, &partitions, &name_bytes);
    if (partitions > PL_MAX_PARTITIONS_PER_REQUEST) {
        return PL_ERR_LIMIT;
    }
    request->fetch = pl_fetch_create(request->broker, partitions, name_bytes);
    if (request->fetch == NULL) {
        return PL_ERR_MEMORY;
    }
    struct pl_cursor topics = request->message.topics.elements;
    for (int32_t i = 0; i < request->message.topics.count; i++) {
        struct pl_fetch_request_topic topic;
        pl_fetch_request_topic_read(&topics, request->frame->api_version, &topic);
        add_topic(request, &topic);
    }
    return PL_OK;
}

/* ---- an incremental request: it names what changes ---- */

static enum pl_err update_topic(struct pl_fetch_session *session, int16_t version,
                                const struct pl_fetch_request_topic *in) {
    struct pl_topic_partition key = key_of(in->topic_id, in->topic);
    struct pl_cursor partitions = in->partitions.elements;
    for (int32_t i = 0; i < in->partitions.count; i++) {
        struct pl_fetch_request_partition partition;
        pl_fetch_request_partition_read(&partitions, version, &partition);
        key.index = partition.partition;
        struct pl_session_entry *entry = pl_session_entry_put(session, &key);
        if (entry == NULL) {
            return PL_ERR_MEMORY;
        }
        entry->wanted = parameters_of(&partition);
    }
    return PL_OK;
}

static void forget_topic(struct pl_fetch_session *session,
                         const struct pl_fetch_request_forgotten_topic *in) {
    struct pl_topic_partition key = key_of(in->topic_id, in->topic);
    struct pl_cursor partitions = in->partitions.elements;
    for (int32_t i = 0; i < in->partitions.count; i++) {
        key.index = pl_cursor_i32(&partitions);
        struct pl_session_entry *entry = pl_session_entry_find(session, &key);
        if (entry != NULL) {
            pl_session_entry_remove(session, entry);
        }
    }
}

static enum pl_err update_session(const struct request *request, struct pl_fetch_session *session) {
    int16_t version = request->frame->api_version;
    struct pl_cursor topics = request->message.topics.elements;
    for (int32_t i = 0; i < request->message.topics.count; i++) {
        struct pl_fetch_request_topic topic;
        pl_fetch_request_topic_read(&topics, version, &topic);
        enum pl_err err = update_topic(session, version, &topic);
        if (err != PL_OK) {
            return err;
        }
    }
    struct pl_cursor forgotten = request->message.forgotten_topics_data.elements;
    for (int32_t i = 0; i < request->message.forgotten_topics_data.count; i++) {
        struct pl_fetch_request_forgotten_topic topic;
        pl_fetch_request_forgotten_topic_read(&forgotten, version, &topic);
        forget_topic(session, &topic);
    }
    return session->count > PL_MAX_PARTITIONS_PER_REQUEST ? PL_ERR_LIMIT : PL_OK;
}

/* The entry keeps its partition, so that an incremental request looks nothing up. */
static const struct pl_topic *refresh_entry(const struct request *request,
                                            struct pl_session_entry *entry) {
    if (entry->partition != NULL && entry->partition->topic != NULL) {
        return entry->partition->topic;
    }
    if (entry->partition != NULL) {
        pl_partition_release(entry->partition);
        entry->partition = NULL;
    }
    const struct pl_topic *topic = find_topic(request, &entry->key);
    struct pl_partition *partition =
        topic == NULL ? NULL : pl_topic_partition(topic, entry->key.index);
    if (partition != NULL) {
        pl_partition_retain(partition);
        entry->partition = partition;
    }
    return topic;
}

static enum pl_err add_from_session(struct request *request, struct pl_fetch_session *session) {
    size_t name_bytes = 0;
    struct pl_ring *head = &session->entries;
    for (struct pl_ring *link = head->next; link != head; link = link->next) {
        name_bytes += PL_CONTAINER(link, struct pl_session_entry, order)->key.name_length;
    }
    request->fetch = pl_fetch_create(request->broker, session->count, name_bytes);
    if (request->fetch == NULL) {
        return PL_ERR_MEMORY;
    }
    for (struct pl_ring *link = head->next; link != head; link = link->next) {
        struct pl_session_entry *entry = PL_CONTAINER(link, struct pl_session_entry, order);
        add_item(request, refresh_entry(request, entry), &entry->key, &entry->wanted);
    }
    return PL_OK;
}

/* ---- sessions ---- */

static int16_t check_session(const struct request *request,
                             const struct pl_fetch_session *session) {
    if (session == NULL) {
        return PL_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->epoch != request->message.session_epoch) {
        return PL_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    }
    return session->uses_ids == request->uses_ids ? PL_KAFKA_NONE
                                                  : PL_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
}

static enum pl_err collect_full(struct request *request) {
    struct pl_fetch_sessions *sessions = &request->broker->sessions;
    struct pl_fetch_session *old = pl_fetch_session_find(sessions, request->message.session_id);
    if (request->message.session_id != 0 && old != NULL) {
        pl_fetch_session_remove(sessions, old);
    }
    return add_requested(request);
}

static enum pl_err collect_incremental(struct request *request, int16_t *error) {
    struct pl_fetch_sessions *sessions = &request->broker->sessions;
    struct pl_fetch_session *session = pl_fetch_session_find(sessions, request->message.session_id);
    *error = check_session(request, session);
    if (*error != PL_KAFKA_NONE) {
        return PL_OK;
    }
    enum pl_err err = update_session(request, session);
    if (err != PL_OK || session->count == 0) {
        pl_fetch_session_remove(sessions, session);
        request->message.session_epoch = PL_FETCH_EPOCH_FINAL; /* goes on without a session */
        return err == PL_OK ? add_requested(request) : err;
    }
    pl_fetch_session_advance(sessions, session, pl_broker_now_ms(request->broker));
    err = add_from_session(request, session);
    if (err == PL_OK) {
        request->fetch->incremental = true;
    }
    return err;
}

/* ---- the request ---- */

static int32_t replica_of(const struct request *request) {
    return request->frame->api_version >= FIRST_REPLICA_STATE_VERSION
               ? request->message.replica_state.replica_id
               : request->message.replica_id;
}

static void set_limits(const struct request *request) {
    const struct pl_fetch_request *message = &request->message;
    struct pl_fetch *fetch = request->fetch;
    int32_t max_bytes = request->broker->options.fetch_max_bytes;
    if (message->max_bytes < max_bytes) {
        max_bytes = message->max_bytes;
    }
    /* An answer above its quota is never sent: ask for no more than the quota can give. */
    uint32_t most = pl_quotas_most_at_once(request->broker->quotas, PL_QUOTA_FETCH,
                                           &request->frame->client->name);
    if (max_bytes > 0 && most < (uint32_t)max_bytes) {
        max_bytes = (int32_t)most;
    }
    fetch->client = request->frame->client;
    fetch->finish = pl_fetch_answer;
    fetch->uses_ids = request->uses_ids;
    fetch->session_id = message->session_id;
    fetch->session_epoch = message->session_epoch;
    fetch->replica_id = replica_of(request);
    fetch->max_wait_ms = message->max_wait_ms;
    fetch->min_bytes = message->min_bytes;
    fetch->max_bytes = max_bytes > 0 ? (uint32_t)max_bytes : 0;
    fetch->read_committed = message->isolation_level == 1;
}

enum pl_err pl_fetch_handle(struct pl_broker *broker, const struct pl_request *frame,
                            struct pl_reply *reply) {
    struct request request = {.broker = broker,
                              .frame = frame,
                              .uses_ids = frame->api_version >= FIRST_ID_VERSION};
    enum pl_err err = pl_fetch_request_read(frame->body, frame->length, frame->api_version,
                                            &request.message);
    if (err != PL_OK) {
        return err;
    }
    pl_count(&broker->counters.requests_fetch, 1);
    int32_t epoch = request.message.session_epoch;
    bool full = epoch == PL_FETCH_EPOCH_INITIAL || epoch == PL_FETCH_EPOCH_FINAL;
    int16_t error = PL_KAFKA_NONE;
    err = full ? collect_full(&request) : collect_incremental(&request, &error);
    if (err != PL_OK) {
        return err;
    }
    if (error != PL_KAFKA_NONE) {
        return pl_fetch_refuse(broker, reply, error);
    }
    set_limits(&request);
    pl_fetch_start(request.fetch, reply);
    return PL_OK;
}
