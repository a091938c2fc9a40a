/* How a call from any thread gets to the reactor: as mail that runs there once. */
#ifndef PYLOG_NET_ENGINE_CALL_H
#define PYLOG_NET_ENGINE_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/reactor.h"
#include "pylog/engine.h"
#include "worker/mailbox.h"
#include "worker/pool.h"

struct pl_engine { /* owned by who created it */
    struct pl_reactor reactor;
    struct pl_worker_pool *workers;
    struct pl_socket_buffers buffers; /* of the connections of every listener */
    struct pl_mail stop;
    atomic_bool stop_sent;
};

struct pl_call { /* mail is the first member; each call uses the fields that it needs */
    struct pl_mail mail;
    struct pl_engine *engine;
    void (*run)(struct pl_call *call); /* on the reactor */
    uint64_t token, handle;
    int64_t number, until;
    uint32_t max_bytes;
    int32_t count;
    bool flag;
    enum pl_append_wait wait;
    void *bytes; /* from malloc; freed after run, which may have taken it and set NULL */
    size_t length;
    struct pl_listener listener;
};

/* Sends a copy of `call`, with its bytes. False when there is no memory: nothing is taken. */
bool pl_call_send(struct pl_engine *engine, void (*run)(struct pl_call *call),
                  const struct pl_call *call);
/* Likewise for a call with a token: without memory, the token ends with an error, and the bytes
 * are freed. */
void pl_call_send_or_fail(struct pl_engine *engine, void (*run)(struct pl_call *call),
                          const struct pl_call *call);
void pl_engine_fail_token(struct pl_engine *engine, uint64_t token);

#endif
