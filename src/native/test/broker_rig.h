/* A broker on a temporary folder, with a clock that the test sets, and a disk that fails when it
 * is told to; requests go straight to the lane. Include once, in one program.
 *
 *     struct rig rig;
 *     rig_open(&rig, NULL);
 *     uint64_t handle = rig_add_partition(&rig, "topic", 0);
 *     struct rig_reply reply = {0};
 *     rig_produce(&rig, &reply, …);
 *     rig_turn(&rig);           ends the turn: writes, answers
 *     rig_settle(&rig);         turns until no job is under way
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

enum { RIG_TOKENS = 64, RIG_FRAME = 1 << 17, RIG_NS_PER_MS = 1000000 };

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
    struct pl_client client; /* that requests come from */
    uint8_t frame[RIG_FRAME]; /* of the request at hand */
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
        .sink = {rig, rig_on_done, rig_on_offline},
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
    pl_broker_open_partitions(rig->broker, token, &open, 1);
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

/* ---- produce ---- */

struct rig_part { /* of a produce request */
    const char *topic;
    int32_t index;
    const uint8_t *records;
    int32_t length; /* -1: null */
};

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

struct rig_produce {
    int16_t version, acks;
    int32_t timeout_ms;
    const char *transactional_id, *client_id;
    const struct rig_part *parts; /* each under a topic of its own */
    int32_t count;
};

static size_t rig_write_produce(uint8_t *frame, size_t room, const struct rig_produce *produce) {
    struct pl_writer out = pl_writer_open(frame, room);
    bool flexible = produce->version >= 9;
    const char *id = produce->transactional_id;
    if (produce->version >= 3) {
        int32_t length = id == NULL ? -1 : (int32_t)strlen(id);
        pl_write_string(&out, flexible, (struct pl_span){(const uint8_t *)id, length});
    }
    pl_write_i16(&out, produce->acks);
    pl_write_i32(&out, produce->timeout_ms);
    pl_write_count(&out, flexible, produce->count);
    for (int32_t i = 0; i < produce->count; i++) {
        const struct rig_part *part = &produce->parts[i];
        rig_write_topic(&out, flexible, produce->version >= 13, part->topic);
        pl_write_count(&out, flexible, 1);
        pl_write_i32(&out, part->index);
        pl_write_count(&out, flexible, part->length);
        pl_write_bytes(&out, part->records, part->length > 0 ? (size_t)part->length : 0);
        rig_write_tags(&out, flexible);
        rig_write_tags(&out, flexible);
    }
    rig_write_tags(&out, flexible);
    CHECK(out.length <= out.room);
    return out.length;
}

/* The frame is the caller's and lives until the turn ends. */
static enum pl_err rig_produce_from(struct rig *rig, struct rig_reply *reply, uint8_t *frame,
                                    size_t room, const struct rig_produce *produce) {
    size_t length = rig_write_produce(frame, room, produce);
    return rig_send(rig, reply, 0, produce->version, frame, length, produce->client_id);
}

static enum pl_err rig_produce(struct rig *rig, struct rig_reply *reply,
                               const struct rig_produce *produce) {
    return rig_produce_from(rig, reply, rig->frame, sizeof rig->frame, produce);
}

/* What would have to be verified, into rig->verified; how many. */
static int32_t rig_ask(struct rig *rig, const struct rig_produce *produce) {
    uint8_t *frame = malloc(RIG_FRAME);
    const struct pl_request request = {.body = frame,
                                       .length = rig_write_produce(frame, RIG_FRAME, produce),
                                       .api_version = produce->version};
    struct pl_unverified unverified;
    CHECK_OK(pl_lane_unverified(rig->broker, &request, &unverified));
    CHECK(unverified.count <= 4);
    for (int32_t i = 0; i < unverified.count; i++) {
        rig->verified[i] = unverified.items[i];
    }
    free(unverified.items);
    free(frame);
    return unverified.count;
}

struct rig_produced {
    int32_t index;
    int16_t error;
    int64_t base_offset, append_time_ms, log_start;
    int32_t record_errors, bad_record;
    bool has_message;
};

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

static struct rig_produced rig_read_produced(struct pl_cursor *in, int16_t version) {
    bool flexible = version >= 9;
    struct rig_produced out = {.append_time_ms = -1, .log_start = -1, .bad_record = -1};
    out.index = pl_cursor_i32(in);
    out.error = pl_cursor_i16(in);
    out.base_offset = pl_cursor_i64(in);
    out.append_time_ms = version >= 2 ? pl_cursor_i64(in) : -1;
    out.log_start = version >= 5 ? pl_cursor_i64(in) : -1;
    if (version >= 8) {
        out.record_errors = rig_read_count(in, flexible);
        for (int32_t i = 0; i < out.record_errors; i++) {
            out.bad_record = pl_cursor_i32(in);
            (void)rig_read_string(in, flexible);
            rig_skip_tags(in, flexible);
        }
        out.has_message = rig_read_string(in, flexible).length > 0;
    }
    rig_skip_tags(in, flexible);
    return out;
}

/* The answer to a request of `count` parts; every byte of it is looked at. */
static void rig_produced_all(const struct rig_reply *reply, struct rig_produced *out,
                             int32_t count) {
    CHECK(reply->completed && reply->length > 0);
    int16_t version = reply->reply.api_version;
    bool flexible = version >= 9;
    struct pl_cursor in = pl_cursor_open(reply->bytes, reply->length);
    rig_skip_tags(&in, flexible);
    CHECK_EQ(rig_read_count(&in, flexible), count);
    for (int32_t i = 0; i < count; i++) {
        rig_skip_topic(&in, flexible, version >= 13);
        CHECK_EQ(rig_read_count(&in, flexible), 1);
        out[i] = rig_read_produced(&in, version);
        rig_skip_tags(&in, flexible);
    }
    if (version >= 1) {
        CHECK_EQ(pl_cursor_i32(&in), 0);
    }
    rig_skip_tags(&in, flexible);
    CHECK_EQ(in.err, PL_OK);
    CHECK_EQ(pl_cursor_left(&in), 0);
}

static struct rig_produced rig_produced(const struct rig_reply *reply) {
    struct rig_produced out;
    rig_produced_all(reply, &out, 1);
    return out;
}

/* One batch, to the end: produced, answered, flushed if need be. */
static struct rig_produced rig_append(struct rig *rig, const char *topic, int32_t index,
                                      const struct rig_batch *batch) {
    size_t length;
    uint8_t *bytes = rig_build(batch, &length);
    struct rig_part part = {topic, index, bytes, (int32_t)length};
    struct rig_produce produce = {.version = 9, .acks = -1, .timeout_ms = 1000, .parts = &part,
                                  .count = 1};
    produce.transactional_id = batch->transactional ? "transactions" : NULL;
    rig->verified_count = rig_ask(rig, &produce); /* and their coordinator agrees */
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(rig, &reply, &produce));
    rig->verified_count = 0;
    rig_until(rig, &reply.completed);
    struct rig_produced produced = rig_produced(&reply);
    rig_forget(&reply);
    free(bytes);
    return produced;
}

/* ---- fetch ---- */

struct rig_want { /* of a fetch request */
    const char *topic;
    int32_t index;
    int64_t offset;
    int32_t max_bytes;
    int32_t leader_epoch, last_fetched_epoch; /* 0 counts as none: -1 is sent */
};

struct rig_fetch {
    int16_t version;
    int32_t replica_id, max_wait_ms, min_bytes, max_bytes;
    int32_t session_id, session_epoch;
    bool read_committed;
    const struct rig_want *wants; /* each under a topic of its own */
    int32_t count;
    const struct rig_want *forgotten;
    int32_t forgotten_count;
};

static struct rig_fetch rig_fetch_of(const struct rig_want *wants, int32_t count) {
    return (struct rig_fetch){.version = 12,
                              .replica_id = -1,
                              .min_bytes = 1,
                              .max_bytes = 50 << 20,
                              .session_epoch = -1,
                              .wants = wants,
                              .count = count};
}

static void rig_write_want(struct pl_writer *out, int16_t version, const struct rig_want *want) {
    bool flexible = version >= 12;
    rig_write_topic(out, flexible, version >= 13, want->topic);
    pl_write_count(out, flexible, 1);
    pl_write_i32(out, want->index);
    if (version >= 9) {
        pl_write_i32(out, want->leader_epoch == 0 ? -1 : want->leader_epoch);
    }
    pl_write_i64(out, want->offset);
    if (version >= 12) {
        pl_write_i32(out, want->last_fetched_epoch == 0 ? -1 : want->last_fetched_epoch);
    }
    if (version >= 5) {
        pl_write_i64(out, -1);
    }
    pl_write_i32(out, want->max_bytes);
    rig_write_tags(out, flexible);
    rig_write_tags(out, flexible);
}

static void rig_write_forgotten(struct pl_writer *out, const struct rig_fetch *fetch) {
    bool flexible = fetch->version >= 12;
    pl_write_count(out, flexible, fetch->forgotten_count);
    for (int32_t i = 0; i < fetch->forgotten_count; i++) {
        rig_write_topic(out, flexible, fetch->version >= 13, fetch->forgotten[i].topic);
        pl_write_count(out, flexible, 1);
        pl_write_i32(out, fetch->forgotten[i].index);
        rig_write_tags(out, flexible);
    }
}

static size_t rig_write_fetch(uint8_t *frame, size_t room, const struct rig_fetch *fetch) {
    struct pl_writer out = pl_writer_open(frame, room);
    bool flexible = fetch->version >= 12;
    if (fetch->version <= 14) {
        pl_write_i32(&out, fetch->replica_id);
    }
    pl_write_i32(&out, fetch->max_wait_ms);
    pl_write_i32(&out, fetch->min_bytes);
    pl_write_i32(&out, fetch->max_bytes);
    pl_write_i8(&out, fetch->read_committed);
    if (fetch->version >= 7) {
        pl_write_i32(&out, fetch->session_id);
        pl_write_i32(&out, fetch->session_epoch);
    }
    pl_write_count(&out, flexible, fetch->count);
    for (int32_t i = 0; i < fetch->count; i++) {
        rig_write_want(&out, fetch->version, &fetch->wants[i]);
    }
    if (fetch->version >= 7) {
        rig_write_forgotten(&out, fetch);
    }
    if (fetch->version >= 11) {
        pl_write_string(&out, flexible, (struct pl_span){(const uint8_t *)"", 0});
    }
    rig_write_tags(&out, flexible);
    CHECK(out.length <= out.room);
    return out.length;
}

static void rig_fetch(struct rig *rig, struct rig_reply *reply, const struct rig_fetch *fetch) {
    static uint8_t frame[RIG_FRAME];
    size_t length = rig_write_fetch(frame, sizeof frame, fetch);
    CHECK_OK(rig_send(rig, reply, 1, fetch->version, frame, length, NULL));
    memset(frame, 0xee, length); /* what is parked must not look at it any more */
}

enum { RIG_ANSWERS = 64 };

struct rig_fetched_part {
    char topic[32]; /* or the id; cut when it is longer */
    int32_t index;
    int16_t error;
    int64_t high_watermark, last_stable, log_start;
    int32_t diverging_epoch;
    int64_t diverging_end;
    int32_t aborted; /* how many, -1: null */
    int64_t aborted_producer, aborted_first; /* of the last */
    int32_t bytes, batches;
    int64_t first_offset, next_offset; /* of the batches; -1 without */
};

struct rig_fetched {
    int16_t error;
    int32_t session_id;
    int32_t count;
    struct rig_fetched_part parts[RIG_ANSWERS]; /* the first ones, when there are more */
};

static void rig_read_aborted(struct pl_cursor *in, bool flexible, struct rig_fetched_part *part) {
    part->aborted = rig_read_count(in, flexible);
    for (int32_t i = 0; i < part->aborted; i++) {
        part->aborted_producer = pl_cursor_i64(in);
        part->aborted_first = pl_cursor_i64(in);
        rig_skip_tags(in, flexible);
    }
}

static void rig_read_records(struct pl_cursor *in, bool flexible, struct rig_fetched_part *part) {
    struct pl_span records = flexible ? pl_cursor_compact_bytes(in) : pl_cursor_bytes(in);
    part->bytes = records.length;
    part->first_offset = part->next_offset = -1;
    if (records.length <= 0) {
        return;
    }
    struct pl_batch_reader reader = pl_batch_reader_open(records.data, (size_t)records.length);
    struct pl_batch batch;
    while (pl_batch_reader_next(&reader, &batch)) {
        struct pl_batch_header header;
        CHECK_OK(pl_batch_check(batch.bytes, batch.size, PL_BATCH_FROM_LOG, &header, NULL));
        part->first_offset = part->batches == 0 ? header.base_offset : part->first_offset;
        part->next_offset = pl_batch_last_offset(&header) + 1;
        part->batches++;
    }
    CHECK_EQ(reader.err, PL_OK);
}

static void rig_read_diverging(struct pl_cursor *in, struct rig_fetched_part *part) {
    for (uint32_t n = pl_cursor_uvarint(in); n > 0; n--) {
        uint32_t tag = pl_cursor_uvarint(in);
        struct pl_cursor field = pl_cursor_sub(in, pl_cursor_uvarint(in));
        if (tag == 0) {
            part->diverging_epoch = pl_cursor_i32(&field);
            part->diverging_end = pl_cursor_i64(&field);
        }
    }
}

static void rig_read_part(struct pl_cursor *in, int16_t version, struct rig_fetched_part *part) {
    bool flexible = version >= 12;
    part->index = pl_cursor_i32(in);
    part->error = pl_cursor_i16(in);
    part->high_watermark = pl_cursor_i64(in);
    part->last_stable = pl_cursor_i64(in);
    part->log_start = version >= 5 ? pl_cursor_i64(in) : -1;
    part->diverging_epoch = -1;
    rig_read_aborted(in, flexible, part);
    if (version >= 11) {
        CHECK_EQ(pl_cursor_i32(in), -1);
    }
    rig_read_records(in, flexible, part);
    if (flexible) {
        rig_read_diverging(in, part);
    }
}

static void rig_read_topic(struct pl_cursor *in, int16_t version, struct rig_fetched *out) {
    char topic[32] = {0};
    if (version >= 13) {
        const uint8_t *id = pl_cursor_uuid(in);
        memcpy(topic, id, id == NULL ? 0 : 16);
    } else {
        struct pl_span name = rig_read_string(in, version >= 12);
        CHECK(name.length >= 0);
        memcpy(topic, name.data, name.length < 31 ? (size_t)name.length : 31);
    }
    int32_t count = rig_read_count(in, version >= 12);
    for (int32_t i = 0; i < count; i++) {
        struct rig_fetched_part spare = {0};
        bool fits = out->count < RIG_ANSWERS;
        struct rig_fetched_part *part = fits ? &out->parts[out->count++] : &spare;
        rig_read_part(in, version, part);
        memcpy(part->topic, topic, sizeof topic);
    }
    rig_skip_tags(in, version >= 12);
}

/* Every byte of the answer is looked at. */
static struct rig_fetched rig_fetched(const struct rig_reply *reply) {
    CHECK(reply->completed && reply->length > 0);
    int16_t version = reply->reply.api_version;
    struct rig_fetched out = {0};
    struct pl_cursor in = pl_cursor_open(reply->bytes, reply->length);
    rig_skip_tags(&in, version >= 12);
    CHECK_EQ(pl_cursor_i32(&in), 0);
    if (version >= 7) {
        out.error = pl_cursor_i16(&in);
        out.session_id = pl_cursor_i32(&in);
    }
    int32_t topics = rig_read_count(&in, version >= 12);
    for (int32_t i = 0; i < topics; i++) {
        rig_read_topic(&in, version, &out);
    }
    rig_skip_tags(&in, version >= 12);
    CHECK_EQ(in.err, PL_OK);
    CHECK_EQ(pl_cursor_left(&in), 0);
    return out;
}

/* A fetch that is answered at once. */
static struct rig_fetched rig_fetch_now(struct rig *rig, const struct rig_fetch *fetch) {
    struct rig_reply reply = {0};
    rig_fetch(rig, &reply, fetch);
    struct rig_fetched out = rig_fetched(&reply);
    rig_forget(&reply);
    return out;
}

#endif
