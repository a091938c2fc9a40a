/* The one place that sends chains. */
#ifndef PYLOG_NET_SEND_H
#define PYLOG_NET_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/chain.h"
#include "base/err.h"
#include "net/transport.h"

/* Sends from the front of the chain until it is empty (PL_OK), the transport is full
 * (PL_ERR_AGAIN) or about max_bytes are out (PL_ERR_BUSY: call again in the next turn). *sent is
 * set whatever happens. PL_ERR_IO: a file is shorter than its range; what has left is half a
 * reply, so the connection must be closed. */
PL_MUST_CHECK enum pl_err pl_send_chain(struct pl_transport *transport, struct pl_chain *chain,
                                        size_t max_bytes, size_t *sent);

#endif
