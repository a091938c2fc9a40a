#include "broker/flush_hold.h"

static void judge(struct pl_flush_hold *hold) {
    bool missed = hold->arrived < hold->expected - hold->expected / 4;
    uint32_t misses = missed ? hold->misses * 2 + 1 : 0;
    hold->misses = misses < PL_HOLD_MAX_SKIPS ? misses : PL_HOLD_MAX_SKIPS;
    hold->skips = hold->misses;
}

void pl_flush_hold_begin(struct pl_flush_hold *hold, uint64_t now_ns) {
    if (hold->expected > 0) {
        judge(hold);
    }
    hold->answered = hold->expected = 0;
    hold->began_ns = now_ns;
}

void pl_flush_hold_end(struct pl_flush_hold *hold, uint64_t now_ns) {
    uint64_t lasted_ns = now_ns - hold->began_ns;
    hold->arrived = 0;
    hold->expected = hold->skips == 0 ? hold->answered : 0;
    hold->skips -= hold->skips > 0 ? 1 : 0;
    hold->until_ns = now_ns + (lasted_ns < PL_HOLD_MAX_NS ? lasted_ns : PL_HOLD_MAX_NS);
}
