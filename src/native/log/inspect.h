/* Producer state of a log whose files are looked at without opening it, for tools: batches are
 * counted in one by one, as recovery does. Not thread safe.
 */
#ifndef PYLOG_LOG_INSPECT_H
#define PYLOG_LOG_INSPECT_H

#include <stddef.h>
#include <stdint.h>

struct pl_producer_view; /* log/log.h */
struct pl_tracker;

struct pl_tracked_abort {
    int64_t producer_id; /* -1: the batch ended no transaction by an abort */
    int64_t first_offset, last_offset, last_stable_offset;
};

struct pl_tracker *pl_tracker_create(void); /* NULL: no memory */
void pl_tracker_destroy(struct pl_tracker *tracker);
/* The state that a .snapshot file holds, in place of what was known; 0 or an enum pl_err. */
int pl_tracker_load(struct pl_tracker *tracker, const uint8_t *snapshot, size_t n);
/* One whole batch that has passed its checks; 0 or an enum pl_err. */
int pl_tracker_add(struct pl_tracker *tracker, const uint8_t *batch, size_t n,
                   struct pl_tracked_abort *abort);
/* Fills in at most `room` producers, in no order; returns how many there are. */
size_t pl_tracker_producers(const struct pl_tracker *tracker, struct pl_producer_view *views,
                            size_t room);

#endif
