/* The logs whose next flush is due and held (flush_hold.h), as a list of the broker. Reactor only.
 */
#ifndef PYLOG_BROKER_HELD_FLUSHES_H
#define PYLOG_BROKER_HELD_FLUSHES_H

struct pl_broker;
struct pl_partition;

void pl_held_flushes_add(struct pl_partition *partition);
/* Once a turn, when all partitions are settled: settles those whose hold is over, so that their
 * flush begins, and sets broker->held_until_ns. */
void pl_held_flushes_end_turn(struct pl_broker *broker);

#endif
