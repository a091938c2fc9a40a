/* Where the bytes of one turn lie: read buffers that stay until the turn ends, then serve the
 * next one while they are warm, unless somebody has retained them. Owned by the reactor. */
#ifndef PYLOG_NET_ARENA_H
#define PYLOG_NET_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct pl_arena {
    struct pl_pool *pool;
    struct pl_buf *current; /* or NULL */
    size_t used;            /* of current */
    struct pl_buf *spent;   /* given back when the turn ends */
};

/* Room for `size` bytes in one piece, taken only by advance. NULL when there is no memory. */
uint8_t *pl_arena_room(struct pl_arena *arena, size_t size);
void pl_arena_advance(struct pl_arena *arena, size_t size);
void pl_arena_keep(struct pl_arena *arena, struct pl_buf *buf); /* until the turn ends */
void pl_arena_end_turn(struct pl_arena *arena);
void pl_arena_clear(struct pl_arena *arena); /* also the buffer that was kept warm */

#endif
