/* A reply as a list of byte ranges, in memory or in a file (after nginx's buffer chain).
 *
 * A node owns what it points to through `release`, called exactly once, when its bytes have
 * been sent or the chain is dropped: it gives back a pooled buffer, or a segment reference.
 * One file sends chains: net/send.c.
 */
#ifndef PYLOG_BASE_CHAIN_H
#define PYLOG_BASE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum pl_chain_kind { PL_CHAIN_MEMORY, PL_CHAIN_FILE };

struct pl_chain_node {
    struct pl_chain_node *next;
    enum pl_chain_kind kind;
    const uint8_t *data; /* memory */
    int fd;              /* file */
    uint64_t position;   /* file: of the first unsent byte */
    size_t length;       /* bytes not yet sent */
    void (*release)(void *owner); /* or NULL */
    void *owner;
};

struct pl_chain { /* owned by one reply slot; zeroes are an empty chain */
    struct pl_chain_node *first, *last;
    size_t length; /* sum of its nodes */
};

/* The chain owns the node from here on. A node lives inside its owner (see base/buf.h) and is
 * not touched after its release. A node of no bytes is released at once. */
void pl_chain_append(struct pl_chain *chain, struct pl_chain_node *node);
void pl_chain_join(struct pl_chain *to, struct pl_chain *from); /* leaves `from` empty */
/* The first n bytes have been sent: releases whole nodes, advances the first that stays. */
void pl_chain_consume(struct pl_chain *chain, size_t n);
void pl_chain_drop(struct pl_chain *chain); /* releases all; the chain is empty again */

#endif
