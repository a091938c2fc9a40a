#include "base/timer_wheel.h"

#include <stddef.h>

enum { SLOT_BITS = 6, SLOT_MASK = PL_WHEEL_SLOTS - 1 };

void pl_timer_wheel_init(struct pl_timer_wheel *wheel, uint64_t now_ms) {
    *wheel = (struct pl_timer_wheel){.now_ms = now_ms};
    for (size_t i = 0; i < PL_WHEEL_LEVELS * PL_WHEEL_SLOTS; i++) {
        wheel->slots[i].next = wheel->slots[i].previous = &wheel->slots[i];
    }
}

bool pl_timer_is_set(const struct pl_timer *timer) {
    return timer->next != NULL;
}

static void unlink_timer(struct pl_timer *timer) {
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
}

void pl_timer_clear(struct pl_timer_wheel *wheel, struct pl_timer *timer) {
    if (!pl_timer_is_set(timer)) {
        return;
    }
    unlink_timer(timer);
    const struct pl_timer *head = &wheel->slots[timer->slot];
    if (head->next == head) {
        unsigned level = timer->slot / PL_WHEEL_SLOTS;
        wheel->occupied[level] &= ~(1ULL << (timer->slot & SLOT_MASK));
    }
}

/* Into the finest wheel that reaches `at`, or the farthest slot of the coarsest. */
static void insert(struct pl_timer_wheel *wheel, struct pl_timer *timer, uint64_t at) {
    unsigned level = 0;
    uint64_t turn = at;
    for (; level < PL_WHEEL_LEVELS; level++) {
        turn = at >> (SLOT_BITS * level);
        if (turn - (wheel->now_ms >> (SLOT_BITS * level)) < PL_WHEEL_SLOTS) {
            break;
        }
    }
    if (level == PL_WHEEL_LEVELS) {
        level--;
        turn = (wheel->now_ms >> (SLOT_BITS * level)) + SLOT_MASK;
    }
    unsigned index = (unsigned)(turn & SLOT_MASK);
    timer->slot = (uint16_t)(level * PL_WHEEL_SLOTS + index);
    struct pl_timer *head = &wheel->slots[timer->slot];
    timer->previous = head->previous;
    timer->next = head;
    head->previous->next = timer;
    head->previous = timer;
    wheel->occupied[level] |= 1ULL << index;
}

void pl_timer_set(struct pl_timer_wheel *wheel, struct pl_timer *timer, uint64_t due_ms) {
    pl_timer_clear(wheel, timer);
    timer->due_ms = due_ms;
    insert(wheel, timer, due_ms > wheel->now_ms ? due_ms : wheel->now_ms + 1);
}

uint64_t pl_timer_wheel_next_ms(const struct pl_timer_wheel *wheel) {
    uint64_t next_ms = UINT64_MAX;
    for (unsigned level = 0; level < PL_WHEEL_LEVELS; level++) {
        uint64_t bits = wheel->occupied[level];
        if (bits == 0) {
            continue;
        }
        uint64_t turn = (wheel->now_ms >> (SLOT_BITS * level)) + 1;
        unsigned from = (unsigned)(turn & SLOT_MASK);
        uint64_t ahead = from == 0 ? bits : bits >> from | bits << (PL_WHEEL_SLOTS - from);
        uint64_t at = (turn + (unsigned)__builtin_ctzll(ahead)) << (SLOT_BITS * level);
        next_ms = at < next_ms ? at : next_ms;
    }
    return next_ms;
}

/* Moves the ring of a slot to `ring`, a head of the caller. */
static void detach(struct pl_timer_wheel *wheel, unsigned level, struct pl_timer *ring) {
    unsigned index = (unsigned)(wheel->now_ms >> (SLOT_BITS * level)) & SLOT_MASK;
    struct pl_timer *head = &wheel->slots[level * PL_WHEEL_SLOTS + index];
    ring->next = ring->previous = ring;
    if (head->next == head) {
        return;
    }
    *ring = *head;
    ring->next->previous = ring->previous->next = ring;
    head->next = head->previous = head;
    wheel->occupied[level] &= ~(1ULL << index);
}

static void deal_out(struct pl_timer_wheel *wheel) {
    for (unsigned level = PL_WHEEL_LEVELS - 1; level > 0; level--) {
        if ((wheel->now_ms & ((1ULL << (SLOT_BITS * level)) - 1)) != 0) {
            continue;
        }
        struct pl_timer ring;
        detach(wheel, level, &ring);
        while (ring.next != &ring) {
            struct pl_timer *timer = ring.next;
            unlink_timer(timer);
            insert(wheel, timer, timer->due_ms > wheel->now_ms ? timer->due_ms : wheel->now_ms);
        }
    }
}

static void fire_slot(struct pl_timer_wheel *wheel) {
    struct pl_timer ring;
    detach(wheel, 0, &ring);
    while (ring.next != &ring) {
        struct pl_timer *timer = ring.next;
        unlink_timer(timer);
        timer->fire(timer);
    }
}

void pl_timer_wheel_advance(struct pl_timer_wheel *wheel, uint64_t now_ms) {
    while (wheel->now_ms < now_ms) {
        uint64_t next_ms = pl_timer_wheel_next_ms(wheel);
        if (next_ms > now_ms) {
            wheel->now_ms = now_ms;
            return;
        }
        wheel->now_ms = next_ms;
        deal_out(wheel);
        fire_slot(wheel);
    }
}
