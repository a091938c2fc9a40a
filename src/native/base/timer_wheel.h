/* Many timers, set and cleared in constant time; four wheels of 64 slots (1 ms, 64 ms, 4 s,
 * 262 s), of which a coarse slot is dealt out to the finer wheels when its time begins
 * (G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels", 1987).
 * One thread. Times are milliseconds of a monotonic clock.
 */
#ifndef PYLOG_BASE_TIMER_WHEEL_H
#define PYLOG_BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { PL_WHEEL_LEVELS = 4, PL_WHEEL_SLOTS = 64 };

struct pl_timer { /* owned by whom it wakes; zeroes are a timer that is not set */
    struct pl_timer *next, *previous;
    uint64_t due_ms;
    void (*fire)(struct pl_timer *timer); /* not set any more when called; may be set again */
    uint16_t slot;
};

struct pl_timer_wheel {
    uint64_t now_ms;
    uint64_t occupied[PL_WHEEL_LEVELS]; /* a bit a slot */
    struct pl_timer slots[PL_WHEEL_LEVELS * PL_WHEEL_SLOTS]; /* heads of rings */
};

void pl_timer_wheel_init(struct pl_timer_wheel *wheel, uint64_t now_ms);
/* Sets or moves. A time that has passed fires at the next advance to a later millisecond. */
void pl_timer_set(struct pl_timer_wheel *wheel, struct pl_timer *timer, uint64_t due_ms);
void pl_timer_clear(struct pl_timer_wheel *wheel, struct pl_timer *timer);
bool pl_timer_is_set(const struct pl_timer *timer);
/* Fires what is due at or before now_ms. */
void pl_timer_wheel_advance(struct pl_timer_wheel *wheel, uint64_t now_ms);
/* When to advance next: no timer fires earlier. UINT64_MAX without timers. */
uint64_t pl_timer_wheel_next_ms(const struct pl_timer_wheel *wheel);

#endif
