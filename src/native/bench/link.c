#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/run.h"

enum {
    MAX_IOV = 128,
    FETCH_WAIT_MS = 500,
    READ_ROOM = 1 << 16,
    MAX_ANSWER_BYTES = 1 << 30,
    ANSWER_TIMEOUT_S = 30, /* of the blocking calls before the run */
};

static int connect_to(const struct pl_load_options *options) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", options->port);
    if (getaddrinfo(options->host, port, &hints, &found) != 0) {
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

bool pl_link_open(struct pl_run *run, struct pl_link *link, int32_t index) {
    const struct pl_load_options *options = run->options;
    link->place = -1;
    link->fd = connect_to(options);
    if (link->fd < 0) {
        pl_run_fail(run, "cannot connect to %s:%d: %s", options->host, options->port,
                    strerror(errno));
        return false;
    }
    const int one = 1;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    link->index = index;
    link->partition = index % options->partitions;
    link->in_capacity = READ_ROOM + (link->reads ? (size_t)options->fetch_bytes : 0);
    link->in = malloc(link->in_capacity);
    link->ring = calloc((size_t)options->depth, sizeof *link->ring);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    if (link->in == NULL || link->ring == NULL ||
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        pl_run_fail(run, "out of memory for connection %d", index);
        return false;
    }
    return true;
}

void pl_link_close(struct pl_link *link) {
    if (link->fd >= 0) {
        close(link->fd);
    }
    free(link->in);
    free(link->ring);
}

static void watch_writes(struct pl_run *run, struct pl_link *link, bool wanted) {
    if (link->wants_write == wanted) {
        return;
    }
    link->wants_write = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = link};
    epoll_ctl(run->epoll, EPOLL_CTL_MOD, link->fd, &event);
}

struct pl_in_flight *pl_link_entry(const struct pl_run *run, const struct pl_link *link,
                                   uint32_t number) {
    return &link->ring[number % (uint32_t)run->options->depth];
}

static int gather(const struct pl_run *run, const struct pl_link *link, struct iovec *iov) {
    int count = 0;
    size_t skip = link->sent;
    for (uint32_t i = link->unsent; i != link->tail && count + 2 <= MAX_IOV; i++) {
        struct pl_in_flight *request = pl_link_entry(run, link, i);
        if (skip < request->header_length) {
            iov[count++] = (struct iovec){request->header + skip, request->header_length - skip};
            skip = 0;
        } else {
            skip -= request->header_length;
        }
        if (request->batch_length > skip) {
            iov[count++] = (struct iovec){(uint8_t *)(uintptr_t)request->batch + skip,
                                          request->batch_length - skip};
        }
        skip = 0;
    }
    return count;
}

static void mark_sent(const struct pl_run *run, struct pl_link *link, size_t n) {
    while (link->unsent != link->tail) {
        const struct pl_in_flight *request = pl_link_entry(run, link, link->unsent);
        size_t left = request->header_length + request->batch_length - link->sent;
        if (n < left) {
            link->sent += n;
            return;
        }
        n -= left;
        link->sent = 0;
        link->unsent++;
    }
}

void pl_link_send(struct pl_run *run, struct pl_link *link) {
    struct iovec iov[MAX_IOV];
    while (link->unsent != link->tail) {
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = (size_t)gather(run, link, iov);
        ssize_t n = sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            pl_run_fail(run, "send: %s", strerror(errno));
            return;
        }
        if (n < 0) {
            watch_writes(run, link, true);
            return;
        }
        mark_sent(run, link, (size_t)n);
    }
    watch_writes(run, link, false);
}

/* End to end, a consumer has one long poll out: more would ask for the same place. */
bool pl_link_has_room(const struct pl_run *run, const struct pl_link *link) {
    bool one = link->reads && run->options->mode == PL_LOAD_END_TO_END;
    return link->tail - link->head < (one ? 1U : (uint32_t)run->options->depth);
}

static void next_partition(const struct pl_load_options *options, struct pl_link *link) {
    if (options->mode == PL_LOAD_PRODUCE && options->connections < options->partitions) {
        link->partition = (link->partition + options->connections) % options->partitions;
    }
}

void pl_link_queue_produce(struct pl_run *run, struct pl_link *link, int32_t records) {
    struct pl_in_flight *request = pl_link_entry(run, link, link->tail);
    request->batch = pl_payloads_batch(run->payloads, records, &request->batch_length);
    if (request->batch == NULL) {
        pl_run_fail(run, "out of memory for a batch of %d records", records);
        return;
    }
    request->records = records;
    request->begin_ns = run->now_ns;
    request->first_arrival = link->taken;
    request->correlation_id = link->next_correlation_id++;
    request->header_length = pl_request_produce(run->options, request->correlation_id,
                                                link->partition, request->batch_length,
                                                request->header);
    link->taken += records;
    link->tail++;
    next_partition(run->options, link);
}

void pl_link_queue_fetch(struct pl_run *run, struct pl_link *link) {
    struct pl_in_flight *request = pl_link_entry(run, link, link->tail);
    request->batch_length = 0;
    request->begin_ns = run->now_ns;
    request->first_arrival = link->taken++;
    request->offset = link->offset;
    request->correlation_id = link->next_correlation_id++;
    request->header_length =
        pl_request_fetch(run->options, request->correlation_id, link->partition, link->offset,
                         FETCH_WAIT_MS, request->header);
    link->tail++;
}

static size_t frame_length(const uint8_t *bytes) {
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

static bool grow(struct pl_run *run, struct pl_link *link, size_t wanted) {
    if (wanted <= link->in_capacity) {
        return true;
    }
    uint8_t *in = wanted > MAX_ANSWER_BYTES ? NULL : realloc(link->in, wanted);
    if (in == NULL) {
        pl_run_fail(run, "an answer of %zu bytes is too large", wanted);
        return false;
    }
    link->in = in;
    link->in_capacity = wanted;
    return true;
}

static void cut_answers(struct pl_run *run, struct pl_link *link) {
    size_t at = 0;
    while (!run->failed && link->in_length - at >= 4) {
        size_t length = frame_length(link->in + at);
        if (!grow(run, link, length + 4)) {
            return;
        }
        if (link->in_length - at < length + 4) {
            break;
        }
        pl_run_take_answer(run, link, link->in + at + 4, length);
        at += length + 4;
    }
    memmove(link->in, link->in + at, link->in_length - at);
    link->in_length -= at;
}

void pl_link_receive(struct pl_run *run, struct pl_link *link) {
    ssize_t n = recv(link->fd, link->in + link->in_length, link->in_capacity - link->in_length,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        pl_run_fail(run, "the broker closed a connection: %s",
                    n == 0 ? "end of stream" : strerror(errno));
        return;
    }
    link->in_length += (size_t)n;
    run->now_ns = pl_run_clock_ns();
    cut_answers(run, link);
}

bool pl_link_seek_to_end(struct pl_run *run, struct pl_link *link) {
    link->offset = 0;
    for (;;) {
        struct pl_in_flight probe;
        struct pl_answer answer;
        size_t n = pl_request_fetch(run->options, 0, link->partition, link->offset, 1,
                                    probe.header);
        if (send(link->fd, probe.header, n, MSG_NOSIGNAL) != (ssize_t)n ||
            recv(link->fd, link->in, 4, MSG_WAITALL) != 4) {
            break;
        }
        size_t length = frame_length(link->in);
        if (!grow(run, link, length) ||
            recv(link->fd, link->in, length, MSG_WAITALL) != (ssize_t)length ||
            pl_answer_fetch(link->in, length, &answer) != PL_OK || answer.error != 0) {
            break;
        }
        if (answer.next_offset < 0) {
            return true;
        }
        link->offset = answer.next_offset;
    }
    pl_run_fail(run, "partition %d cannot be read to its end", link->partition);
    return false;
}

