#include "net/conn_request.h"

#include <stdlib.h>
#include <string.h>

#include "api/lane.h"
#include "net/frame.h"
#include "net/reactor.h"

/* Bytes of its requests that wait for their answers. */
static void count_unanswered(struct pl_conn *conn, size_t more, size_t less) {
    conn->unanswered_bytes += more - less;
    conn->reactor->unanswered_bytes += more - less;
}

static void on_complete(struct pl_reply *reply, struct pl_chain *chain) {
    struct pl_reply_slot *slot = (struct pl_reply_slot *)reply;
    pl_reactor_assert(slot->conn->reactor);
    pl_conn_mute(slot->conn, reply->throttle_ms);
    count_unanswered(slot->conn, 0, slot->request_bytes);
    pl_reply_slot_finish(slot, chain);
    pl_reactor_add_dirty(slot->conn->reactor, slot->conn);
}

static enum pl_err hand_to_python(struct pl_conn *conn, struct pl_reply_slot *slot,
                                  const struct pl_request *request) {
    struct pl_event event = {
        .kind = PL_EVENT_REQUEST,
        .api_key = request->api_key,
        .api_version = request->api_version,
        .correlation_id = request->correlation_id,
        .client_id_length = request->client_id_length,
        .client_id = request->client_id,
        .listener = conn->listener,
        .handle = conn->handle,
        .data = request->body,
        .length = request->length,
        .received_ns = conn->reactor->now_ns,
    };
    memcpy(event.peer, conn->peer, sizeof event.peer);
    memcpy(event.local, conn->local, sizeof event.local);
    conn->told_python = true;
    conn->control = slot;
    PL_COUNT(conn->reactor->counters.requests_control, 1);
    return pl_outbox_send_copy(&conn->reactor->outbox, &event);
}

/* Asks Python; true when there was something to ask, and the request waits. */
static enum pl_err ask_to_verify(struct pl_conn *conn, const struct pl_request *request,
                                 bool *asked) {
    struct pl_unverified unverified;
    enum pl_err err = pl_lane_unverified(conn->reactor->broker, request, &unverified);
    *asked = unverified.count > 0;
    if (err == PL_OK && *asked) {
        const struct pl_event event = {
            .kind = PL_EVENT_VERIFY,
            .api_version = request->api_version,
            .client_id = (const char *)unverified.transactional_id.data,
            .client_id_length = unverified.transactional_id.length,
            .handle = conn->handle,
            .data = (const uint8_t *)unverified.items,
            .length = (size_t)unverified.count * sizeof *unverified.items,
        };
        conn->verifying = true;
        err = pl_outbox_send_copy(&conn->reactor->outbox, &event);
    }
    free(unverified.items);
    return err;
}

/* Its reply is owed from here on. */
static enum pl_err answer(struct pl_conn *conn, const struct pl_request *request) {
    struct pl_reactor *reactor = conn->reactor;
    struct pl_reply_slot *slot = pl_reply_queue_push(&conn->replies, &reactor->slots, conn);
    if (slot == NULL) {
        return PL_ERR_MEMORY;
    }
    slot->request_bytes = request->length;
    count_unanswered(conn, request->length, 0);
    slot->reply = (struct pl_reply){
        .complete = on_complete,
        .connection = conn->handle,
        .received_ns = reactor->now_ns,
        .correlation_id = request->correlation_id,
        .api_key = request->api_key,
        .api_version = request->api_version,
    };
    conn->in_control = pl_lane_of(request->api_key, request->api_version) != PL_LANE_FAST;
    if (!conn->in_control) {
        enum pl_err err = pl_lane_handle(reactor->broker, request, &slot->reply);
        pl_conn_mute(conn, slot->reply.throttle_ms); /* at once, though the answer may wait */
        return err;
    }
    return hand_to_python(conn, slot, request);
}

static void let_go_of_verified(struct pl_conn *conn) {
    free(conn->verified);
    conn->verified = NULL;
    conn->verified_count = 0;
}

enum { SASL_HANDSHAKE = 17, API_VERSIONS = 18, SASL_AUTHENTICATE = 36, BARE_TOKEN_VERSION = -1 };

/* Who is not authenticated, or not any more, may do nothing else first. */
static bool may_send(const struct pl_conn *conn, int16_t api_key) {
    bool authenticates = api_key == SASL_HANDSHAKE || api_key == SASL_AUTHENTICATE;
    if (!conn->authenticated) {
        return authenticates || api_key == API_VERSIONS;
    }
    bool expired = conn->expires_ms != 0 && conn->reactor->now_ms >= conn->expires_ms;
    return authenticates || !expired;
}

static void read_as_token(uint8_t *frame, size_t length, struct pl_request *request) {
    request->body = frame;
    request->length = length;
    request->client_id_length = -1;
    request->api_key = SASL_AUTHENTICATE;
    request->api_version = BARE_TOKEN_VERSION;
}

static enum pl_err read_frame(struct pl_conn *conn, uint8_t *frame, size_t length,
                              struct pl_request *request) {
    if (conn->sends_tokens) {
        read_as_token(frame, length, request);
        return PL_OK;
    }
    enum pl_err err = pl_frame_parse(frame, length, request);
    if (err == PL_OK && !may_send(conn, request->api_key)) {
        err = PL_ERR_INVALID;
    }
    if (err == PL_OK) {
        size_t id_length = request->client_id_length > 0 ? (size_t)request->client_id_length : 0;
        err = pl_client_set_id(&conn->client, request->client_id, id_length);
    }
    return err;
}

bool pl_conn_take_frame(struct pl_conn *conn, struct pl_buf *memory, uint8_t *frame,
                        size_t length) {
    struct pl_request request = {.memory = memory,
                                 .client = &conn->client,
                                 .connection = conn->handle,
                                 .listener = conn->listener,
                                 .verified = conn->verified,
                                 .verified_count = conn->verified_count};
    bool asked = false;
    enum pl_err err = read_frame(conn, frame, length, &request);
    if (err == PL_OK) {
        err = ask_to_verify(conn, &request, &asked);
    }
    if (err == PL_OK && !asked) {
        err = answer(conn, &request);
        let_go_of_verified(conn);
    }
    if (err == PL_ERR_MEMORY) {
        pl_conn_close(conn);
    } else if (err != PL_OK) {
        pl_conn_refuse(conn);
    }
    return !asked;
}
