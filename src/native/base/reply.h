/* The answer that one request is owed, as seen by whoever computes it.
 *
 * net/reply_queue.h embeds this in the slots of a connection; api/ and broker/ know only this.
 * Exactly one of two things happens to an open reply:
 *   complete(reply, chain)  by its waiter; takes the chain, which is the whole frame: length
 *                           prefix, response header, body; an empty chain sends nothing
 *                           (acks 0). The reply must not be touched afterwards. Nothing is sent
 *                           before the end of the turn, so this is never re-entrant.
 *   cancel(waiter)          by the connection, when it goes away first; the waiter lets go of
 *                           the reply and frees itself.
 * In between, a waiter that only waits for more to come may be asked to
 *   hurry(waiter)           and complete with what there is: the client has ended its input, or
 *                           the broker drains.
 * Reactor thread only.
 */
#ifndef PYLOG_BASE_REPLY_H
#define PYLOG_BASE_REPLY_H

#include <stdint.h>

#include "base/chain.h"

struct pl_reply {
    void (*complete)(struct pl_reply *reply, struct pl_chain *chain);
    void (*cancel)(void *waiter); /* set by who parks the reply, with waiter */
    void (*hurry)(void *waiter);  /* likewise, or NULL */
    void *waiter;
    uint64_t connection; /* handle */
    uint64_t received_ns; /* monotonic */
    int32_t throttle_ms;  /* set by whoever answers: the connection is muted for so long */
    int32_t correlation_id;
    int16_t api_key, api_version;
};

#endif
