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

struct pl_chain { /* owned by one reply slot */
    struct pl_chain_node *first, *last;
    size_t length; /* sum of its nodes */
};

#endif
