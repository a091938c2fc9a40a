#include "net/conn.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn_request.h"
#include "net/frame.h"
#include "net/reactor.h"
#include "net/send.h"
#include "net/server.h"

enum {
    READ_BYTES = 160 * 1024,      /* of one shared read: several frames of usual size a call */
    BIG_FRAME_BYTES = 64 * 1024,  /* from here on the rest of a frame is read in place */
    PREFIX_READ_BYTES = 4 * 1024, /* where a big frame is expected: little is copied */
};

static void note_active(struct pl_conn *conn) {
    conn->active_ms = conn->reactor->now_ms;
}

/* ---- opening and closing ---- */

static void on_ready(struct pl_poll_target *target, const struct pl_poll_event *event) {
    struct pl_conn *conn = (struct pl_conn *)target;
    if (conn->state == PL_CONN_CLOSED) {
        return;
    }
    if (event->broken) {
        pl_conn_close(conn);
        return;
    }
    if (event->readable && conn->state == PL_CONN_OPEN) {
        conn->readable = true;
        conn->hung_up = event->hung_up;
        pl_reactor_add_ready(conn->reactor, conn);
    }
    if (event->writable && !conn->writable) {
        conn->writable = true;
        pl_reactor_add_dirty(conn->reactor, conn);
    }
}

static uint64_t idle_end_ms(const struct pl_conn *conn) {
    return conn->active_ms + (conn->state == PL_CONN_HALF_CLOSED
                                  ? PL_HALF_CLOSED_LINGER_MS
                                  : conn->reactor->idle_timeout_ms);
}

/* Set once a period, not at every byte: it looks when the last one was. */
static void on_idle(struct pl_timer *timer) {
    struct pl_conn *conn =
        (struct pl_conn *)((char *)timer - offsetof(struct pl_conn, idle));
    struct pl_reactor *reactor = conn->reactor;
    bool broker_owes = conn->state == PL_CONN_OPEN && conn->replies.count > 0 &&
                       conn->out.length == 0;
    if (broker_owes) {
        note_active(conn);
    }
    if (idle_end_ms(conn) > reactor->now_ms) {
        pl_timer_set(&reactor->timers, timer, idle_end_ms(conn));
    } else {
        pl_conn_close(conn);
    }
}

static void on_unmute(struct pl_timer *timer) {
    struct pl_conn *conn =
        (struct pl_conn *)((char *)timer - offsetof(struct pl_conn, unmute));
    if (conn->turned_away) {
        pl_conn_close(conn);
    } else {
        pl_reactor_add_ready(conn->reactor, conn);
    }
}

void pl_conn_mute(struct pl_conn *conn, int32_t throttle_ms) {
    struct pl_reactor *reactor = conn->reactor;
    uint64_t until_ms = reactor->now_ms + (uint64_t)(throttle_ms > 0 ? throttle_ms : 0);
    if (conn->state != PL_CONN_CLOSED && until_ms > conn->muted_until_ms) {
        conn->muted_until_ms = until_ms;
        pl_timer_set(&reactor->timers, &conn->unmute, until_ms);
    }
}

void pl_conn_admit(struct pl_conn *conn) {
    conn->asking = false;
    pl_reactor_add_ready(conn->reactor, conn);
}

void pl_conn_identify(struct pl_conn *conn, const char *user, uint32_t subject,
                      int64_t lifetime_ms) {
    if (pl_client_set_user(&conn->client, user, strlen(user)) != PL_OK) {
        pl_conn_close(conn);
        return;
    }
    conn->client.subject = subject;
    conn->authenticated = true;
    conn->sends_tokens = false;
    conn->expires_ms = lifetime_ms < 0 ? 0 : conn->reactor->now_ms + (uint64_t)lifetime_ms;
}

static struct pl_conn *conn_create(struct pl_reactor *reactor,
                                   const struct pl_transport_kind *kind, uint8_t listener,
                                   const struct pl_accepted *accepted) {
    struct pl_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return NULL;
    }
    conn->target.ready = on_ready;
    conn->reactor = reactor;
    conn->transport = (struct pl_transport){.kind = kind, .fd = accepted->fd};
    conn->listener = listener;
    conn->needed = PL_FRAME_PREFIX_BYTES;
    conn->writable = true;
    conn->in_control = true;
    conn->asking = (reactor->guards[listener] & PL_GUARD_ASK) != 0;
    conn->authenticated = (reactor->guards[listener] & PL_GUARD_SASL) == 0;
    conn->idle.fire = on_idle;
    conn->unmute.fire = on_unmute;
    pl_client_open(&conn->client);
    memcpy(conn->peer, accepted->peer, sizeof conn->peer);
    memcpy(conn->local, accepted->local, sizeof conn->local);
    return conn;
}

static enum pl_err enter_table(struct pl_conn *conn) {
    struct pl_reactor *reactor = conn->reactor;
    enum pl_err err = pl_conn_table_add(&reactor->conns, conn, &conn->handle);
    if (err != PL_OK) {
        return err;
    }
    err = reactor->poll.add(reactor->poll.context, conn->transport.fd, PL_POLL_EDGE,
                            &conn->target);
    if (err != PL_OK) {
        pl_conn_table_remove(&reactor->conns, conn->handle);
    }
    return err;
}

static void ask_to_admit(struct pl_conn *conn) {
    struct pl_event event = {
        .kind = PL_EVENT_OPENED, .handle = conn->handle, .listener = conn->listener};
    memcpy(event.peer, conn->peer, sizeof event.peer);
    memcpy(event.local, conn->local, sizeof event.local);
    conn->told_python = true;
    if (pl_outbox_send(&conn->reactor->outbox, &event) != PL_OK) {
        pl_conn_close(conn);
    }
}

static enum pl_err begin(struct pl_reactor *reactor, const struct pl_transport_kind *kind,
                         uint8_t listener, const struct pl_accepted *accepted,
                         struct pl_conn **begun) {
    pl_reactor_assert(reactor);
    struct pl_transport refused = {.kind = kind, .fd = accepted->fd};
    struct pl_conn *conn = conn_create(reactor, kind, listener, accepted);
    if (conn == NULL) {
        kind->close(&refused);
        return PL_ERR_MEMORY;
    }
    enum pl_err err = enter_table(conn);
    if (err != PL_OK) {
        kind->close(&refused);
        free(conn);
        return err;
    }
    note_active(conn);
    if (reactor->idle_timeout_ms > 0) {
        pl_timer_set(&reactor->timers, &conn->idle, idle_end_ms(conn));
    }
    PL_COUNT(reactor->counters.connections_opened, 1);
    *begun = conn;
    return PL_OK;
}

enum pl_err pl_conn_open(struct pl_reactor *reactor, const struct pl_transport_kind *kind,
                         uint8_t listener, const struct pl_accepted *accepted) {
    struct pl_conn *conn = NULL;
    enum pl_err err = begin(reactor, kind, listener, accepted, &conn);
    if (err == PL_OK && conn->asking) {
        ask_to_admit(conn);
    }
    return err;
}

enum pl_err pl_conn_turn_away(struct pl_reactor *reactor, const struct pl_transport_kind *kind,
                              uint8_t listener, const struct pl_accepted *accepted,
                              int32_t wait_ms) {
    struct pl_conn *conn = NULL;
    enum pl_err err = begin(reactor, kind, listener, accepted, &conn);
    if (err == PL_OK) {
        conn->turned_away = true;
        pl_conn_mute(conn, wait_ms);
    }
    return err;
}

static void tell_closed(struct pl_conn *conn) {
    const struct pl_event event = {.kind = PL_EVENT_CLOSED, .handle = conn->handle};
    if (conn->told_python && pl_outbox_send(&conn->reactor->outbox, &event) != PL_OK) {
        pl_reactor_warn(conn->reactor, "no memory to tell of a closed connection");
    }
}

void pl_conn_close(struct pl_conn *conn) {
    struct pl_reactor *reactor = conn->reactor;
    pl_reactor_assert(reactor);
    if (conn->state == PL_CONN_CLOSED) {
        return;
    }
    conn->state = PL_CONN_CLOSED;
    conn->transport.kind->close(&conn->transport); /* leaves the poll with it */
    pl_conn_table_remove(&reactor->conns, conn->handle);
    pl_timer_clear(&reactor->timers, &conn->idle);
    pl_timer_clear(&reactor->timers, &conn->unmute);
    conn->control = NULL;
    reactor->unanswered_bytes -= conn->unanswered_bytes;
    conn->unanswered_bytes = 0;
    pl_reply_queue_cancel(&conn->replies, &reactor->slots);
    pl_chain_drop(&conn->out);
    tell_closed(conn);
    PL_COUNT(reactor->counters.connections_closed, 1);
    pl_reactor_add_dead(reactor, conn);
    pl_server_connection_gone(reactor);
}

void pl_conn_free(struct pl_conn *conn) {
    assert(conn->state == PL_CONN_CLOSED);
    if (conn->in != NULL) {
        pl_buf_give(conn->in);
    }
    free(conn->verified);
    pl_client_close(&conn->client);
    free(conn);
}

void pl_conn_drain(struct pl_conn *conn) {
    pl_reply_queue_hurry(&conn->replies);
    pl_reactor_add_dirty(conn->reactor, conn); /* nothing owed: the flush closes it */
}

static void end_of_input(struct pl_conn *conn) {
    conn->readable = false;
    conn->state = PL_CONN_HALF_CLOSED;
    note_active(conn);
    pl_timer_set(&conn->reactor->timers, &conn->idle, idle_end_ms(conn));
    pl_conn_drain(conn);
}

void pl_conn_refuse(struct pl_conn *conn) {
    PL_COUNT(conn->reactor->counters.frames_refused, 1);
    if (conn->replies.count == 0 && conn->out.first == NULL) {
        pl_conn_close(conn);
    } else {
        end_of_input(conn);
    }
}

/* ---- frames ---- */

static bool is_owed_too_much(const struct pl_conn *conn) {
    bool crowded = conn->reactor->unanswered_bytes > PL_MAX_ALL_UNANSWERED_BYTES;
    return conn->unanswered_bytes > (crowded ? 0 : PL_MAX_UNANSWERED_BYTES);
}

static bool is_stalled(const struct pl_conn *conn) {
    return conn->state != PL_CONN_OPEN || conn->reactor->draining || conn->control != NULL ||
           conn->asking ||
           conn->verifying || conn->muted_until_ms > conn->reactor->now_ms ||
           conn->replies.count >= PL_MAX_REPLY_SLOTS || conn->out.length > PL_MAX_UNSENT_BYTES ||
           is_owed_too_much(conn);
}

static size_t largest_frame(const struct pl_conn *conn) {
    size_t largest = conn->reactor->max_frame_bytes;
    bool known = conn->authenticated || largest < PL_MAX_UNKNOWN_FRAME_BYTES;
    return known ? largest : PL_MAX_UNKNOWN_FRAME_BYTES;
}

/* Takes the whole frames at the front of bytes that lie in `memory`; returns how long they are
 * and sets what the next one needs. */
static size_t cut_frames(struct pl_conn *conn, struct pl_buf *memory, uint8_t *bytes, size_t n) {
    size_t used = 0;
    conn->needed = PL_FRAME_PREFIX_BYTES;
    while (!is_stalled(conn) && n - used >= PL_FRAME_PREFIX_BYTES) {
        size_t length = 0;
        size_t shortest = conn->sends_tokens ? 0 : PL_FRAME_SHORTEST_BYTES;
        if (pl_frame_length(bytes + used, shortest, largest_frame(conn), &length) != PL_OK) {
            pl_conn_refuse(conn);
            break;
        }
        conn->needed = PL_FRAME_PREFIX_BYTES + length;
        conn->sends_big_frames = conn->needed > BIG_FRAME_BYTES;
        if (n - used < conn->needed) {
            break;
        }
        if (!pl_conn_take_frame(conn, memory, bytes + used + PL_FRAME_PREFIX_BYTES, length)) {
            break;
        }
        used += conn->needed;
        conn->needed = PL_FRAME_PREFIX_BYTES;
    }
    return used;
}

/* ---- input ---- */

static size_t kept_bytes(const struct pl_conn *conn) {
    return conn->in == NULL ? 0 : conn->in_end - conn->in_start;
}

/* Frames that were cut from it this turn may still be in use. */
static void let_go_of_kept(struct pl_conn *conn) {
    if (conn->in != NULL) {
        pl_arena_keep(&conn->reactor->arena, conn->in);
        conn->in = NULL;
    }
}

/* Moves n bytes to a buffer of the connection with room for what is needed. */
static bool keep(struct pl_conn *conn, const uint8_t *bytes, size_t n) {
    size_t capacity = n > conn->needed ? n : conn->needed;
    struct pl_buf *buf = pl_buf_take(conn->reactor->pool, capacity);
    if (buf == NULL) {
        pl_conn_close(conn);
        return false;
    }
    memcpy(buf->bytes, bytes, n);
    let_go_of_kept(conn);
    conn->in = buf;
    conn->in_start = 0;
    conn->in_end = n;
    return true;
}

static void cut_kept(struct pl_conn *conn) {
    conn->in_start +=
        cut_frames(conn, conn->in, conn->in->bytes + conn->in_start, kept_bytes(conn));
    if (kept_bytes(conn) == 0) {
        let_go_of_kept(conn);
    }
}

static size_t read_some(struct pl_conn *conn, uint8_t *to, size_t room) {
    size_t got = 0;
    enum pl_err err = conn->transport.kind->read(&conn->transport, to, room, &got);
    if (err == PL_ERR_CLOSED) {
        end_of_input(conn);
    } else if (err == PL_ERR_AGAIN) {
        conn->readable = false;
    } else if (err != PL_OK) {
        pl_conn_close(conn);
    } else {
        /* Fewer than asked for: all there was (epoll(7)), and more will be told. */
        conn->readable = got == room || conn->hung_up;
        note_active(conn);
        PL_COUNT(conn->reactor->counters.bytes_received, got);
    }
    return got;
}

/* The rest of a big frame, behind what has come of it. */
static void read_in_place(struct pl_conn *conn) {
    if (conn->in->capacity - conn->in_start < conn->needed &&
        !keep(conn, conn->in->bytes + conn->in_start, kept_bytes(conn))) {
        return;
    }
    size_t room = conn->needed - kept_bytes(conn);
    room = room < PL_MAX_READ_PER_TURN ? room : PL_MAX_READ_PER_TURN;
    conn->in_end += read_some(conn, conn->in->bytes + conn->in_end, room);
    if (conn->state == PL_CONN_OPEN && kept_bytes(conn) >= conn->needed) {
        cut_kept(conn);
    }
}

/* Several small frames, with the part of one that is here already in front. */
static void read_shared(struct pl_conn *conn) {
    struct pl_arena *arena = &conn->reactor->arena;
    size_t kept = kept_bytes(conn);
    size_t room = conn->sends_big_frames ? PREFIX_READ_BYTES : READ_BYTES;
    uint8_t *bytes = pl_arena_room(arena, kept + room);
    if (bytes == NULL) {
        pl_conn_close(conn);
        return;
    }
    size_t got = read_some(conn, bytes + kept, room);
    if (got == 0) {
        return;
    }
    if (kept > 0) {
        memcpy(bytes, conn->in->bytes + conn->in_start, kept);
        let_go_of_kept(conn);
    }
    size_t n = kept + got;
    pl_arena_advance(arena, n);
    size_t used = cut_frames(conn, arena->current, bytes, n);
    if (used < n && conn->state == PL_CONN_OPEN) {
        (void)keep(conn, bytes + used, n - used);
    }
}

static bool wants_turn(const struct pl_conn *conn) {
    return !is_stalled(conn) && (conn->readable || kept_bytes(conn) >= conn->needed);
}

void pl_conn_take_turn(struct pl_conn *conn) {
    pl_reactor_assert(conn->reactor);
    if (!wants_turn(conn)) {
        return;
    }
    if (kept_bytes(conn) >= conn->needed) {
        cut_kept(conn);
    } else if (conn->needed > BIG_FRAME_BYTES && conn->in != NULL) {
        read_in_place(conn);
    } else {
        read_shared(conn);
    }
    if (wants_turn(conn)) {
        pl_reactor_add_ready(conn->reactor, conn);
    }
}

void pl_conn_verified(struct pl_conn *conn, struct pl_verification *answers, int32_t count) {
    pl_reactor_assert(conn->reactor);
    if (!conn->verifying) {
        free(answers);
        return;
    }
    conn->verifying = false;
    conn->verified = answers;
    conn->verified_count = count;
    pl_reactor_add_ready(conn->reactor, conn);
}

/* ---- output ---- */

void pl_conn_reply(struct pl_conn *conn, struct pl_chain *chain) {
    pl_reactor_assert(conn->reactor);
    struct pl_reply_slot *slot = conn->control;
    if (slot == NULL) {
        pl_chain_drop(chain);
        return;
    }
    conn->control = NULL;
    slot->reply.complete(&slot->reply, chain);
}

static void send_out(struct pl_conn *conn) {
    size_t sent = 0;
    enum pl_err err =
        pl_send_chain(&conn->transport, &conn->out, PL_MAX_SEND_PER_TURN, &sent);
    if (sent > 0) {
        note_active(conn);
        PL_COUNT(conn->reactor->counters.bytes_sent, sent);
    }
    if (err == PL_ERR_AGAIN) {
        conn->writable = false;
    } else if (err == PL_ERR_BUSY) {
        pl_reactor_add_dirty(conn->reactor, conn);
    } else if (err != PL_OK) {
        pl_conn_close(conn);
    }
}

void pl_conn_flush(struct pl_conn *conn) {
    pl_reactor_assert(conn->reactor);
    if (conn->state == PL_CONN_CLOSED) {
        return;
    }
    pl_reply_queue_release(&conn->replies, &conn->reactor->slots, &conn->out);
    if (conn->out.first != NULL && conn->writable) {
        send_out(conn);
    }
    bool last = conn->state == PL_CONN_HALF_CLOSED || conn->reactor->draining;
    if (last && conn->replies.count == 0 && conn->out.first == NULL) {
        pl_conn_close(conn);
    } else if (wants_turn(conn)) {
        pl_reactor_add_ready(conn->reactor, conn);
    }
}
