#include "net/reactor.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "net/server.h"

enum { TRIM_INTERVAL_MS = 5000, WARNING_INTERVAL_MS = 10 * 1000, NS_PER_MS = 1000 * 1000 };
static const int64_t SLEEP_MAX_NS = 3600 * 1000LL * NS_PER_MS;

/* ---- lists ---- */

void pl_reactor_add_ready(struct pl_reactor *reactor, struct pl_conn *conn) {
    if (conn->is_ready) {
        return;
    }
    struct pl_ready *ready = conn->in_control ? &reactor->ready_control : &reactor->ready;
    conn->is_ready = true;
    conn->next_ready = NULL;
    if (ready->first == NULL) {
        ready->first = conn;
    } else {
        ready->last->next_ready = conn;
    }
    ready->last = conn;
}

void pl_reactor_add_dirty(struct pl_reactor *reactor, struct pl_conn *conn) {
    if (!conn->is_dirty) {
        conn->is_dirty = true;
        conn->next_dirty = reactor->dirty;
        reactor->dirty = conn;
    }
}

void pl_reactor_add_dead(struct pl_reactor *reactor, struct pl_conn *conn) {
    conn->next_dead = reactor->dead;
    reactor->dead = conn;
}

void pl_reactor_warn(struct pl_reactor *reactor, const char *text) {
    bool again = text == reactor->last_warning;
    if (again && reactor->now_ms - reactor->warned_ms < WARNING_INTERVAL_MS) {
        return;
    }
    reactor->last_warning = text;
    reactor->warned_ms = reactor->now_ms;
    const struct pl_event event = {
        .kind = PL_EVENT_WARNING, .data = (const uint8_t *)text, .length = strlen(text)};
    /* Without memory even for this, there is nobody left to tell. */
    (void)!pl_outbox_send(&reactor->outbox, &event);
}

/* ---- the turn ---- */

static void tell_time(struct pl_reactor *reactor) {
    reactor->now_ns = reactor->clock.monotonic_ns(reactor->clock.context);
    reactor->now_ms = reactor->now_ns / NS_PER_MS;
}

static int64_t until(const struct pl_reactor *reactor, uint64_t due_ns) {
    uint64_t now_ns = reactor->clock.monotonic_ns(reactor->clock.context);
    uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    return wait_ns < (uint64_t)SLEEP_MAX_NS ? (int64_t)wait_ns : SLEEP_MAX_NS;
}

/* Nanoseconds until something is due; 0: at once, -1: never. Timers may be late by a millisecond:
 * most of them are overtaken by what they guard. */
static int64_t sleep_ns(struct pl_reactor *reactor) {
    if (reactor->ready.first != NULL || reactor->ready_control.first != NULL ||
        reactor->dirty != NULL || reactor->stopping) {
        return 0;
    }
    uint64_t timer_ms = pl_timer_wheel_next_ms(&reactor->timers);
    uint64_t held_ns = pl_broker_next_ns(reactor->broker);
    if (held_ns / NS_PER_MS <= timer_ms) {
        return held_ns == UINT64_MAX ? -1 : until(reactor, held_ns);
    }
    int64_t wait_ns = until(reactor, timer_ms * NS_PER_MS);
    return (wait_ns + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
}

/* False: something is in it, do not sleep. */
static bool arm(struct pl_inbox *inbox) {
    inbox->rung = false;
    inbox->armed = pl_mailbox_arm(&inbox->mailbox);
    return inbox->armed;
}

static void disarm(struct pl_inbox *inbox) {
    if (inbox->armed || inbox->rung) {
        pl_mailbox_disarm(&inbox->mailbox, inbox->rung);
    }
    inbox->armed = inbox->rung = false;
}

static enum pl_err wait_and_note(struct pl_reactor *reactor) {
    struct pl_poll_event events[PL_MAX_EVENTS_PER_STEP];
    int64_t timeout_ns = sleep_ns(reactor);
    int count = 0;
    bool armed = timeout_ns != 0 && arm(&reactor->jobs) && arm(&reactor->calls);
    enum pl_err err = reactor->poll.wait(reactor->poll.context, events, PL_MAX_EVENTS_PER_STEP,
                                         armed ? timeout_ns : 0, &count);
    tell_time(reactor);
    for (int i = 0; i < count; i++) {
        events[i].target->ready(events[i].target, &events[i]);
    }
    disarm(&reactor->jobs);
    disarm(&reactor->calls);
    return err;
}

/* `most` of them at the most. Those that become ready meanwhile have their turn in the next one. */
static void give_turns(struct pl_ready *ready, int most) {
    const struct pl_conn *end = ready->last;
    bool more = ready->first != NULL;
    for (int i = 0; i < most && more; i++) {
        struct pl_conn *conn = ready->first;
        ready->first = conn->next_ready;
        conn->is_ready = false;
        more = conn != end;
        pl_conn_take_turn(conn);
    }
}

static void flush_dirty(struct pl_reactor *reactor) {
    struct pl_conn *conn = reactor->dirty;
    reactor->dirty = NULL;
    while (conn != NULL) {
        struct pl_conn *next = conn->next_dirty;
        conn->is_dirty = false;
        pl_conn_flush(conn);
        conn = next;
    }
}

static bool is_listed(const struct pl_conn *conn) {
    return conn->is_ready || conn->is_dirty;
}

/* One that is still in a list waits for the next turn, which takes it out. */
static void bury_dead(struct pl_reactor *reactor) {
    struct pl_conn **link = &reactor->dead;
    while (*link != NULL) {
        struct pl_conn *conn = *link;
        if (is_listed(conn)) {
            link = &conn->next_dead;
        } else {
            *link = conn->next_dead;
            pl_conn_free(conn);
        }
    }
}

void pl_reactor_enter(struct pl_reactor *reactor) {
    reactor->thread = pthread_self();
    /* Holds of flushes are shorter than the slack that timers have otherwise (prctl(2)). */
    (void)prctl(PR_SET_TIMERSLACK, 1000);
}

enum pl_err pl_reactor_turn(struct pl_reactor *reactor) {
    pl_reactor_assert(reactor);
    enum pl_err err = wait_and_note(reactor);
    uint64_t began_ns = reactor->now_ns;
    pl_mailbox_deliver(&reactor->jobs.mailbox);
    pl_mailbox_deliver_some(&reactor->calls.mailbox, PL_MAX_CALLS_PER_TURN);
    pl_timer_wheel_advance(&reactor->timers, reactor->now_ms);
    give_turns(&reactor->ready, INT_MAX);
    give_turns(&reactor->ready_control, PL_MAX_CONTROL_PER_TURN);
    pl_broker_before_sleep(reactor->broker);
    flush_dirty(reactor);
    bury_dead(reactor);
    pl_arena_end_turn(&reactor->arena);
    PL_COUNT(reactor->counters.reactor_turns, 1);
    PL_COUNT(reactor->counters.reactor_busy_ns,
             reactor->clock.monotonic_ns(reactor->clock.context) - began_ns);
    return err;
}

/* ---- opening and closing ---- */

static void on_mail(struct pl_poll_target *target, const struct pl_poll_event *event) {
    struct pl_inbox *inbox = (struct pl_inbox *)target;
    inbox->rung = event->readable;
}

static void on_trim(struct pl_timer *timer) {
    struct pl_reactor *reactor =
        (struct pl_reactor *)((char *)timer - offsetof(struct pl_reactor, trim));
    pl_arena_clear(&reactor->arena);
    pl_pool_trim(reactor->pool);
    pl_timer_set(&reactor->timers, timer, reactor->now_ms + TRIM_INTERVAL_MS);
}

static enum pl_err open_inbox(const struct pl_poll *poll, struct pl_inbox *inbox) {
    enum pl_err err = pl_mailbox_open(&inbox->mailbox);
    if (err != PL_OK) {
        return err;
    }
    inbox->target.ready = on_mail;
    err = poll->add(poll->context, inbox->mailbox.fd, PL_POLL_LEVEL_READ, &inbox->target);
    if (err != PL_OK) {
        pl_mailbox_close(&inbox->mailbox);
    }
    return err;
}

static enum pl_err open_queues(struct pl_reactor *reactor) {
    enum pl_err err = open_inbox(&reactor->poll, &reactor->jobs);
    if (err != PL_OK) {
        return err;
    }
    err = open_inbox(&reactor->poll, &reactor->calls);
    if (err == PL_OK) {
        err = pl_outbox_open(&reactor->outbox);
        if (err != PL_OK) {
            pl_mailbox_close(&reactor->calls.mailbox);
        }
    }
    if (err != PL_OK) {
        pl_mailbox_close(&reactor->jobs.mailbox);
    }
    return err;
}

enum pl_err pl_reactor_open(struct pl_reactor *reactor, const struct pl_clock *clock) {
    *reactor = (struct pl_reactor){.clock = *clock};
    tell_time(reactor);
    pl_timer_wheel_init(&reactor->timers, reactor->now_ms);
    enum pl_err err = pl_pool_create(&reactor->pool);
    if (err != PL_OK) {
        return err;
    }
    reactor->arena.pool = reactor->pool;
    err = pl_poll_epoll_open(&reactor->poll);
    if (err == PL_OK) {
        err = open_queues(reactor);
        if (err != PL_OK) {
            pl_poll_epoll_close(&reactor->poll);
        }
    }
    if (err != PL_OK) {
        pl_pool_destroy(reactor->pool);
        return err;
    }
    reactor->trim.fire = on_trim;
    pl_timer_set(&reactor->timers, &reactor->trim, reactor->now_ms + TRIM_INTERVAL_MS);
    return PL_OK;
}

/* No turn follows: the lists that a dead one may still be in are not walked again. */
static void free_dead(struct pl_reactor *reactor) {
    while (reactor->dead != NULL) {
        struct pl_conn *conn = reactor->dead;
        reactor->dead = conn->next_dead;
        pl_conn_free(conn);
    }
}

void pl_reactor_close(struct pl_reactor *reactor) {
    free_dead(reactor);
    pl_arena_clear(&reactor->arena);
    pl_reply_store_clear(&reactor->slots);
    pl_conn_table_free(&reactor->conns);
    pl_outbox_close(&reactor->outbox);
    pl_mailbox_close(&reactor->calls.mailbox);
    pl_mailbox_close(&reactor->jobs.mailbox);
    pl_poll_epoll_close(&reactor->poll);
    pl_pool_destroy(reactor->pool);
}
