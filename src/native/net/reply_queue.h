/* The replies that a connection owes, in the order of its requests.
 *
 *   push ──▶ open ──complete──▶ done ──all before it done──▶ released into the connection's output
 *                └──cancel (the connection goes away)──▶ gone
 */
#ifndef PYLOG_NET_REPLY_QUEUE_H
#define PYLOG_NET_REPLY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chain.h"
#include "base/reply.h"

struct pl_conn;

struct pl_reply_slot { /* owned by the queue; reply is the first member */
    struct pl_reply reply;
    struct pl_reply_slot *next;
    struct pl_conn *conn;
    struct pl_chain chain;
    size_t request_bytes;
    bool done;
};

struct pl_reply_store { /* slots to use again; owned by the reactor */
    struct pl_reply_slot *first;
    uint32_t count;
};

struct pl_reply_queue { /* owned by a connection */
    struct pl_reply_slot *first, *last;
    uint32_t count;
};

/* NULL when there is no memory. The caller fills in slot->reply. */
struct pl_reply_slot *pl_reply_queue_push(struct pl_reply_queue *queue,
                                          struct pl_reply_store *store, struct pl_conn *conn);
void pl_reply_slot_finish(struct pl_reply_slot *slot, struct pl_chain *chain);
/* Moves the bytes of all that is done and due to `out`. */
void pl_reply_queue_release(struct pl_reply_queue *queue, struct pl_reply_store *store,
                            struct pl_chain *out);
/* Asks the waiters of what is open to complete with what there is. */
void pl_reply_queue_hurry(const struct pl_reply_queue *queue);
void pl_reply_queue_cancel(struct pl_reply_queue *queue, struct pl_reply_store *store);
void pl_reply_store_clear(struct pl_reply_store *store);

#endif
