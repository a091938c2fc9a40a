#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/poll.h"

enum { NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * NS_PER_MS };

struct epoll { /* owned by the pl_poll that it is the context of */
    int fd;
    bool knows_ms_only;
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

/* Systems older than Linux 5.11, or their guards, know milliseconds only: rounded up. */
static int wait_ms(struct epoll *epoll, int room, int64_t timeout_ns) {
    int64_t timeout_ms = timeout_ns < 0 ? -1 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
    return epoll_wait(epoll->fd, epoll->events, room,
                      timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
}

static int wait_ns(struct epoll *epoll, int room, int64_t timeout_ns) {
    if (timeout_ns <= 0 || timeout_ns % NS_PER_MS == 0 || epoll->knows_ms_only) {
        return wait_ms(epoll, room, timeout_ns);
    }
    const struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S,
                                     .tv_nsec = timeout_ns % NS_PER_S};
    int found = (int)syscall(SYS_epoll_pwait2, epoll->fd, epoll->events, room, &timeout, NULL, 0);
    if (found >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return found;
    }
    epoll->knows_ms_only = true;
    return wait_ms(epoll, room, timeout_ns);
}

static enum pl_err wait_for_events(void *context, struct pl_poll_event *events, int room,
                                   int64_t timeout_ns, int *count) {
    struct epoll *epoll = context;
    room = room < PL_MAX_EVENTS_PER_STEP ? room : PL_MAX_EVENTS_PER_STEP;
    int found = wait_ns(epoll, room, timeout_ns);
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
    epoll->knows_ms_only = false;
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
