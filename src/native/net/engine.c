/* The composition behind pylog/engine.h: one reactor, one worker pool, one broker. */
#include "pylog/engine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/slices.h"
#include "net/engine_call.h"
#include "net/reactor.h"
#include "net/server.h"
#include "worker/pool.h"

/* ---- life ---- */

static void on_done(void *context, const struct pl_done *done) {
    struct pl_engine *engine = context;
    const struct pl_event event = {
        .kind = PL_EVENT_DONE,
        .token = done->token,
        .error = done->error,
        .value = done->value,
        .value2 = done->value2,
        .data = done->data,
        .length = done->length,
        .storage = done->storage,
    };
    if (pl_outbox_send(&engine->reactor.outbox, &event) != PL_OK) {
        pl_engine_fail_token(engine, done->token);
    }
}

static void on_offline(void *context, uint64_t handle) {
    struct pl_engine *engine = context;
    const struct pl_event event = {.kind = PL_EVENT_OFFLINE, .handle = handle};
    if (pl_outbox_send(&engine->reactor.outbox, &event) != PL_OK) {
        pl_reactor_warn(&engine->reactor, "a log went offline");
    }
}

static void on_uncleanable(void *context, uint64_t handle) {
    struct pl_engine *engine = context;
    const struct pl_event event = {.kind = PL_EVENT_UNCLEANABLE, .handle = handle};
    if (pl_outbox_send(&engine->reactor.outbox, &event) != PL_OK) {
        pl_reactor_warn(&engine->reactor, "a log can't be compacted");
    }
}

/* Without memory for it, the partition is found among the results at the end. */
static void on_opened(void *context, uint64_t token, int32_t number,
                      const struct pl_partition_opened *opened) {
    struct pl_engine *engine = context;
    const struct pl_event event = {
        .kind = PL_EVENT_LOG_OPENED,
        .token = token,
        .value = number,
        .data = (const uint8_t *)opened,
        .length = sizeof *opened,
    };
    (void)!pl_outbox_send_copy(&engine->reactor.outbox, &event);
}

static enum pl_err open_broker(struct pl_engine *engine, const struct pl_engine_options *options) {
    struct pl_reactor *reactor = &engine->reactor;
    const struct pl_broker_options broker = {
        .fs = &pl_fs_real,
        .clock = &reactor->clock,
        .workers = engine->workers,
        .pool = reactor->pool,
        .timers = &reactor->timers,
        .sink = {.context = engine,
                 .done = on_done,
                 .offline = on_offline,
                 .uncleanable = on_uncleanable,
                 .opened = on_opened},
        .node_id = options->node_id,
        .fetch_max_bytes = options->fetch_max_bytes,
        .fetch_session_slots = options->fetch_session_slots,
        .housekeep_interval_ms = options->housekeep_interval_ms,
    };
    return pl_broker_create(&broker, &reactor->broker);
}

static void deliver_stop(struct pl_mail *mail) {
    struct pl_engine *engine =
        (struct pl_engine *)((char *)mail - offsetof(struct pl_engine, stop));
    engine->reactor.stopping = true;
}

static enum pl_err open_parts(struct pl_engine *engine, const struct pl_engine_options *options) {
    struct pl_reactor *reactor = &engine->reactor;
    enum pl_err err = pl_reactor_open(reactor, &pl_clock_real);
    if (err != PL_OK) {
        return err;
    }
    err = pl_worker_pool_create(options->worker_threads, &reactor->jobs.mailbox, &engine->workers);
    if (err == PL_OK) {
        err = open_broker(engine, options);
        if (err != PL_OK) {
            pl_worker_pool_destroy(engine->workers);
        }
    }
    if (err != PL_OK) {
        pl_reactor_close(reactor);
    }
    return err;
}

struct pl_engine *pl_engine_create(const struct pl_engine_options *options) {
    if (options->max_connections < 1 || options->max_frame_bytes < 1 ||
        options->max_frame_bytes > PL_MAX_FRAME_BYTES) {
        return NULL;
    }
    struct pl_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return NULL;
    }
    if (open_parts(engine, options) != PL_OK) {
        free(engine);
        return NULL;
    }
    engine->stop.deliver = deliver_stop;
    engine->buffers = (struct pl_socket_buffers){.send = options->send_buffer_bytes,
                                                 .receive = options->receive_buffer_bytes};
    engine->reactor.max_connections = (uint32_t)options->max_connections;
    engine->reactor.max_frame_bytes = (size_t)options->max_frame_bytes;
    engine->reactor.idle_timeout_ms =
        options->idle_timeout_ms > 0 ? (uint64_t)options->idle_timeout_ms : 0;
    return engine;
}

static void deliver_all(struct pl_reactor *reactor) {
    pl_mailbox_deliver(&reactor->jobs.mailbox);
    pl_mailbox_deliver(&reactor->calls.mailbox);
}

void pl_engine_destroy(struct pl_engine *engine) {
    if (engine == NULL) {
        return;
    }
    struct pl_reactor *reactor = &engine->reactor;
    pl_reactor_enter(reactor);
    deliver_all(reactor);
    pl_server_close(reactor);
    pl_broker_stop(reactor->broker);
    pl_worker_pool_destroy(engine->workers);
    deliver_all(reactor);
    pl_broker_destroy(reactor->broker);
    pl_reactor_close(reactor);
    free(engine);
}

/* ---- the reactor's thread ---- */

/* A file that is sent to a dead peer raises SIGPIPE (sendfile has no flag against it), and other
 * signals are for threads that expect EINTR. */
static void block_signals(sigset_t *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static void restore_signals(const sigset_t *before) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const struct timespec at_once = {0};
    while (sigtimedwait(&pipe, NULL, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int pl_engine_run(struct pl_engine *engine) {
    sigset_t before;
    block_signals(&before);
    pl_take_short_slices();
    pl_reactor_enter(&engine->reactor);
    enum pl_err err = PL_OK;
    while (err == PL_OK && !engine->reactor.stopping) {
        err = pl_reactor_turn(&engine->reactor);
    }
    restore_signals(&before);
    return err == PL_OK ? 0 : EIO;
}

void pl_engine_stop(struct pl_engine *engine) {
    if (!atomic_exchange(&engine->stop_sent, true)) {
        pl_mailbox_send(&engine->reactor.calls.mailbox, &engine->stop);
    }
}

/* ---- serving ---- */

static void run_listen(struct pl_call *call) {
    pl_server_add_listener(&call->engine->reactor, &call->listener);
}

int pl_engine_listen(struct pl_engine *engine, uint8_t listener, const char *host, uint16_t port,
                     uint16_t *bound_port) {
    struct pl_call call = {0};
    int failure = pl_listener_open(&call.listener, listener, host, port, engine->buffers, bound_port);
    if (failure == 0 && !pl_call_send(engine, run_listen, &call)) {
        pl_listener_close(&call.listener);
        failure = ENOMEM;
    }
    return failure;
}

static void run_serve(struct pl_call *call) {
    pl_server_serve(&call->engine->reactor);
}

int pl_engine_serve(struct pl_engine *engine) {
    return pl_call_send(engine, run_serve, &(struct pl_call){0}) ? 0 : ENOMEM;
}

static void run_drain(struct pl_call *call) {
    pl_server_drain(&call->engine->reactor, call->token, (uint64_t)call->number);
}

void pl_engine_drain(struct pl_engine *engine, uint64_t token, int64_t drain_ms) {
    const struct pl_call call = {.token = token, .number = drain_ms > 0 ? drain_ms : 0};
    pl_call_send_or_fail(engine, run_drain, &call);
}

/* ---- events and replies ---- */

int pl_engine_event_fd(const struct pl_engine *engine) {
    return engine->reactor.outbox.mailbox.fd;
}

int pl_engine_poll(struct pl_engine *engine, struct pl_event *events, int room) {
    return pl_outbox_poll(&engine->reactor.outbox, events, room);
}

void pl_event_free(struct pl_event *event) {
    free(event->storage);
    event->storage = NULL;
}

static void run_close_connection(struct pl_call *call) {
    struct pl_conn *conn = pl_conn_table_find(&call->engine->reactor.conns, call->handle);
    if (conn != NULL) {
        pl_conn_close(conn);
    }
}

int pl_engine_close_connection(struct pl_engine *engine, uint64_t connection) {
    const struct pl_call call = {.handle = connection};
    return pl_call_send(engine, run_close_connection, &call) ? 0 : ENOMEM;
}

static void run_verified(struct pl_call *call) {
    struct pl_conn *conn = pl_conn_table_find(&call->engine->reactor.conns, call->handle);
    if (conn != NULL) {
        pl_conn_verified(conn, call->bytes, call->count);
        call->bytes = NULL;
    }
}

int pl_engine_verified(struct pl_engine *engine, uint64_t connection,
                       const struct pl_verification *answers, int32_t count) {
    size_t length = (size_t)count * sizeof *answers;
    struct pl_verification *copy = malloc(length);
    if (copy == NULL) {
        return ENOMEM;
    }
    memcpy(copy, answers, length);
    const struct pl_call call = {.handle = connection, .count = count, .bytes = copy};
    if (!pl_call_send(engine, run_verified, &call)) {
        free(copy);
        return ENOMEM;
    }
    return 0;
}

/* ---- counters ---- */

void pl_engine_read_counters(const struct pl_engine *engine, struct pl_engine_counters *counters) {
    _Static_assert(sizeof *counters % sizeof(uint64_t) == 0, "counters are uint64_t alone");
    const uint64_t *from = (const uint64_t *)&engine->reactor.counters;
    uint64_t *to = (uint64_t *)counters;
    for (size_t i = 0; i < sizeof *counters / sizeof *to; i++) {
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    pl_broker_read_counters(engine->reactor.broker, counters);
}
