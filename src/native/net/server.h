/* Who is let in and out: listeners, accepting, draining. Reactor thread only. */
#ifndef PYLOG_NET_SERVER_H
#define PYLOG_NET_SERVER_H

#include "net/reactor.h"

/* Takes the open listener; polls it when the broker serves already. */
void pl_server_add_listener(struct pl_reactor *reactor, const struct pl_listener *listener);
void pl_server_serve(struct pl_reactor *reactor);
/* See pl_engine_drain. A second drain while one is under way ends at once. */
void pl_server_drain(struct pl_reactor *reactor, uint64_t token, uint64_t drain_ms);
/* A connection is gone: was it the last of a drain? */
void pl_server_connection_gone(struct pl_reactor *reactor);
/* Without a drain: listeners and connections. */
void pl_server_close(struct pl_reactor *reactor);

#endif
