/* A broker for tests of net/: a request holds a number (int32), and by its key
 *   ANSWER   is answered with so many bytes, 0xaa each; 0: with nothing, like acks 0
 *   WAIT     is parked until a request of RELEASE with the same number
 *   PATIENT  likewise, but is answered at once, with a byte, when it is hurried
 *   MUTE     is answered with one byte, and mutes the connection for so many milliseconds
 *   FILE     is answered with so many bytes of a file, and 0x7f
 *   VERIFY   is to be verified first; then answered with as many bytes as the error says
 *   any other is of the control lane.
 * Include once, in one program.
 */
#ifndef PYLOG_TEST_FAKE_BROKER_H
#define PYLOG_TEST_FAKE_BROKER_H

#include <stdlib.h>
#include <string.h>

#include "api/lane.h"
#include "base/bytes.h"
#include "broker/broker.h"
#include "broker/quota.h"

enum {
    FAKE_ANSWER = 0,
    FAKE_WAIT = 1,
    FAKE_RELEASE = 2,
    FAKE_FILE = 4,
    FAKE_VERIFY = 5,
    FAKE_PATIENT = 6,
    FAKE_MUTE = 7,
    FAKE_CONTROL = 18
};

struct fake_waiter {
    struct fake_waiter *next;
    struct pl_reply *reply;
    struct pl_broker *broker;
    uint32_t number;
};

struct pl_broker {
    struct pl_broker_options options;
    struct fake_waiter *waiters;
    int cancelled;
    int file;                 /* for FAKE_FILE, or -1 */
    struct pl_quotas *quotas; /* without rules */
};

static int fake_file = -1; /* of brokers that are created next */
static int fake_cancelled; /* of all brokers, until they are destroyed */

enum pl_err pl_broker_create(const struct pl_broker_options *options, struct pl_broker **broker) {
    *broker = calloc(1, sizeof **broker);
    if (*broker == NULL) {
        return PL_ERR_MEMORY;
    }
    (*broker)->options = *options;
    (*broker)->file = fake_file;
    return pl_quotas_create(&(*broker)->quotas);
}

void pl_broker_stop(struct pl_broker *broker) {
    (void)broker;
}

void pl_broker_destroy(struct pl_broker *broker) {
    fake_cancelled = broker->cancelled;
    pl_quotas_destroy(broker->quotas);
    free(broker);
}

void pl_broker_before_sleep(struct pl_broker *broker) {
    (void)broker;
}

uint64_t pl_broker_next_ns(const struct pl_broker *broker) {
    (void)broker;
    return UINT64_MAX;
}

static void fake_done(struct pl_broker *broker, uint64_t token) {
    const struct pl_done done = {.token = token};
    broker->options.sink.done(broker->options.sink.context, &done);
}

void pl_broker_open_partitions(struct pl_broker *broker, uint64_t token,
                               const struct pl_partition_open *partitions, int32_t count,
                               int32_t parallel) {
    (void)partitions, (void)count, (void)parallel;
    fake_done(broker, token);
}
void pl_broker_withdraw_partition(struct pl_broker *broker, const uint8_t *topic_id,
                                  int32_t index) {
    (void)broker, (void)topic_id, (void)index;
}
void pl_broker_cancel_openings(struct pl_broker *broker) {
    (void)broker;
}
void pl_broker_fail_partitions(struct pl_broker *broker, const uint64_t *handles, int32_t count) {
    (void)broker, (void)handles, (void)count;
}
void pl_broker_close_partitions(struct pl_broker *broker, uint64_t token, const uint64_t *handles,
                                int32_t count, bool delete_files) {
    (void)handles, (void)count, (void)delete_files;
    fake_done(broker, token);
}
void pl_broker_configure_cleaner(struct pl_broker *broker,
                                 const struct pl_cleaner_settings *settings) {
    (void)broker, (void)settings;
}
void pl_broker_append(struct pl_broker *broker, uint64_t token, uint64_t handle, uint8_t *bytes,
                      size_t length, bool coordinator, enum pl_append_wait wait) {
    (void)handle, (void)length, (void)coordinator, (void)wait;
    free(bytes);
    fake_done(broker, token);
}
void pl_broker_read(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                    uint32_t max_bytes, bool to_log_end) {
    (void)handle, (void)offset, (void)max_bytes, (void)to_log_end;
    fake_done(broker, token);
}
void pl_broker_survey(struct pl_broker *broker, uint64_t token, uint64_t handle, int64_t offset,
                      int64_t until_offset, uint32_t max_bytes, bool read_committed) {
    (void)handle, (void)offset, (void)until_offset, (void)max_bytes, (void)read_committed;
    fake_done(broker, token);
}
void pl_broker_await_readable(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t offset, bool read_committed) {
    (void)handle, (void)offset, (void)read_committed;
    fake_done(broker, token);
}
/* No record is ever there. */
enum pl_err pl_broker_locate(struct pl_broker *broker, uint64_t handle, int64_t offset,
                             uint32_t max_bytes, struct pl_slice *slice) {
    (void)broker, (void)handle, (void)offset, (void)max_bytes, (void)slice;
    return PL_ERR_OUT_OF_RANGE;
}
void pl_broker_find_time(struct pl_broker *broker, uint64_t token, uint64_t handle,
                         int64_t timestamp_ms, bool read_committed) {
    (void)handle, (void)timestamp_ms, (void)read_committed;
    fake_done(broker, token);
}
void pl_broker_delete_records(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t before_offset) {
    (void)handle, (void)before_offset;
    fake_done(broker, token);
}
void pl_broker_configure_partition(struct pl_broker *broker, uint64_t handle,
                                   const struct pl_log_config *config) {
    (void)broker, (void)handle, (void)config;
}
int16_t pl_broker_partition_offsets(struct pl_broker *broker, uint64_t handle,
                                    struct pl_partition_offsets *offsets) {
    (void)broker, (void)handle, (void)offsets;
    return 0;
}
int16_t pl_broker_epoch_end(struct pl_broker *broker, uint64_t handle, int32_t epoch,
                            int32_t *found_epoch, int64_t *end_offset) {
    (void)broker, (void)handle, (void)epoch, (void)found_epoch, (void)end_offset;
    return 0;
}
int16_t pl_broker_producers(struct pl_broker *broker, uint64_t handle,
                            struct pl_producer_view *views, size_t *count) {
    (void)broker, (void)handle, (void)views;
    *count = 0;
    return 0;
}
void pl_broker_read_counters(const struct pl_broker *broker,
                             struct pl_engine_counters *counters) {
    (void)broker, (void)counters;
}

struct pl_access *pl_broker_access(struct pl_broker *broker) {
    (void)broker;
    return NULL;
}

struct pl_quotas *pl_broker_quotas(struct pl_broker *broker) {
    return broker->quotas;
}

/* ---- the lanes ---- */

enum pl_lane pl_lane_of(int16_t api_key, int16_t api_version) {
    (void)api_version;
    return api_key == FAKE_ANSWER || api_key == FAKE_WAIT || api_key == FAKE_RELEASE ||
                   api_key == FAKE_FILE || api_key == FAKE_VERIFY || api_key == FAKE_PATIENT ||
                   api_key == FAKE_MUTE
               ? PL_LANE_FAST
               : PL_LANE_CONTROL;
}

bool pl_lane_header_is_flexible(int16_t api_key, int16_t api_version) {
    (void)api_key;
    return api_version >= 9;
}

enum pl_err pl_lane_unverified(struct pl_broker *broker, const struct pl_request *request,
                               struct pl_unverified *unverified) {
    (void)broker;
    *unverified = (struct pl_unverified){.count = 0};
    if (request->api_key != FAKE_VERIFY || request->verified != NULL || request->length < 4) {
        return PL_OK;
    }
    unverified->transactional_id = (struct pl_span){(const uint8_t *)"txn", 3};
    unverified->items = calloc(1, sizeof *unverified->items);
    unverified->items[0].partition = pl_get_u32(request->body);
    unverified->count = 1;
    return PL_OK;
}

/* length, correlation id, `payload` bytes of 0xaa; nothing at all for a payload of 0 */
static enum pl_err fake_complete(struct pl_broker *broker, struct pl_reply *reply,
                                 uint32_t payload) {
    struct pl_chain chain = {0};
    if (payload > 0) {
        struct pl_buf *buf = pl_buf_take(broker->options.pool, 8 + payload);
        if (buf == NULL) {
            return PL_ERR_MEMORY;
        }
        pl_put_u32(buf->bytes, 4 + payload);
        pl_put_i32(buf->bytes + 4, reply->correlation_id);
        memset(buf->bytes + 8, 0xaa, payload);
        pl_chain_add_buf(&chain, buf, 8 + payload);
    }
    reply->complete(reply, &chain);
    return PL_OK;
}

static enum pl_err fake_send_file(struct pl_broker *broker, struct pl_reply *reply,
                                  uint32_t length) {
    struct pl_chain chain = {0};
    struct pl_buf *head = pl_buf_take(broker->options.pool, 8);
    pl_put_u32(head->bytes, 4 + length + 1);
    pl_put_i32(head->bytes + 4, reply->correlation_id);
    pl_chain_add_buf(&chain, head, 8);
    enum pl_err err =
        pl_chain_add_file(&chain, broker->options.pool, broker->file, 0, length, NULL, NULL);
    if (err != PL_OK) {
        return err;
    }
    struct pl_buf *tail = pl_buf_take(broker->options.pool, 1);
    tail->bytes[0] = 0x7f;
    pl_chain_add_buf(&chain, tail, 1);
    reply->complete(reply, &chain);
    return PL_OK;
}

static void fake_unlink(struct fake_waiter *waiter) {
    struct fake_waiter **link = &waiter->broker->waiters;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
}

static void fake_cancel(void *argument) {
    struct fake_waiter *waiter = argument;
    fake_unlink(waiter);
    waiter->broker->cancelled++;
    free(waiter);
}

static void fake_hurry(void *argument) {
    struct fake_waiter *waiter = argument;
    fake_unlink(waiter);
    if (fake_complete(waiter->broker, waiter->reply, 1) != PL_OK) {
        abort();
    }
    free(waiter);
}

static enum pl_err fake_park(struct pl_broker *broker, struct pl_reply *reply, uint32_t number) {
    struct fake_waiter *waiter = malloc(sizeof *waiter);
    *waiter = (struct fake_waiter){broker->waiters, reply, broker, number};
    broker->waiters = waiter;
    reply->waiter = waiter;
    reply->cancel = fake_cancel;
    reply->hurry = reply->api_key == FAKE_PATIENT ? fake_hurry : NULL;
    return PL_OK;
}

static enum pl_err fake_release(struct pl_broker *broker, struct pl_reply *reply,
                                uint32_t number) {
    for (struct fake_waiter **link = &broker->waiters; *link != NULL; link = &(*link)->next) {
        struct fake_waiter *waiter = *link;
        if (waiter->number == number) {
            *link = waiter->next;
            enum pl_err err = fake_complete(broker, waiter->reply, 1);
            free(waiter);
            if (err != PL_OK) {
                return err;
            }
            break;
        }
    }
    return fake_complete(broker, reply, 1);
}

enum pl_err pl_lane_handle(struct pl_broker *broker, const struct pl_request *request,
                           struct pl_reply *reply) {
    if (request->length < 4) {
        return PL_ERR_INVALID;
    }
    uint32_t number = pl_get_u32(request->body);
    switch (request->api_key) {
    case FAKE_ANSWER:
        return fake_complete(broker, reply, number);
    case FAKE_VERIFY:
        return fake_complete(broker, reply, (uint32_t)request->verified[0].error);
    case FAKE_WAIT:
    case FAKE_PATIENT:
        return fake_park(broker, reply, number);
    case FAKE_MUTE:
        reply->throttle_ms = (int32_t)number;
        return fake_complete(broker, reply, 1);
    case FAKE_FILE:
        return fake_send_file(broker, reply, number);
    default:
        return fake_release(broker, reply, number);
    }
}

#endif
