/* Calls of the control plane that end when a partition can be read further (pylog/engine.h). */
#include <stdlib.h>

#include "broker/error_code.h"
#include "broker/state.h"

struct awaiting { /* owned by its watch, until it is woken for good */
    struct pl_watch watch;
    struct pl_partition *partition; /* a reference */
    uint64_t token;
    int64_t offset;
    bool read_committed;
};

static bool is_over(const struct awaiting *awaiting, int16_t *error) {
    const struct pl_partition *partition = awaiting->partition;
    int64_t end = awaiting->read_committed ? partition->last_stable : partition->high_watermark;
    *error = pl_partition_error(partition);
    if (*error == PL_KAFKA_NONE && end <= awaiting->offset && partition->offsets.offline) {
        *error = PL_KAFKA_KAFKA_STORAGE_ERROR; /* nothing will ever come */
    }
    return *error != PL_KAFKA_NONE || end > awaiting->offset;
}

static void wake(struct pl_watch *watch) {
    struct awaiting *awaiting = PL_CONTAINER(watch, struct awaiting, watch);
    struct pl_done done = {.token = awaiting->token};
    if (!is_over(awaiting, &done.error)) {
        return;
    }
    struct pl_partition *partition = awaiting->partition;
    pl_ring_leave(&watch->link);
    free(awaiting);
    pl_broker_done(partition->broker, &done);
    pl_partition_release(partition);
}

void pl_broker_await_readable(struct pl_broker *broker, uint64_t token, uint64_t handle,
                              int64_t offset, bool read_committed) {
    struct pl_partition *partition = pl_partition_by_handle(&broker->table, handle);
    struct awaiting *awaiting = calloc(1, sizeof *awaiting);
    if (partition == NULL || awaiting == NULL) {
        enum pl_err err = partition == NULL ? PL_ERR_CLOSED : PL_ERR_MEMORY;
        const struct pl_done done = {.token = token, .error = pl_error_code(err)};
        free(awaiting);
        if (partition != NULL) {
            pl_partition_release(partition);
        }
        pl_broker_done(broker, &done);
        return;
    }
    *awaiting = (struct awaiting){.watch = {.wake = wake},
                                  .partition = partition,
                                  .token = token,
                                  .offset = offset,
                                  .read_committed = read_committed};
    pl_ring_init(&awaiting->watch.link);
    pl_partition_watch(partition, &awaiting->watch);
    wake(&awaiting->watch);
}
