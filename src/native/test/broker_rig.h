/* A broker on a temporary folder, with a clock that the test sets, and a disk that fails when it
 * is told to; requests go straight to the lane (rig_produce.h, rig_fetch.h). Include once, in one
 * program.
 *
 *     struct rig rig;
 *     rig_open(&rig, NULL);
 *     uint64_t handle = rig_add_partition(&rig, "topic", 0);
 *     struct rig_reply reply = {0};
 *     rig_produce(&rig, &reply, …);
 *     rig_turn(&rig);                       ends the turn: writes, answers
 *     rig_until(&rig, &reply.completed);    turns until it is set
 *     rig_close(&rig);
 */
#ifndef PYLOG_TEST_BROKER_RIG_H
#define PYLOG_TEST_BROKER_RIG_H

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/lane.h"
#include "base/writer.h"
#include "broker/client.h"
#include "broker/broker.h"
#include "check.h"
#include "log/log.h"
#include "pylog/codec.h"

#pragma GCC diagnostic ignored "-Wunused-function" /* a program uses what it needs */

enum { RIG_TOKENS = 64, RIG_FRAME = 1 << 17, RIG_FRAMES = 4, RIG_NS_PER_MS = 1000000 };

struct rig {
    char folder[64];
    struct pl_fs fs;
    atomic_bool flush_fails, disk_is_full, write_fails;
    bool cache_is_cold; /* of what was not written last */
    atomic_int flushes_begun; /* and not ended */
    struct pl_clock clock;
    int64_t wall_ms;
    uint64_t monotonic_ms;
    struct pl_mailbox mailbox;
    struct pl_worker_pool *workers;
    struct pl_pool *pool;
    struct pl_timer_wheel timers;
    struct pl_broker *broker;
    struct pl_done done[RIG_TOKENS]; /* by token */
    bool is_done[RIG_TOKENS];
    uint64_t next_token;
    int offline;
    uint64_t uncleanable; /* handle of the last one */
    int opened; /* logs that were told to be, by a call with `parallel` */
    void (*on_opened)(struct rig *rig, const struct pl_partition_opened *opened);
    struct pl_client client; /* that requests come from */
    struct pl_buf *memory; /* in which they lie; NULL: somewhere that stays */
    uint8_t frames[RIG_FRAMES][RIG_FRAME]; /* of the requests of a turn, one after the other */
    uint32_t next_frame;
    struct pl_verification verified[4]; /* that requests are sent with */
    int32_t verified_count;
};

static struct rig *rig_of_disk; /* one at a time: the real file system has no context */

/* ---- disk, clock, sink ---- */

static enum pl_err rig_flush(void *context, int fd) {
    if (atomic_load(&rig_of_disk->flush_fails)) {
        return PL_ERR_IO;
    }
    return pl_fs_real.flush(context, fd);
}

static enum pl_err rig_write(void *context, int fd, const struct iovec *iov, int count,
                             uint64_t at) {
    if (atomic_load(&rig_of_disk->disk_is_full)) {
        return PL_ERR_NO_SPACE;
    }
    if (atomic_load(&rig_of_disk->write_fails)) {
        return PL_ERR_IO;
    }
    return pl_fs_real.write_at(context, fd, iov, count, at);
}

static bool rig_is_cached(void *context, int fd, uint64_t at, size_t n) {
    (void)context, (void)fd, (void)at, (void)n;
    return !rig_of_disk->cache_is_cold;
}

static int64_t rig_wall(void *context) {
    return ((struct rig *)context)->wall_ms;
}

static uint64_t rig_monotonic(void *context) {
    return ((struct rig *)context)->monotonic_ms * RIG_NS_PER_MS;
}

static void rig_on_done(void *context, const struct pl_done *done) {
    struct rig *rig = context;
    CHECK(done->token < RIG_TOKENS && !rig->is_done[done->token]);
    rig->done[done->token] = *done;
    rig->is_done[done->token] = true;
}

static void rig_on_offline(void *context, uint64_t handle) {
    (void)handle;
    ((struct rig *)context)->offline++;
}

static void rig_on_uncleanable(void *context, uint64_t handle) {
    ((struct rig *)context)->uncleanable = handle;
}

static void rig_on_opened(void *context, uint64_t token, int32_t number,
                          const struct pl_partition_opened *opened) {
    struct rig *rig = context;
    CHECK(!rig->is_done[token]);
    CHECK_EQ(number, rig->opened);
    rig->opened++;
    rig->on_opened(rig, opened);
}

/* ---- open and close ---- */

struct rig_options {
    int32_t fetch_max_bytes, session_slots;
    int64_t housekeep_interval_ms;
};

static void rig_open(struct rig *rig, const struct rig_options *options) {
    static const struct rig_options usual = {.fetch_max_bytes = 50 << 20, .session_slots = 10};
    options = options == NULL ? &usual : options;
    memset(rig, 0, sizeof *rig);
    rig_of_disk = rig;
    pl_client_open(&rig->client);
    rig->wall_ms = 1700000000000;
    rig->monotonic_ms = 1000;
    strcpy(rig->folder, "/tmp/pylog-broker-XXXXXX");
    CHECK(mkdtemp(rig->folder) != NULL);
    rig->fs = pl_fs_real;
    rig->fs.flush = rig_flush;
    rig->fs.write_at = rig_write;
    rig->fs.is_cached = rig_is_cached;
    rig->clock = (struct pl_clock){rig, rig_wall, rig_monotonic};
    CHECK_OK(pl_mailbox_open(&rig->mailbox));
    CHECK_OK(pl_worker_pool_create(2, &rig->mailbox, &rig->workers));
    CHECK_OK(pl_pool_create(&rig->pool));
    pl_timer_wheel_init(&rig->timers, rig->monotonic_ms);
    const struct pl_broker_options broker = {
        .fs = &rig->fs,
        .clock = &rig->clock,
        .workers = rig->workers,
        .pool = rig->pool,
        .timers = &rig->timers,
        .sink = {rig, rig_on_done, rig_on_offline, rig_on_uncleanable, rig_on_opened},
        .node_id = 1,
        .fetch_max_bytes = options->fetch_max_bytes,
        .fetch_session_slots = options->session_slots,
        .housekeep_interval_ms = options->housekeep_interval_ms,
    };
    CHECK_OK(pl_broker_create(&broker, &rig->broker));
}

static void rig_close(struct rig *rig) {
    pl_client_close(&rig->client);
    pl_broker_stop(rig->broker);
    pl_worker_pool_destroy(rig->workers);
    pl_mailbox_deliver(&rig->mailbox);
    pl_broker_destroy(rig->broker);
    pl_mailbox_close(&rig->mailbox);
    pl_pool_destroy(rig->pool);
    for (size_t i = 0; i < RIG_TOKENS; i++) {
        free(rig->done[i].storage);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", rig->folder);
    CHECK_OK(system(command));
}

/* ---- turns ---- */

/* What came from the workers until now is part of it; it does not wait for them. */
static void rig_turn(struct rig *rig) {
    pl_mailbox_deliver(&rig->mailbox);
    pl_timer_wheel_advance(&rig->timers, rig->monotonic_ms);
    pl_broker_before_sleep(rig->broker);
}

/* Time goes on, then a turn. */
static void rig_pass(struct rig *rig, int64_t ms) {
    rig->wall_ms += ms;
    rig->monotonic_ms += (uint64_t)ms;
    rig_turn(rig);
}

static void rig_wait_for_mail(struct rig *rig) {
    if (pl_mailbox_arm(&rig->mailbox)) {
        struct pollfd ready = {.fd = rig->mailbox.fd, .events = POLLIN};
        CHECK_EQ(poll(&ready, 1, 10000), 1);
        pl_mailbox_disarm(&rig->mailbox, true);
    }
}

/* Turns, waiting for the workers, until *flag is set. */
static void rig_until(struct rig *rig, const bool *flag) {
    rig_turn(rig);
    while (!*flag) {
        rig_wait_for_mail(rig);
        rig_turn(rig);
    }
}

static const struct pl_done *rig_await(struct rig *rig, uint64_t token) {
    rig_until(rig, &rig->is_done[token]);
    return &rig->done[token];
}

static uint64_t rig_token(struct rig *rig) {
    CHECK(rig->next_token < RIG_TOKENS);
    return rig->next_token++;
}

/* ---- partitions ---- */

static struct pl_log_config rig_config(void) {
    return (struct pl_log_config){
        .segment_bytes = 1 << 20,
        .segment_ms = INT64_MAX,
        .segment_index_bytes = 1 << 16,
        .index_interval_bytes = 4096,
        .max_message_bytes = 1 << 16,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
        .retention_ms = -1,
        .retention_bytes = -1,
        .file_delete_delay_ms = 0,
        .delete_retention_ms = 1000,
        .max_compaction_lag_ms = INT64_MAX,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .producer_id_expiration_ms = INT64_MAX,
        .min_cleanable_dirty_ratio = 0.5,
        .durability = PL_DURABILITY_OS,
        .compression = -1,
        .delete_policy = true,
    };
}

/* The id of a topic is its name, cut or filled with zeroes. */
static void rig_topic_id(const char *topic, uint8_t id[16]) {
    memset(id, 0, 16);
    memcpy(id, topic, strlen(topic) < 16 ? strlen(topic) : 16);
}

static struct pl_partition_opened rig_try_add(struct rig *rig, const char *topic, int32_t index,
                                              const struct pl_log_config *config) {
    char folder[256];
    snprintf(folder, sizeof folder, "%s/%s-%d", rig->folder, topic, (int)index);
    struct pl_partition_open open = {.topic = topic,
                                     .partition = index,
                                     .folder = folder,
                                     .config = config,
                                     .leader_epoch = 3};
    rig_topic_id(topic, open.topic_id);
    uint64_t token = rig_token(rig);
    pl_broker_open_partitions(rig->broker, token, &open, 1, 0);
    const struct pl_done *done = rig_await(rig, token);
    CHECK_EQ(done->error, 0);
    CHECK_EQ(done->length, sizeof(struct pl_partition_opened));
    struct pl_partition_opened opened;
    memcpy(&opened, done->data, sizeof opened);
    return opened;
}

static uint64_t rig_add_with(struct rig *rig, const char *topic, int32_t index,
                             const struct pl_log_config *config) {
    struct pl_partition_opened opened = rig_try_add(rig, topic, index, config);
    CHECK_EQ(opened.error, 0);
    return opened.handle;
}

static uint64_t rig_add_partition(struct rig *rig, const char *topic, int32_t index) {
    struct pl_log_config config = rig_config();
    return rig_add_with(rig, topic, index, &config);
}

/* A rig with partition 0 of "topic"; its handle. */
static uint64_t rig_open_topic(struct rig *rig, enum pl_durability durability) {
    rig_open(rig, NULL);
    struct pl_log_config config = rig_config();
    config.durability = durability;
    return rig_add_with(rig, "topic", 0, &config);
}

static struct pl_partition_offsets rig_offsets(struct rig *rig, uint64_t handle) {
    struct pl_partition_offsets offsets;
    CHECK_OK(pl_broker_partition_offsets(rig->broker, handle, &offsets));
    return offsets;
}

static int16_t rig_remove(struct rig *rig, uint64_t handle, bool delete_files) {
    uint64_t token = rig_token(rig);
    pl_broker_close_partitions(rig->broker, token, &handle, 1, delete_files);
    return rig_await(rig, token)->error;
}

/* ---- batches ---- */

struct rig_batch {
    int64_t producer_id;
    int32_t sequence, records;
    int16_t producer_epoch;
    bool transactional, keyless;
    int64_t timestamp_ms;
    size_t value_bytes;
};

static struct rig_batch rig_plain(const struct rig *rig, int32_t records, size_t value_bytes) {
    return (struct rig_batch){.producer_id = -1,
                              .sequence = -1,
                              .producer_epoch = -1,
                              .records = records,
                              .timestamp_ms = rig->wall_ms,
                              .value_bytes = value_bytes};
}

static struct rig_batch rig_of_producer(const struct rig *rig, int32_t records, int32_t sequence) {
    struct rig_batch batch = rig_plain(rig, records, 10);
    batch.producer_id = 9;
    batch.producer_epoch = 1;
    batch.sequence = sequence;
    return batch;
}

/* malloc'ed. */
static uint8_t *rig_build(const struct rig_batch *batch, size_t *length) {
    struct pl_batch_options options = pl_batch_options_default();
    options.producer_id = batch->producer_id;
    options.producer_epoch = batch->producer_epoch;
    options.base_sequence = batch->sequence;
    options.transactional = batch->transactional;
    struct pl_batch_builder *builder;
    CHECK_OK(pl_batch_builder_create(&options, &builder));
    uint8_t *value = calloc(1, batch->value_bytes + 1);
    struct pl_span key = {(const uint8_t *)"key", 3}, null = {NULL, -1};
    struct pl_span text = {value, (int32_t)batch->value_bytes};
    for (int32_t i = 0; i < batch->records; i++) {
        CHECK_OK(pl_batch_builder_append(builder, batch->timestamp_ms,
                                         batch->keyless ? null : key, text, NULL, 0));
    }
    const uint8_t *built;
    CHECK_OK(pl_batch_builder_build(builder, NULL, &built, length));
    uint8_t *copy = malloc(*length);
    memcpy(copy, built, *length);
    pl_batch_builder_destroy(builder);
    free(value);
    return copy;
}

/* ---- replies ---- */

struct rig_reply {
    struct pl_reply reply;
    bool completed;
    uint8_t *bytes; /* after the response header's correlation id */
    size_t length;  /* 0: nothing was sent */
    int files;      /* ranges of files in it */
};

static void rig_complete(struct pl_reply *reply, struct pl_chain *chain) {
    struct rig_reply *own = (struct rig_reply *)(void *)reply;
    CHECK(!own->completed);
    own->completed = true;
    uint8_t *frame = malloc(chain->length + 1);
    size_t at = 0;
    for (const struct pl_chain_node *node = chain->first; node != NULL; node = node->next) {
        if (node->kind == PL_CHAIN_MEMORY) {
            memcpy(frame + at, node->data, node->length);
        } else {
            ssize_t got = pread(node->fd, frame + at, node->length, (off_t)node->position);
            CHECK_EQ(got, node->length);
            own->files++;
        }
        at += node->length;
    }
    CHECK_EQ(at, chain->length);
    if (at > 0) {
        CHECK_EQ(pl_get_i32(frame), at - 4);
        CHECK_EQ(pl_get_i32(frame + 4), reply->correlation_id);
        own->length = at - 8;
        own->bytes = malloc(own->length + 1);
        memcpy(own->bytes, frame + 8, own->length);
    }
    pl_chain_drop(chain);
    free(frame);
}

static void rig_forget(struct rig_reply *reply) {
    free(reply->bytes);
    memset(reply, 0, sizeof *reply);
}

/* As when the connection goes away. */
static void rig_cancel(struct rig_reply *reply) {
    CHECK(!reply->completed);
    reply->reply.cancel(reply->reply.waiter);
}

static enum pl_err rig_send(struct rig *rig, struct rig_reply *reply, int16_t key, int16_t version,
                            uint8_t *body, size_t length, const char *client_id) {
    reply->reply = (struct pl_reply){.complete = rig_complete,
                                     .connection = 1,
                                     .received_ns = rig->monotonic_ms * RIG_NS_PER_MS,
                                     .correlation_id = 77,
                                     .api_key = key,
                                     .api_version = version};
    struct pl_request request = {.body = body,
                                 .length = length,
                                 .memory = rig->memory,
                                 .client = &rig->client,
                                 .client_id = client_id,
                                 .client_id_length =
                                     client_id == NULL ? -1 : (int32_t)strlen(client_id),
                                 .connection = 1,
                                 .correlation_id = 77,
                                 .api_key = key,
                                 .api_version = version,
                                 .verified = rig->verified_count > 0 ? rig->verified : NULL,
                                 .verified_count = rig->verified_count};
    return pl_lane_handle(rig->broker, &request, &reply->reply);
}

/* ---- parts of messages ---- */

static void rig_write_topic(struct pl_writer *out, bool flexible, bool by_id, const char *topic) {
    if (by_id) {
        uint8_t id[16];
        rig_topic_id(topic, id);
        pl_write_bytes(out, id, 16);
    } else {
        pl_write_string(out, flexible,
                        (struct pl_span){(const uint8_t *)topic, (int32_t)strlen(topic)});
    }
}

static void rig_write_tags(struct pl_writer *out, bool flexible) {
    if (flexible) {
        pl_write_uvarint(out, 0);
    }
}

static struct pl_span rig_read_string(struct pl_cursor *in, bool flexible) {
    return flexible ? pl_cursor_compact_string(in) : pl_cursor_string(in);
}

static int32_t rig_read_count(struct pl_cursor *in, bool flexible) {
    return flexible ? pl_cursor_compact_array(in) : pl_cursor_array(in);
}

static void rig_skip_tags(struct pl_cursor *in, bool flexible) {
    if (flexible) {
        pl_cursor_skip_tags(in);
    }
}

static void rig_skip_topic(struct pl_cursor *in, bool flexible, bool by_id) {
    if (by_id) {
        (void)pl_cursor_uuid(in);
    } else {
        (void)rig_read_string(in, flexible);
    }
}

#endif
