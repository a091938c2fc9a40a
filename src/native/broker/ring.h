/* Doubly linked rings whose links lie inside what they link: nothing is allocated, and whoever is
 * linked can leave from where it is. A head is a link of its own. */
#ifndef PYLOG_BROKER_RING_H
#define PYLOG_BROKER_RING_H

#include <stdbool.h>
#include <stddef.h>

struct pl_ring {
    struct pl_ring *next, *previous; /* itself when alone */
};

#define PL_CONTAINER(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void pl_ring_init(struct pl_ring *ring) {
    ring->next = ring->previous = ring;
}

static inline bool pl_ring_is_empty(const struct pl_ring *ring) {
    return ring->next == ring;
}

/* Behind `before`; behind the previous of a head is the end of its ring. */
static inline void pl_ring_insert(struct pl_ring *before, struct pl_ring *link) {
    link->previous = before;
    link->next = before->next;
    before->next->previous = link;
    before->next = link;
}

static inline void pl_ring_add(struct pl_ring *head, struct pl_ring *link) {
    pl_ring_insert(head->previous, link);
}

/* Alone afterwards, so that leaving twice is harmless. */
static inline void pl_ring_leave(struct pl_ring *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    pl_ring_init(link);
}

#endif
