/* Pooled buffers. Each holds a chain node of its own, so that a piece of a reply costs one
 * buffer and no other allocation.
 *
 * Sizes are powers of two. A pool keeps what is given back, up to a bound, and so hands out
 * memory that is warm; pl_pool_trim frees what was not needed since the last trim.
 * A pool belongs to one thread; its buffers are taken and given there.
 */
#ifndef PYLOG_BASE_BUF_H
#define PYLOG_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/chain.h"
#include "base/err.h"

struct pl_pool;

struct pl_buf { /* owned by who took it, or by the chain that it was added to */
    struct pl_chain_node node;
    struct pl_pool *pool;
    struct pl_buf *next; /* for its owner's lists */
    void (*release)(void *owner); /* of the file range that its node stands for */
    void *owner;
    uint32_t references; /* 1 when taken */
    uint32_t size_class;
    size_t capacity; /* of bytes */
    uint8_t bytes[];
};

PL_MUST_CHECK enum pl_err pl_pool_create(struct pl_pool **pool);
void pl_pool_destroy(struct pl_pool *pool); /* when all buffers are back */
void pl_pool_trim(struct pl_pool *pool);
size_t pl_pool_bytes(const struct pl_pool *pool); /* kept, not in use */

/* At least `capacity` bytes, not zeroed; NULL when there is no memory. */
PL_MUST_CHECK struct pl_buf *pl_buf_take(struct pl_pool *pool, size_t capacity);
void pl_buf_retain(struct pl_buf *buf);
void pl_buf_give(struct pl_buf *buf); /* back to its pool with the last reference */

/* The first `length` bytes of buf; the chain takes the caller's reference. */
void pl_chain_add_buf(struct pl_chain *chain, struct pl_buf *buf, size_t length);
/* A range of a file. On an error nothing is taken: release stays with the caller. */
PL_MUST_CHECK enum pl_err pl_chain_add_file(struct pl_chain *chain, struct pl_pool *pool, int fd,
                                            uint64_t position, size_t length,
                                            void (*release)(void *owner), void *owner);

#endif
