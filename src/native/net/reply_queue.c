#include "net/reply_queue.h"

#include <stdlib.h>

#include "base/limits.h"

static struct pl_reply_slot *take_slot(struct pl_reply_store *store) {
    struct pl_reply_slot *slot = store->first;
    if (slot == NULL) {
        return malloc(sizeof *slot);
    }
    store->first = slot->next;
    store->count--;
    return slot;
}

static void give_slot(struct pl_reply_store *store, struct pl_reply_slot *slot) {
    if (store->count >= PL_MAX_POOLED_SLOTS) {
        free(slot);
        return;
    }
    slot->next = store->first;
    store->first = slot;
    store->count++;
}

void pl_reply_store_clear(struct pl_reply_store *store) {
    while (store->count > 0) {
        free(take_slot(store));
    }
}

struct pl_reply_slot *pl_reply_queue_push(struct pl_reply_queue *queue,
                                          struct pl_reply_store *store, struct pl_conn *conn) {
    struct pl_reply_slot *slot = take_slot(store);
    if (slot == NULL) {
        return NULL;
    }
    *slot = (struct pl_reply_slot){.conn = conn};
    if (queue->last == NULL) {
        queue->first = slot;
    } else {
        queue->last->next = slot;
    }
    queue->last = slot;
    queue->count++;
    return slot;
}

void pl_reply_slot_finish(struct pl_reply_slot *slot, struct pl_chain *chain) {
    slot->chain = *chain;
    *chain = (struct pl_chain){0};
    slot->done = true;
}

static struct pl_reply_slot *pop(struct pl_reply_queue *queue) {
    struct pl_reply_slot *slot = queue->first;
    queue->first = slot->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    queue->count--;
    return slot;
}

void pl_reply_queue_release(struct pl_reply_queue *queue, struct pl_reply_store *store,
                            struct pl_chain *out) {
    while (queue->first != NULL && queue->first->done) {
        struct pl_reply_slot *slot = pop(queue);
        pl_chain_join(out, &slot->chain);
        give_slot(store, slot);
    }
}

void pl_reply_queue_hurry(const struct pl_reply_queue *queue) {
    for (struct pl_reply_slot *slot = queue->first; slot != NULL; slot = slot->next) {
        if (!slot->done && slot->reply.hurry != NULL) {
            slot->reply.hurry(slot->reply.waiter);
        }
    }
}

void pl_reply_queue_cancel(struct pl_reply_queue *queue, struct pl_reply_store *store) {
    while (queue->first != NULL) {
        struct pl_reply_slot *slot = pop(queue);
        if (!slot->done && slot->reply.cancel != NULL) {
            slot->reply.cancel(slot->reply.waiter);
        }
        pl_chain_drop(&slot->chain);
        give_slot(store, slot);
    }
}
