#include "base/chain.h"

#include <assert.h>

static void release_node(struct pl_chain_node *node) {
    if (node->release != NULL) {
        node->release(node->owner);
    }
}

void pl_chain_append(struct pl_chain *chain, struct pl_chain_node *node) {
    if (node->length == 0) {
        release_node(node);
        return;
    }
    node->next = NULL;
    if (chain->last == NULL) {
        chain->first = node;
    } else {
        chain->last->next = node;
    }
    chain->last = node;
    chain->length += node->length;
}

void pl_chain_join(struct pl_chain *to, struct pl_chain *from) {
    if (from->first == NULL) {
        return;
    }
    if (to->last == NULL) {
        to->first = from->first;
    } else {
        to->last->next = from->first;
    }
    to->last = from->last;
    to->length += from->length;
    *from = (struct pl_chain){0};
}

static void drop_first(struct pl_chain *chain) {
    struct pl_chain_node *node = chain->first;
    chain->first = node->next;
    if (chain->first == NULL) {
        chain->last = NULL;
    }
    release_node(node);
}

void pl_chain_consume(struct pl_chain *chain, size_t n) {
    assert(n <= chain->length);
    chain->length -= n;
    while (n > 0) {
        struct pl_chain_node *node = chain->first;
        if (node->length > n) {
            node->length -= n;
            if (node->kind == PL_CHAIN_FILE) {
                node->position += n;
            } else {
                node->data += n;
            }
            return;
        }
        n -= node->length;
        drop_first(chain);
    }
}

void pl_chain_drop(struct pl_chain *chain) {
    while (chain->first != NULL) {
        drop_first(chain);
    }
    chain->length = 0;
}
