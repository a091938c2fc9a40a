/* One connection: bytes in, frames, replies out.
 *
 *   OPEN ──end of input──▶ HALF_CLOSED ──all answers sent, or linger is over──▶ CLOSED
 *     └──error, malformed frame, idle too long, told to close, drained──▶ CLOSED
 *   CLOSED ──end of the turn──▶ freed
 *
 * Orthogonal to it an open connection may be stalled: a request of the control lane is out, too
 * many replies are owed or to too many bytes, too many bytes unsent, a quota mutes it, or the
 * broker drains. Then it is not read.
 *
 * Bytes are read into the turn's arena, where frames are contiguous and stay until the end of the
 * turn; the part of a frame that has not come yet moves to a buffer of the connection, of the size
 * of the frame when that is large, and the rest is read directly behind it. So a connection
 * without a partial frame holds no buffer.
 *
 * Reactor thread only.
 */
#ifndef PYLOG_NET_CONN_H
#define PYLOG_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/chain.h"
#include "base/timer_wheel.h"
#include "broker/client.h"
#include "net/listener.h"
#include "net/poll.h"
#include "net/reply_queue.h"
#include "net/transport.h"
#include "pylog/engine.h"

struct pl_reactor;

enum pl_conn_state { PL_CONN_OPEN, PL_CONN_HALF_CLOSED, PL_CONN_CLOSED };

struct pl_conn { /* owned by the reactor's table */
    struct pl_poll_target target; /* first member */
    struct pl_reactor *reactor;
    struct pl_transport transport;
    uint64_t handle;
    enum pl_conn_state state;
    uint8_t listener;
    struct pl_client client;
    bool asking;        /* is not read before it is admitted */
    bool authenticated; /* as far as its listener wants it */
    bool sends_tokens;  /* its frames are bare tokens of SASL */
    uint64_t expires_ms; /* when it has to authenticate again; 0: never */

    /* input */
    bool readable;         /* the socket may hold bytes, or its end */
    bool hung_up;          /* no byte follows those that it holds */
    bool sends_big_frames; /* its last frame was: then read the prefix first */
    struct pl_buf *in;     /* bytes [in_start, in_end) that no frame was made of yet, or NULL */
    size_t in_start, in_end;
    size_t needed; /* bytes that the next step of cutting wants: a prefix or a whole frame */
    bool verifying; /* the frame at the front waits for the transaction coordinator */
    struct pl_verification *verified; /* what it has said of that frame; from malloc, or NULL */
    int32_t verified_count;

    /* output */
    bool writable;
    struct pl_reply_queue replies;
    size_t unanswered_bytes; /* of the requests whose replies are open */
    struct pl_reply_slot *control; /* the open reply of the control lane, in replies, or NULL */
    struct pl_chain out;           /* released, not yet sent */

    bool told_python; /* had a control request: a CLOSED event is due */
    bool in_control;  /* its last request was not of the fast lane, or it had none */
    bool is_ready, is_dirty; /* in the reactor's list */
    struct pl_conn *next_ready, *next_dirty, *next_dead;
    bool turned_away;        /* never read: closed when it is no longer muted */
    struct pl_timer idle, unmute;
    uint64_t muted_until_ms; /* by a quota */
    uint64_t active_ms;
    char peer[PL_ADDRESS_BYTES], local[PL_ADDRESS_BYTES];
};

/* Takes the descriptor whatever it returns. */
PL_MUST_CHECK enum pl_err pl_conn_open(struct pl_reactor *reactor,
                                       const struct pl_transport_kind *kind, uint8_t listener,
                                       const struct pl_accepted *accepted);
/* Lets a client wait and closes on it (KIP-612): one that is closed at once comes back at once.
 * Takes the descriptor whatever it returns. */
PL_MUST_CHECK enum pl_err pl_conn_turn_away(struct pl_reactor *reactor,
                                            const struct pl_transport_kind *kind,
                                            uint8_t listener, const struct pl_accepted *accepted,
                                            int32_t wait_ms);
/* Its share of a turn: one read, and the frames that are whole. */
void pl_conn_take_turn(struct pl_conn *conn);
/* Sends what is due; closes when nothing is left to be done. */
void pl_conn_flush(struct pl_conn *conn);
/* No more frames are taken: ends what waits, and closes once all is sent. */
void pl_conn_drain(struct pl_conn *conn);
/* The answer to its request of the control lane; dropped when it waits for none. */
void pl_conn_reply(struct pl_conn *conn, struct pl_chain *chain);
/* Takes `answers`, which came from malloc, for the request that waits for them. */
void pl_conn_verified(struct pl_conn *conn, struct pl_verification *answers, int32_t count);
void pl_conn_admit(struct pl_conn *conn);
/* A copy is made of `user`. The connection is closed when there is no memory for it. */
void pl_conn_identify(struct pl_conn *conn, const char *user, uint32_t subject,
                      int64_t lifetime_ms);
/* Not read before that much time is over. */
void pl_conn_mute(struct pl_conn *conn, int32_t throttle_ms);
/* Takes no more from it; what is owed for the requests before is still sent. */
void pl_conn_refuse(struct pl_conn *conn);
/* Cancels its replies. It stays readable to the caller until the end of the turn. */
void pl_conn_close(struct pl_conn *conn);
void pl_conn_free(struct pl_conn *conn);

#endif
