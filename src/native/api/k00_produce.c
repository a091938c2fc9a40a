/* Produce: appends one record batch a partition and answers when it is as safe as was asked.
 *
 * Behaviour
 *   acks 1 waits until the batch is durable on the leader, -1 until it is committed; 0 is not
 *   answered, and an error then closes the connection, so that the producer looks again. Its turn
 *   is over when the batch is written.
 *   A partition that fails does not touch the others. What was appended before is acknowledged
 *   with its first offset, when that is as safe as was asked.
 * Versions
 *   0–2   message sets of magic 0 and 1 (KIP-32), stored as record batches
 *   2     log append time       3  record batches only, transactions (KIP-98)
 *   5     log start offset      7  zstd (KIP-110)
 *   8     errors by record (KIP-467)     9  flexible (KIP-482)
 *   10    current leader (KIP-951)      12  transactions, second protocol (KIP-890)
 *   13    topic ids (KIP-516)
 * Not done
 *   The leader is not named in a refusal (KIP-951), since there is no other broker.
 */
#include <stdlib.h>
#include <string.h>

#include "api/answer.h"
#include "api/handlers.h"
#include "broker/error_code.h"
#include "broker/purgatory.h"
#include "broker/state.h"
#include "broker/throttle.h"
#include "gen/requests.h"
#include "gen/responses.h"
#include "pylog/codec.h"

enum {
    ACKS_NONE = 0,
    ACKS_LEADER = 1,
    ACKS_ALL = -1,
    FIRST_BATCH_VERSION = 3,
    FIRST_ZSTD_VERSION = 7,
    FLEXIBLE_VERSION = 9,
    MAGIC_AT = 16,
    ATTRIBUTES_AT = 21,
    SMALLEST_MESSAGE_BYTES = 26, /* of magic 0, its prefix included */
    PRODUCER_ID_AT = 43,
    PRODUCER_EPOCH_AT = 51,
    TOPIC_ROOM = 32,      /* of a topic in the answer, without its name */
    PARTITION_ROOM = 192, /* of a partition, without record errors */
    RECORD_ERROR_ROOM = 8, /* without its message */
    REQUEST_ROOM = 32,    /* of what is there once */
};

static const char ADMIN_CLIENT[] = "__admin_client";

struct produce { /* one request while it is handled */
    struct pl_broker *broker;
    const struct pl_request *request;
    struct pl_produce_request message;
    struct pl_produce *parked;
    struct pl_answer answer;
    struct pl_bad_records bad; /* of the partition at hand */
    uint64_t began_ns;
    int32_t partitions, throttle_ms;
    int16_t unknown_error; /* what a partition that is not here gets, of the topic at hand */
    bool refused;       /* the client may not write to the topic at hand */
    bool transactional; /* one of its batches is */
    bool failed;        /* one of its partitions has */
};

/* ---- checks before the log's own ---- */

static struct pl_span text_of(const char *text) {
    return (struct pl_span){(const uint8_t *)text, (int32_t)strlen(text)};
}

static bool is_transactional(struct pl_span records) {
    return records.length >= PL_BATCH_HEADER_BYTES && records.data[MAGIC_AT] == 2 &&
           (pl_get_i16(records.data + ATTRIBUTES_AT) & PL_BATCH_TRANSACTIONAL) != 0;
}

/* Counts the partitions and looks for transactional batches. */
static void scan(struct produce *produce) {
    int16_t version = produce->request->api_version;
    struct pl_cursor topics = produce->message.topic_data.elements;
    for (int32_t i = 0; i < produce->message.topic_data.count; i++) {
        struct pl_produce_request_topic topic;
        pl_produce_request_topic_read(&topics, version, &topic);
        struct pl_cursor partitions = topic.partition_data.elements;
        for (int32_t k = 0; k < topic.partition_data.count; k++) {
            struct pl_produce_request_partition partition;
            pl_produce_request_partition_read(&partitions, version, &partition);
            produce->transactional |= is_transactional(partition.records);
        }
        produce->partitions += topic.partition_data.count;
    }
}

/* A whole batch follows the first one. Bytes of a broken one are ignored, as by Kafka. */
static int16_t check_rest(const uint8_t *rest, int64_t length) {
    if (length < PL_BATCH_PREFIX_BYTES) {
        return PL_KAFKA_NONE;
    }
    int64_t batch_length = pl_get_i32(rest + 8);
    return PL_BATCH_PREFIX_BYTES + batch_length <= length ? PL_KAFKA_INVALID_RECORD : PL_KAFKA_NONE;
}

/* Exactly one batch of magic 2, whose length is *length; or a message set, all of it. */
static int16_t check_batch(int16_t version, struct pl_span records, size_t *length) {
    if (records.length < MAGIC_AT + 1) {
        return PL_KAFKA_INVALID_RECORD;
    }
    if (records.data[MAGIC_AT] < 2 && version < FIRST_BATCH_VERSION) {
        *length = (size_t)records.length;
        return PL_KAFKA_NONE;
    }
    int64_t whole = PL_BATCH_PREFIX_BYTES + (int64_t)pl_get_i32(records.data + 8);
    if (whole < SMALLEST_MESSAGE_BYTES || (int8_t)records.data[MAGIC_AT] > 2) {
        return PL_KAFKA_CORRUPT_MESSAGE;
    }
    if (whole > records.length || records.data[MAGIC_AT] != 2) {
        return PL_KAFKA_INVALID_RECORD;
    }
    if (whole < PL_BATCH_HEADER_BYTES) {
        return PL_KAFKA_CORRUPT_MESSAGE;
    }
    int compression = pl_get_i16(records.data + ATTRIBUTES_AT) & PL_BATCH_COMPRESSION;
    if (compression == PL_COMPRESSION_ZSTD && version < FIRST_ZSTD_VERSION) {
        return PL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    }
    *length = (size_t)whole;
    return check_rest(records.data + whole, records.length - whole);
}

static bool is_admin(const struct pl_request *request) {
    return request->client_id_length == (int32_t)sizeof ADMIN_CLIENT - 1 &&
           memcmp(request->client_id, ADMIN_CLIENT, sizeof ADMIN_CLIENT - 1) == 0;
}

/* As Kafka: transactional batches of a request without a transactional id fail all of it. */
static int16_t check_partition(const struct produce *produce,
                               const struct pl_partition *partition) {
    int16_t acks = produce->message.acks;
    if (produce->transactional && produce->message.transactional_id.length < 0) {
        return PL_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    if (produce->refused) {
        return PL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    }
    if (partition == NULL) {
        return produce->unknown_error;
    }
    if (acks != ACKS_NONE && acks != ACKS_LEADER && acks != ACKS_ALL) {
        return PL_KAFKA_INVALID_REQUIRED_ACKS;
    }
    if (partition->internal && !is_admin(produce->request)) {
        return PL_KAFKA_INVALID_TOPIC_EXCEPTION;
    }
    return pl_partition_error(partition);
}

/* ---- one partition ---- */

static const char *refusal_text(int16_t error) {
    return error == PL_KAFKA_INVALID_TIMESTAMP
               ? "Timestamp of a record is outside the bounds of the topic"
               : "Record is not valid for the topic";
}

/* Names the records to blame, so that the client fails those and tells the others apart; the
 * array that *errors becomes is the caller's to free. */
static enum pl_err explain(const struct pl_bad_records *bad,
                           struct pl_produce_response_partition *out,
                           struct pl_produce_response_record_error **errors) {
    if (out->error_code != PL_KAFKA_INVALID_RECORD &&
        out->error_code != PL_KAFKA_INVALID_TIMESTAMP) {
        return PL_OK;
    }
    out->error_message = text_of(refusal_text(out->error_code));
    if (bad->count == 0) {
        return PL_OK;
    }
    *errors = malloc((size_t)bad->count * sizeof **errors);
    if (*errors == NULL) {
        return PL_ERR_MEMORY;
    }
    for (int32_t i = 0; i < bad->count; i++) {
        (*errors)[i] = (struct pl_produce_response_record_error){
            .batch_index = bad->indexes[i], .batch_index_error_message = out->error_message};
    }
    out->record_errors = *errors;
    out->record_errors_count = bad->count;
    return PL_OK;
}

/* What the transaction coordinator has said of this batch; NULL when it was not asked. */
static const struct pl_verification *verification_of(const struct produce *produce,
                                                     const struct pl_partition *partition,
                                                     struct pl_span records) {
    const struct pl_request *request = produce->request;
    for (int32_t i = 0; is_transactional(records) && i < request->verified_count; i++) {
        const struct pl_verification *answer = &request->verified[i];
        if (answer->partition == partition->handle &&
            answer->producer_id == pl_get_i64(records.data + PRODUCER_ID_AT) &&
            answer->producer_epoch == pl_get_i16(records.data + PRODUCER_EPOCH_AT)) {
            return answer;
        }
    }
    return NULL;
}

static struct pl_holding keep_request(const struct pl_request *request) {
    if (request->memory == NULL) {
        return (struct pl_holding){0};
    }
    pl_buf_retain(request->memory);
    return pl_holding_of_buf(request->memory);
}

static int16_t append(struct produce *produce, struct pl_partition *partition,
                      struct pl_span records, struct pl_appended *appended) {
    size_t length = 0;
    int16_t error = check_batch(produce->request->api_version, records, &length);
    if (error != PL_KAFKA_NONE) {
        return error;
    }
    const struct pl_verification *answer = verification_of(produce, partition, records);
    if (answer != NULL && answer->error != PL_KAFKA_NONE) {
        return answer->error;
    }
    /* The frame is ours and writable; the span is const for everybody else. */
    uint8_t *bytes = produce->request->body + (records.data - produce->request->body);
    const struct pl_records own = {bytes, length, keep_request(produce->request)};
    return pl_error_code(pl_partition_append(partition, PL_APPEND_CLIENT, answer != NULL, &own,
                                             &produce->bad, appended));
}

/* Sets `out`; true when there is appended->end_offset to wait for. */
static bool produce_to(struct produce *produce, struct pl_partition *partition,
                       struct pl_span records, struct pl_appended *appended,
                       struct pl_produce_response_partition *out) {
    out->error_code = check_partition(produce, partition);
    if (out->error_code == PL_KAFKA_NONE) {
        out->error_code = append(produce, partition, records, appended);
    }
    if (out->error_code != PL_KAFKA_NONE) {
        produce->failed = true;
        return false;
    }
    out->base_offset = appended->first_offset;
    out->log_append_time_ms = appended->append_time_ms;
    out->log_start_offset = partition->offsets.log_start;
    return true;
}

/* Without an acknowledgement the end of the write is waited for all the same: a producer that is
 * faster than the disk is not read meanwhile. */
static enum pl_level level_of(int16_t acks) {
    if (acks == ACKS_NONE) {
        return PL_LEVEL_WRITTEN;
    }
    return acks == ACKS_ALL ? PL_LEVEL_COMMITTED : PL_LEVEL_DURABLE;
}

static size_t partition_room(const struct pl_produce_response_partition *out) {
    return PARTITION_ROOM + (size_t)out->record_errors_count *
                                (RECORD_ERROR_ROOM + (size_t)out->error_message.length);
}

/* Sets `code` to where the error code is, for what comes later. */
static enum pl_err write_partition(struct produce *produce,
                                   const struct pl_produce_response_partition *out,
                                   uint8_t **code) {
    if (!pl_answer_reserve(&produce->answer, partition_room(out))) {
        return PL_ERR_MEMORY;
    }
    *code = produce->answer.out.bytes + produce->answer.out.length + sizeof out->index;
    pl_produce_response_partition_write(&produce->answer.out, produce->request->api_version, out);
    return PL_OK;
}

static enum pl_err answer_partition(struct produce *produce, struct pl_partition *partition,
                                    const struct pl_produce_request_partition *in) {
    struct pl_appended appended;
    struct pl_produce_response_record_error *errors = NULL;
    struct pl_produce_response_partition out = pl_produce_response_partition_default;
    out.index = in->index;
    out.base_offset = -1;
    produce->bad.count = 0;
    bool waits = produce_to(produce, partition, in->records, &appended, &out);
    uint8_t *code = NULL;
    enum pl_err err = explain(&produce->bad, &out, &errors);
    if (err == PL_OK) {
        err = write_partition(produce, &out, &code);
    }
    free(errors);
    if (err == PL_OK && waits) {
        int16_t acks = produce->message.acks;
        pl_produce_await(produce->parked, partition, level_of(acks), appended.end_offset,
                         acks == ACKS_NONE ? NULL : code);
    }
    return err;
}

/* ---- topics ---- */

static struct pl_topic *find_topic(const struct produce *produce,
                                   const struct pl_produce_request_topic *in) {
    const struct pl_partition_table *table = &produce->broker->table;
    return in->topic_id != NULL ? pl_topic_by_id(table, in->topic_id)
                                : pl_topic_by_name(table, in->name.data, (size_t)in->name.length);
}

/* An id that is nobody's is told as such: it gives away no name. */
static bool may_write(const struct produce *produce, const struct pl_topic *topic,
                      const struct pl_produce_request_topic *in) {
    if (topic == NULL && in->topic_id != NULL) {
        return true;
    }
    const void *name = topic != NULL ? topic->name : (const void *)in->name.data;
    size_t length = topic != NULL ? topic->name_length : (size_t)in->name.length;
    return pl_access_allows(produce->broker->access, produce->request->client->subject,
                            PL_ACCESS_WRITE, name, length);
}

static enum pl_err answer_topic(struct produce *produce,
                                const struct pl_produce_request_topic *in) {
    int16_t version = produce->request->api_version;
    struct pl_topic *topic = find_topic(produce, in);
    produce->unknown_error = topic == NULL && in->topic_id != NULL
                                 ? PL_KAFKA_UNKNOWN_TOPIC_ID
                                 : PL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    produce->refused = !may_write(produce, topic, in);
    const struct pl_produce_response_topic out = {.name = in->name,
                                                  .topic_id = in->topic_id,
                                                  .partition_responses_count =
                                                      in->partition_data.count};
    if (!pl_answer_reserve(&produce->answer, TOPIC_ROOM + (size_t)in->name.length)) {
        return PL_ERR_MEMORY;
    }
    pl_produce_response_topic_open(&produce->answer.out, version, &out);
    struct pl_cursor partitions = in->partition_data.elements;
    for (int32_t i = 0; i < in->partition_data.count; i++) {
        struct pl_produce_request_partition partition;
        pl_produce_request_partition_read(&partitions, version, &partition);
        struct pl_partition *found =
            topic == NULL ? NULL : pl_topic_partition(topic, partition.index);
        enum pl_err err = answer_partition(produce, found, &partition);
        if (err != PL_OK) {
            return err;
        }
    }
    if (!pl_answer_reserve(&produce->answer, TOPIC_ROOM)) {
        return PL_ERR_MEMORY;
    }
    pl_produce_response_topic_close(&produce->answer.out, version, &out);
    return PL_OK;
}

static enum pl_err answer_all(struct produce *produce) {
    int16_t version = produce->request->api_version;
    struct pl_produce_response out = pl_produce_response_default;
    out.responses_count = produce->message.topic_data.count;
    pl_produce_response_open(&produce->answer.out, version, &out);
    struct pl_cursor topics = produce->message.topic_data.elements;
    for (int32_t i = 0; i < out.responses_count; i++) {
        struct pl_produce_request_topic topic;
        pl_produce_request_topic_read(&topics, version, &topic);
        enum pl_err err = answer_topic(produce, &topic);
        if (err != PL_OK) {
            return err;
        }
    }
    if (!pl_answer_reserve(&produce->answer, REQUEST_ROOM)) {
        return PL_ERR_MEMORY;
    }
    produce->throttle_ms = pl_throttle_end(produce->broker, produce->request->client,
                                           PL_QUOTA_PRODUCE, produce->request->length,
                                           produce->began_ns);
    out.throttle_time_ms = produce->throttle_ms;
    pl_produce_response_close(&produce->answer.out, version, &out);
    return PL_OK;
}

/* ---- transactions that begin (KIP-890) ---- */

/* The transactional id is the first field: most requests end here. */
static bool has_transactional_id(const struct pl_request *request) {
    if (request->api_version < FIRST_BATCH_VERSION || request->length < sizeof(int16_t)) {
        return false;
    }
    return request->api_version >= FLEXIBLE_VERSION ? request->body[0] != 0
                                                    : pl_get_i16(request->body) >= 0;
}

static void note_unverified(struct pl_partition *partition, struct pl_span records,
                            struct pl_unverified *unverified) {
    if (partition == NULL || !is_transactional(records)) {
        return;
    }
    const struct pl_verification item = {
        .partition = partition->handle,
        .producer_id = pl_get_i64(records.data + PRODUCER_ID_AT),
        .producer_epoch = pl_get_i16(records.data + PRODUCER_EPOCH_AT),
    };
    if (!pl_partition_in_transaction(partition, item.producer_id, item.producer_epoch)) {
        unverified->items[unverified->count++] = item;
    }
}

static void note_topic(const struct produce *produce, const struct pl_produce_request_topic *in,
                       struct pl_unverified *unverified) {
    const struct pl_topic *topic = find_topic(produce, in);
    struct pl_cursor partitions = in->partition_data.elements;
    for (int32_t i = 0; topic != NULL && i < in->partition_data.count; i++) {
        struct pl_produce_request_partition partition;
        pl_produce_request_partition_read(&partitions, produce->request->api_version, &partition);
        note_unverified(pl_topic_partition(topic, partition.index), partition.records, unverified);
    }
}

enum pl_err pl_produce_unverified(struct pl_broker *broker, const struct pl_request *request,
                                  struct pl_unverified *unverified) {
    struct produce produce = {.broker = broker, .request = request};
    int16_t version = request->api_version;
    if (!has_transactional_id(request) ||
        pl_produce_request_read(request->body, request->length, version, &produce.message) !=
            PL_OK) {
        return PL_OK; /* what is malformed is refused when it is handled */
    }
    scan(&produce);
    if (!produce.transactional) {
        return PL_OK;
    }
    unverified->items = malloc((size_t)produce.partitions * sizeof *unverified->items);
    if (unverified->items == NULL) {
        return PL_ERR_MEMORY;
    }
    unverified->transactional_id = produce.message.transactional_id;
    struct pl_cursor topics = produce.message.topic_data.elements;
    for (int32_t i = 0; i < produce.message.topic_data.count; i++) {
        struct pl_produce_request_topic topic;
        pl_produce_request_topic_read(&topics, version, &topic);
        note_topic(&produce, &topic, unverified);
    }
    return PL_OK;
}

/* ---- the request ---- */

static enum pl_err finish(struct produce *produce, struct pl_reply *reply) {
    struct pl_chain frame = {0};
    if (produce->message.acks == ACKS_NONE) {
        pl_answer_drop(&produce->answer);
        if (produce->failed) {
            pl_produce_drop(produce->parked);
            return PL_ERR_CLOSED;
        }
    } else {
        pl_answer_close(&produce->answer, &frame);
    }
    int32_t timeout_ms = produce->message.acks == ACKS_ALL ? produce->message.timeout_ms : -1;
    pl_produce_park(produce->parked, reply, &frame, timeout_ms);
    return PL_OK;
}

static enum pl_err prepare(struct produce *produce, const struct pl_reply *reply) {
    produce->parked = pl_produce_create(produce->broker, produce->partitions);
    if (produce->parked == NULL) {
        return PL_ERR_MEMORY;
    }
    bool flexible = produce->request->api_version >= FLEXIBLE_VERSION;
    if (!pl_answer_open(&produce->answer, produce->broker->options.pool, REQUEST_ROOM, reply,
                        flexible)) {
        pl_produce_drop(produce->parked);
        return PL_ERR_MEMORY;
    }
    return PL_OK;
}

enum pl_err pl_produce_handle(struct pl_broker *broker, const struct pl_request *request,
                              struct pl_reply *reply) {
    struct produce produce = {
        .broker = broker, .request = request, .began_ns = pl_throttle_begin(broker)};
    enum pl_err err = pl_produce_request_read(request->body, request->length, request->api_version,
                                              &produce.message);
    if (err != PL_OK) {
        return err;
    }
    pl_count(&broker->counters.requests_produce, 1);
    scan(&produce);
    err = prepare(&produce, reply);
    if (err != PL_OK) {
        return err;
    }
    err = answer_all(&produce);
    pl_bad_records_free(&produce.bad);
    if (err != PL_OK) {
        pl_answer_drop(&produce.answer);
        pl_produce_drop(produce.parked);
        return err;
    }
    reply->throttle_ms = produce.throttle_ms;
    return finish(&produce, reply);
}
