#include "net/arena.h"

enum { BLOCK_BYTES = 255 * 1024 }; /* with its header just below a power of two */

void pl_arena_keep(struct pl_arena *arena, struct pl_buf *buf) {
    buf->next = arena->spent;
    arena->spent = buf;
}

uint8_t *pl_arena_room(struct pl_arena *arena, size_t size) {
    if (arena->current != NULL && arena->current->capacity - arena->used < size) {
        pl_arena_keep(arena, arena->current);
        arena->current = NULL;
    }
    if (arena->current == NULL) {
        arena->used = 0;
        arena->current = pl_buf_take(arena->pool, size > BLOCK_BYTES ? size : BLOCK_BYTES);
    }
    return arena->current == NULL ? NULL : arena->current->bytes + arena->used;
}

void pl_arena_advance(struct pl_arena *arena, size_t size) {
    arena->used += size;
}

void pl_arena_end_turn(struct pl_arena *arena) {
    arena->used = 0;
    if (arena->current != NULL && arena->current->references > 1) {
        pl_arena_keep(arena, arena->current); /* its bytes are needed for longer */
        arena->current = NULL;
    }
    while (arena->spent != NULL) {
        struct pl_buf *buf = arena->spent;
        arena->spent = buf->next;
        pl_buf_give(buf);
    }
}

void pl_arena_clear(struct pl_arena *arena) {
    pl_arena_end_turn(arena);
    if (arena->current != NULL) {
        pl_buf_give(arena->current);
        arena->current = NULL;
    }
}
