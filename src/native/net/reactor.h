/* The reactor: one thread, one turn after the other.
 *
 *   wait → note what is ready → ends of jobs → some calls → timers
 *        → each ready connection of the fast lane, some of the control lane: read, frames, lanes
 *        → pl_broker_before_sleep → send what was completed → give back the turn's buffers
 *
 * Of what Python asks and is asked a turn does so much at the most, however many wait: a Produce or
 * a Fetch is read and answered in between.
 *
 * This header is the state that the files of net/ share; reactor.c is the turn, server.c who is
 * let in and out, conn.c one connection.
 */
#ifndef PYLOG_NET_REACTOR_H
#define PYLOG_NET_REACTOR_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/timer_wheel.h"
#include "broker/broker.h"
#include "net/arena.h"
#include "net/conn.h"
#include "net/conn_table.h"
#include "net/listener.h"
#include "net/outbox.h"
#include "net/poll.h"
#include "net/reply_queue.h"
#include "worker/mailbox.h"

/* Written by the reactor only, read by any thread. */
#define PL_COUNT(counter, n) \
    __atomic_store_n(&(counter), (counter) + (uint64_t)(n), __ATOMIC_RELAXED)

struct pl_listening { /* a listener and its place in the poll */
    struct pl_poll_target target; /* first member */
    struct pl_reactor *reactor;
    struct pl_listener listener;
    bool polled;
};

struct pl_inbox { /* a mailbox and its place in the poll */
    struct pl_poll_target target; /* first member */
    struct pl_mailbox mailbox;
    bool armed, rung; /* of this turn's sleep */
};

struct pl_ready { /* connections that have a turn to take, oldest first */
    struct pl_conn *first, *last;
};

struct pl_reactor { /* owned by the engine */
    struct pl_poll poll;
    struct pl_clock clock;
    struct pl_pool *pool;
    struct pl_broker *broker;
    struct pl_outbox outbox;
    struct pl_inbox jobs;  /* ends of them, from the workers */
    struct pl_inbox calls; /* of pylog/engine.h, from any thread */
    struct pl_timer_wheel timers;
    struct pl_timer trim; /* of what the pool keeps */
    uint64_t now_ns, now_ms; /* monotonic, of this turn */
    pthread_t thread; /* that runs the turns, or destroys the reactor afterwards */
    bool stopping;
    const char *last_warning;
    uint64_t warned_ms;

    struct pl_arena arena;
    struct pl_reply_store slots;
    struct pl_conn_table conns;
    size_t unanswered_bytes; /* of all connections */
    struct pl_ready ready, ready_control; /* by the lane that each used last */
    struct pl_conn *dirty;                /* have something to send or to finish */
    struct pl_conn *dead;                 /* closed in this turn */

    struct pl_listening *listening[PL_MAX_LISTENERS];
    int listening_count;
    uint8_t guards[UINT8_MAX + 1]; /* of listeners, by number: enum pl_guard */
    bool serving, draining;
    uint64_t drain_token;
    struct pl_timer drain_end;

    uint32_t max_connections;
    size_t max_frame_bytes;
    uint64_t idle_timeout_ms; /* 0: never */
    struct pl_engine_counters counters; /* those of connections, frames and turns */
};

/* Everything but the broker, which needs the pool and the timers of it. */
PL_MUST_CHECK enum pl_err pl_reactor_open(struct pl_reactor *reactor,
                                          const struct pl_clock *clock);
void pl_reactor_close(struct pl_reactor *reactor);

/* The caller's thread is the reactor's from here on. */
void pl_reactor_enter(struct pl_reactor *reactor);

static inline void pl_reactor_assert(const struct pl_reactor *reactor) {
    assert(pthread_equal(reactor->thread, pthread_self()));
    (void)reactor;
}

PL_MUST_CHECK enum pl_err pl_reactor_turn(struct pl_reactor *reactor);

void pl_reactor_add_ready(struct pl_reactor *reactor, struct pl_conn *conn);
void pl_reactor_add_dirty(struct pl_reactor *reactor, struct pl_conn *conn);
void pl_reactor_add_dead(struct pl_reactor *reactor, struct pl_conn *conn);

/* Static text for the operator's log, through an event; the same one not all the time. */
void pl_reactor_warn(struct pl_reactor *reactor, const char *text);

#endif
