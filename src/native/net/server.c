#include "net/server.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/quota.h"

enum { PL_MAX_TURN_AWAY_MS = 1000 }; /* one window of a quota, as in Kafka */

/* ---- accepting ---- */

static bool is_full(const struct pl_reactor *reactor) {
    return reactor->conns.count >= reactor->max_connections;
}

static void refuse(struct pl_reactor *reactor, const struct pl_accepted *accepted) {
    struct pl_transport transport = {.kind = &pl_transport_tcp, .fd = accepted->fd};
    PL_COUNT(reactor->counters.connections_refused, 1);
    transport.kind->close(&transport);
}

/* Connections of an address above its quota (KIP-612) are not let in, and not counted. Returns for
 * how long they are kept waiting, 0: let in. */
static int32_t wait_of(const struct pl_reactor *reactor, const struct pl_accepted *accepted) {
    struct pl_quotas *quotas = pl_broker_quotas(reactor->broker);
    const struct pl_quota_client client = {.user = "",
                                           .client_id = accepted->peer,
                                           .client_id_length = (uint32_t)strlen(accepted->peer)};
    int32_t wait_ms = pl_quotas_charge(quotas, PL_QUOTA_CONNECTION, &client, 1, reactor->now_ns);
    if (wait_ms == 0) {
        return 0;
    }
    pl_quotas_refund(quotas, PL_QUOTA_CONNECTION, &client, 1, reactor->now_ns);
    return wait_ms < PL_MAX_TURN_AWAY_MS ? wait_ms : PL_MAX_TURN_AWAY_MS;
}

static void admit(struct pl_reactor *reactor, uint8_t listener,
                  const struct pl_accepted *accepted) {
    if (is_full(reactor)) {
        refuse(reactor, accepted);
        return;
    }
    const struct pl_transport_kind *kind = &pl_transport_tcp;
    int32_t wait_ms = wait_of(reactor, accepted);
    enum pl_err err = wait_ms > 0
                          ? pl_conn_turn_away(reactor, kind, listener, accepted, wait_ms)
                          : pl_conn_open(reactor, kind, listener, accepted);
    if (wait_ms > 0 || err != PL_OK) {
        PL_COUNT(reactor->counters.connections_refused, 1);
    }
    if (err != PL_OK) {
        pl_reactor_warn(reactor, "a connection was refused: out of memory");
    }
}

static void on_clients(struct pl_poll_target *target, const struct pl_poll_event *event) {
    struct pl_listening *listening = (struct pl_listening *)target;
    struct pl_reactor *reactor = listening->reactor;
    (void)event;
    for (int i = 0; i < PL_MAX_ACCEPTS_PER_TURN; i++) {
        struct pl_accepted accepted;
        enum pl_err err = pl_listener_accept(&listening->listener, &accepted);
        if (err == PL_ERR_AGAIN) {
            return;
        }
        if (err != PL_OK) {
            PL_COUNT(reactor->counters.connections_refused, 1);
            pl_reactor_warn(reactor, "a connection was refused: no file descriptor is free");
            return;
        }
        admit(reactor, listening->listener.number, &accepted);
    }
}

/* ---- listeners ---- */

static void poll_listener(struct pl_listening *listening) {
    struct pl_reactor *reactor = listening->reactor;
    if (listening->polled) {
        return;
    }
    enum pl_err err = reactor->poll.add(reactor->poll.context, listening->listener.fd,
                                        PL_POLL_LEVEL_READ, &listening->target);
    listening->polled = err == PL_OK;
    if (err != PL_OK) {
        pl_reactor_warn(reactor, "a listener cannot be polled");
    }
}

void pl_server_add_listener(struct pl_reactor *reactor, const struct pl_listener *listener) {
    pl_reactor_assert(reactor);
    struct pl_listening *listening = NULL;
    if (reactor->listening_count < PL_MAX_LISTENERS) {
        listening = calloc(1, sizeof *listening);
    }
    if (listening == NULL) {
        struct pl_listener unused = *listener;
        pl_listener_close(&unused);
        pl_reactor_warn(reactor, "a listener was closed: out of memory, or too many of them");
        return;
    }
    listening->target.ready = on_clients;
    listening->reactor = reactor;
    listening->listener = *listener;
    reactor->listening[reactor->listening_count++] = listening;
    if (reactor->serving) {
        poll_listener(listening);
    }
}

void pl_server_serve(struct pl_reactor *reactor) {
    pl_reactor_assert(reactor);
    reactor->serving = true;
    reactor->draining = false;
    for (int i = 0; i < reactor->listening_count; i++) {
        poll_listener(reactor->listening[i]);
    }
}

static void close_listeners(struct pl_reactor *reactor) {
    while (reactor->listening_count > 0) {
        struct pl_listening *listening = reactor->listening[--reactor->listening_count];
        pl_listener_close(&listening->listener);
        free(listening);
    }
}

/* ---- going ---- */

static void end_drain(struct pl_reactor *reactor) {
    const struct pl_event event = {.kind = PL_EVENT_DONE, .token = reactor->drain_token};
    reactor->drain_token = 0;
    pl_timer_clear(&reactor->timers, &reactor->drain_end);
    if (pl_outbox_send(&reactor->outbox, &event) != PL_OK) {
        pl_reactor_warn(reactor, "no memory to tell of the end of a drain");
    }
}

void pl_server_connection_gone(struct pl_reactor *reactor) {
    if (reactor->drain_token != 0 && reactor->conns.count == 0) {
        end_drain(reactor);
    }
}

static void on_drain_end(struct pl_timer *timer) {
    struct pl_reactor *reactor =
        (struct pl_reactor *)((char *)timer - offsetof(struct pl_reactor, drain_end));
    pl_conn_table_each(&reactor->conns, pl_conn_close);
}

void pl_server_drain(struct pl_reactor *reactor, uint64_t token, uint64_t drain_ms) {
    pl_reactor_assert(reactor);
    if (reactor->drain_token != 0) {
        end_drain(reactor);
    }
    close_listeners(reactor);
    reactor->serving = false;
    reactor->draining = true;
    reactor->drain_token = token;
    if (reactor->conns.count == 0) {
        end_drain(reactor);
        return;
    }
    reactor->drain_end.fire = on_drain_end;
    pl_timer_set(&reactor->timers, &reactor->drain_end, reactor->now_ms + drain_ms);
    pl_conn_table_each(&reactor->conns, pl_conn_drain);
}

void pl_server_close(struct pl_reactor *reactor) {
    pl_reactor_assert(reactor);
    close_listeners(reactor);
    pl_conn_table_each(&reactor->conns, pl_conn_close);
}
