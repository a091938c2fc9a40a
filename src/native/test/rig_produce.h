/* Produce requests to a broker of broker_rig.h, and what their answers say. */
#ifndef PYLOG_TEST_RIG_PRODUCE_H
#define PYLOG_TEST_RIG_PRODUCE_H

#include "broker_rig.h"

struct rig_part { /* of a produce request */
    const char *topic;
    int32_t index;
    const uint8_t *records;
    int32_t length; /* -1: null */
};

struct rig_produce {
    int16_t version, acks;
    int32_t timeout_ms;
    const char *transactional_id, *client_id;
    const struct rig_part *parts; /* each under a topic of its own */
    int32_t count;
};

static struct rig_part rig_part_of(const char *topic, int32_t index, const uint8_t *bytes,
                                   size_t length) {
    return (struct rig_part){topic, index, bytes, (int32_t)length};
}

static struct rig_produce rig_produce_of(const struct rig_part *parts, int32_t count) {
    return (struct rig_produce){
        .version = 9, .acks = -1, .timeout_ms = 1000, .parts = parts, .count = count};
}

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

static enum pl_err rig_produce(struct rig *rig, struct rig_reply *reply,
                               const struct rig_produce *produce) {
    uint8_t *frame = rig->frames[rig->next_frame++ % RIG_FRAMES]; /* lives until the turn ends */
    size_t length = rig_write_produce(frame, RIG_FRAME, produce);
    return rig_send(rig, reply, 0, produce->version, frame, length, produce->client_id);
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

/* ---- one batch ---- */

struct rig_single { /* a request of one batch, owned by who opened it; it stays where it is */
    uint8_t *bytes;
    size_t length;
    struct rig_part part;
    struct rig_produce produce;
};

static void rig_single_open(struct rig_single *single, const char *topic,
                            const struct rig_batch *batch) {
    single->bytes = rig_build(batch, &single->length);
    single->part = rig_part_of(topic, 0, single->bytes, single->length);
    single->produce = rig_produce_of(&single->part, 1);
}

static void rig_single_close(struct rig_single *single) {
    free(single->bytes);
}

/* A request that is answered at the end of its turn. */
static struct rig_produced rig_produce_now(struct rig *rig, const struct rig_produce *produce) {
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(rig, &reply, produce));
    rig_turn(rig);
    struct rig_produced produced = rig_produced(&reply);
    rig_forget(&reply);
    return produced;
}

static struct rig_produced rig_produce_batch(struct rig *rig, int16_t version, const char *topic,
                                             const struct rig_batch *batch) {
    struct rig_single single;
    rig_single_open(&single, topic, batch);
    single.produce.version = version;
    struct rig_produced produced = rig_produce_now(rig, &single.produce);
    rig_single_close(&single);
    return produced;
}

/* To the end: produced, answered, flushed if need be. */
static struct rig_produced rig_append(struct rig *rig, const char *topic, int32_t index,
                                      const struct rig_batch *batch) {
    struct rig_single single;
    rig_single_open(&single, topic, batch);
    single.part.index = index;
    single.produce.transactional_id = batch->transactional ? "transactions" : NULL;
    rig->verified_count = rig_ask(rig, &single.produce); /* and their coordinator agrees */
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(rig, &reply, &single.produce));
    rig->verified_count = 0;
    rig_until(rig, &reply.completed);
    struct rig_produced produced = rig_produced(&reply);
    rig_forget(&reply);
    rig_single_close(&single);
    return produced;
}

/* The marker that ends the transaction of a producer. */
static void rig_write_marker(struct rig *rig, uint64_t handle, int64_t producer_id, int16_t epoch,
                             enum pl_marker_type type) {
    uint8_t *marker = malloc(PL_MARKER_BATCH_BYTES);
    const struct pl_marker content = {.type = (int16_t)type, .coordinator_epoch = 1};
    pl_marker_build(marker, &content, producer_id, epoch, rig->wall_ms);
    uint64_t token = rig_token(rig);
    pl_broker_append(rig->broker, token, handle, marker, PL_MARKER_BATCH_BYTES, true,
                     PL_WAIT_COMMITTED);
    CHECK_EQ(rig_await(rig, token)->error, 0);
}

#endif
