/* Readiness of descriptors as a function table, so that a test can script it. */
#ifndef PYLOG_NET_POLL_H
#define PYLOG_NET_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum pl_poll_mode {
    PL_POLL_LEVEL_READ, /* told again as long as it can be read */
    PL_POLL_EDGE,       /* told once when it becomes readable or writable */
};

struct pl_poll_event;

struct pl_poll_target { /* the first member of what waits for readiness */
    void (*ready)(struct pl_poll_target *target, const struct pl_poll_event *event);
};

struct pl_poll_event {
    struct pl_poll_target *target; /* as given to add */
    bool readable, writable;
    bool hung_up; /* the peer sends no more; bytes may still wait to be read */
    bool broken;  /* both directions are gone */
};

struct pl_poll {
    void *context;
    enum pl_err (*add)(void *context, int fd, enum pl_poll_mode mode,
                       struct pl_poll_target *target);
    enum pl_err (*remove)(void *context, int fd);
    /* Waits at most timeout_ns (-1: for ever) for up to `room` events. A signal ends the wait. */
    enum pl_err (*wait)(void *context, struct pl_poll_event *events, int room, int64_t timeout_ns,
                        int *count);
};

PL_MUST_CHECK enum pl_err pl_poll_epoll_open(struct pl_poll *poll);
void pl_poll_epoll_close(struct pl_poll *poll);

#endif
