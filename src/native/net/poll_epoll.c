#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/poll.h"

struct epoll { /* owned by the pl_poll that it is the context of */
    int fd;
    struct epoll_event events[PL_MAX_EVENTS_PER_STEP];
};

static enum pl_err add(void *context, int fd, enum pl_poll_mode mode,
                       struct pl_poll_target *target) {
    const struct epoll *epoll = context;
    struct epoll_event event = {.data.ptr = target};
    event.events = mode == PL_POLL_EDGE ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET : EPOLLIN;
    return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? PL_OK : pl_err_from_errno(errno);
}

static enum pl_err remove_fd(void *context, int fd) {
    const struct epoll *epoll = context;
    return epoll_ctl(epoll->fd, EPOLL_CTL_DEL, fd, NULL) == 0 ? PL_OK : pl_err_from_errno(errno);
}

static enum pl_err wait_for_events(void *context, struct pl_poll_event *events, int room,
                                   int timeout_ms, int *count) {
    struct epoll *epoll = context;
    room = room < PL_MAX_EVENTS_PER_STEP ? room : PL_MAX_EVENTS_PER_STEP;
    int found = epoll_wait(epoll->fd, epoll->events, room, timeout_ms);
    *count = found < 0 ? 0 : found;
    if (found < 0 && errno != EINTR) {
        return pl_err_from_errno(errno);
    }
    for (int i = 0; i < found; i++) {
        uint32_t bits = epoll->events[i].events;
        events[i] = (struct pl_poll_event){
            .target = epoll->events[i].data.ptr,
            .readable = (bits & (EPOLLIN | EPOLLRDHUP)) != 0,
            .writable = (bits & EPOLLOUT) != 0,
            .hung_up = (bits & EPOLLRDHUP) != 0,
            .broken = (bits & (EPOLLHUP | EPOLLERR)) != 0,
        };
    }
    return PL_OK;
}

enum pl_err pl_poll_epoll_open(struct pl_poll *poll) {
    struct epoll *epoll = malloc(sizeof *epoll);
    if (epoll == NULL) {
        return PL_ERR_MEMORY;
    }
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0) {
        enum pl_err err = pl_err_from_errno(errno);
        free(epoll);
        return err;
    }
    *poll = (struct pl_poll){
        .context = epoll, .add = add, .remove = remove_fd, .wait = wait_for_events};
    return PL_OK;
}

void pl_poll_epoll_close(struct pl_poll *poll) {
    struct epoll *epoll = poll->context;
    close(epoll->fd);
    free(epoll);
}
