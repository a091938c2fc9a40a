/* Fetch requests to a broker of broker_rig.h, and what their answers say. */
#ifndef PYLOG_TEST_RIG_FETCH_H
#define PYLOG_TEST_RIG_FETCH_H

#include "broker_rig.h"

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
