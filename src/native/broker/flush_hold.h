/* When the next flush of a log begins: at once, or a little later.
 *
 * Clients that send again when they are answered fall into two halves, each of which waits for
 * the flush of the other. So after a flush the next one is held until as many acknowledgements
 * are asked for again as the flush has given, or for as long as the flush took, at most
 * PL_HOLD_MAX_NS. A client alone is never held: it is all that was answered. Where less than
 * three quarters came back in time the next flushes are not held, more of them at each miss.
 */
#ifndef PYLOG_BROKER_FLUSH_HOLD_H
#define PYLOG_BROKER_FLUSH_HOLD_H

#include <stdbool.h>
#include <stdint.h>

enum { PL_HOLD_MAX_NS = 1000 * 1000, PL_HOLD_MAX_SKIPS = 63 };

struct pl_flush_hold { /* begins as {0}; part of its partition */
    uint32_t answered; /* since the flush began */
    uint32_t arrived;  /* since it ended */
    uint32_t expected; /* to arrive; 0: not held */
    uint32_t misses, skips;
    uint64_t began_ns, until_ns;
};

/* A flush begins; judges the hold before it. */
void pl_flush_hold_begin(struct pl_flush_hold *hold, uint64_t now_ns);
/* It has ended, and those that it has answered are counted. */
void pl_flush_hold_end(struct pl_flush_hold *hold, uint64_t now_ns);

static inline bool pl_flush_is_held(const struct pl_flush_hold *hold, uint64_t now_ns) {
    return hold->arrived < hold->expected && now_ns < hold->until_ns;
}

#endif
