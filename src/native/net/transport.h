/* How bytes leave and enter a connection, as a function table: plain TCP, or TLS above it. */
#ifndef PYLOG_NET_TRANSPORT_H
#define PYLOG_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct pl_transport { /* owned by its connection */
    const struct pl_transport_kind *kind;
    int fd;
    void *session; /* of the kind */
};

/* Each moves what it can: PL_OK with at least one byte, PL_ERR_AGAIN with none. */
struct pl_transport_kind {
    /* PL_ERR_CLOSED: the peer sends no more. */
    enum pl_err (*read)(struct pl_transport *transport, void *to, size_t room, size_t *got);
    /* `more`: further bytes follow at once, so a half-full packet may wait for them. */
    enum pl_err (*write)(struct pl_transport *transport, const struct iovec *runs, int count,
                         bool more, size_t *sent);
    enum pl_err (*send_file)(struct pl_transport *transport, int file, uint64_t position,
                             size_t length, size_t *sent);
    void (*close)(struct pl_transport *transport);
};

extern const struct pl_transport_kind pl_transport_tcp;

#endif
