/* A listening socket: binds, accepts a bounded number a turn, and refuses politely. */
#ifndef PYLOG_NET_LISTENER_H
#define PYLOG_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { PL_ADDRESS_BYTES = 64 };

struct pl_listener { /* owned by the reactor */
    int fd;
    int reserve; /* a descriptor to give up when the process has no other, see accept */
    uint8_t number;
};

struct pl_accepted {
    int fd;
    char peer[PL_ADDRESS_BYTES];  /* of the client, without the port */
    char local[PL_ADDRESS_BYTES]; /* that it reached, likewise */
};

struct pl_socket_buffers { /* bytes of each accepted connection; -1: the system decides */
    int send, receive;
};

/* Returns 0 or an errno, for the caller of pl_engine_listen. An empty host is every address, of
 * IPv6 too where there is one. */
int pl_listener_open(struct pl_listener *listener, uint8_t number, const char *host, uint16_t port,
                     struct pl_socket_buffers buffers, uint16_t *bound_port);
void pl_listener_close(struct pl_listener *listener);

/* PL_ERR_AGAIN: nobody waits. PL_ERR_LIMIT: no descriptor was free; one client has been turned
 * away with a close, instead of being left to wait in the backlog. */
PL_MUST_CHECK enum pl_err pl_listener_accept(struct pl_listener *listener,
                                             struct pl_accepted *accepted);

#endif
