#include "broker/held_flushes.h"

#include "broker/state.h"

static void list_held(struct pl_partition *partition) {
    struct pl_broker *broker = partition->broker;
    partition->held_next = broker->held;
    broker->held = partition;
}

void pl_held_flushes_add(struct pl_partition *partition) {
    if (!partition->is_held) {
        partition->is_held = true;
        pl_partition_retain(partition);
        list_held(partition);
    }
}

/* Its flush has begun since then, or its hold is over. */
static void end_hold(struct pl_partition *partition) {
    partition->is_held = false;
    if (partition->flush == NULL) {
        pl_partition_settle(partition);
    }
    pl_partition_release(partition);
}

void pl_held_flushes_end_turn(struct pl_broker *broker) {
    struct pl_partition *listed = broker->held;
    broker->held = NULL;
    broker->held_until_ns = UINT64_MAX;
    uint64_t now_ns = listed == NULL ? 0 : pl_broker_monotonic_ns(broker);
    while (listed != NULL) {
        struct pl_partition *partition = listed;
        const struct pl_flush_hold *hold = &partition->flush_hold;
        listed = partition->held_next;
        if (broker->stopped || partition->flush != NULL || !pl_flush_is_held(hold, now_ns)) {
            end_hold(partition);
            continue;
        }
        list_held(partition);
        if (hold->until_ns < broker->held_until_ns) {
            broker->held_until_ns = hold->until_ns;
        }
    }
}
