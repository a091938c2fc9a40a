#include "bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "bench/histogram.h"
#include "bench/process.h"
#include "bench/request.h"

enum {
    MAX_DEPTH = 256,
    MAX_EVENTS = 256,
    MAX_IOV = 128,
    FETCH_WAIT_MS = 500,
    READ_ROOM = 1 << 16,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

struct in_flight {
    uint64_t begin_ns;      /* closed loop: when queued */
    int64_t first_arrival;  /* open loop: number of its first record on this connection */
    int32_t records;
    int32_t correlation_id;
    uint8_t header[PL_REQUEST_HEADER_ROOM];
    size_t header_length;
    const uint8_t *batch;
    size_t batch_length;
};

struct link { /* one connection; owned by the run */
    int fd;
    bool reads;             /* a consumer */
    bool wants_write;
    int32_t index;          /* of the producer; end to end: its consumer has the same */
    int32_t partition;
    struct in_flight *ring; /* depth entries */
    uint32_t head, tail;    /* oldest unanswered, next free */
    uint32_t unsent;        /* first entry with unsent bytes */
    size_t sent;            /* bytes of it that are sent */
    int64_t taken;          /* open loop: records that were put into requests */
    int64_t received;       /* end to end, consumer: records that arrived */
    int64_t offset;         /* fetch */
    uint8_t *in;
    size_t in_length, in_capacity;
    int32_t next_correlation_id;
};

struct run {
    const struct pl_load_options *options;
    struct pl_load_result *result;
    struct pl_payloads *payloads;
    struct link *links;
    int count;
    int epoll, timer;
    double per_link_per_ns; /* open loop: arrivals of one connection */
    uint64_t start_ns, from_ns, until_ns, now_ns;
    struct pl_histogram latencies;
    bool failed;
};

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct run *run, const char *format, ...) {
    if (!run->failed) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(run->result->error, sizeof run->result->error, format, arguments);
        va_end(arguments);
    }
    run->failed = true;
}

static bool measuring(const struct run *run) {
    return run->now_ns >= run->from_ns && run->now_ns < run->until_ns;
}

/* ---- connections ---- */

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

static bool open_link(struct run *run, struct link *link, int index) {
    const struct pl_load_options *options = run->options;
    link->fd = connect_to(options);
    if (link->fd < 0) {
        fail(run, "cannot connect to %s:%d: %s", options->host, options->port, strerror(errno));
        return false;
    }
    const int one = 1;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct timeval limit = {.tv_sec = 30};
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    link->index = index;
    link->partition = index % options->partitions;
    link->in_capacity = READ_ROOM + (link->reads ? (size_t)options->fetch_bytes : 0);
    link->in = malloc(link->in_capacity);
    link->ring = calloc((size_t)options->depth, sizeof *link->ring);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    if (link->in == NULL || link->ring == NULL ||
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        fail(run, "out of memory for connection %d", index);
        return false;
    }
    return true;
}

static void close_links(struct run *run) {
    for (int i = 0; i < run->count; i++) {
        if (run->links[i].fd >= 0) {
            close(run->links[i].fd);
        }
        free(run->links[i].in);
        free(run->links[i].ring);
    }
    free(run->links);
}

static void watch_writes(struct run *run, struct link *link, bool wanted) {
    if (link->wants_write == wanted) {
        return;
    }
    link->wants_write = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = link};
    epoll_ctl(run->epoll, EPOLL_CTL_MOD, link->fd, &event);
}

/* ---- sending ---- */

static struct in_flight *entry(const struct run *run, const struct link *link, uint32_t index) {
    return &link->ring[index % (uint32_t)run->options->depth];
}

static int gather(const struct run *run, const struct link *link, struct iovec *iov) {
    int count = 0;
    size_t skip = link->sent;
    for (uint32_t i = link->unsent; i != link->tail && count + 2 <= MAX_IOV; i++) {
        struct in_flight *request = entry(run, link, i);
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

static void mark_sent(const struct run *run, struct link *link, size_t n) {
    while (link->unsent != link->tail) {
        const struct in_flight *request = entry(run, link, link->unsent);
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

static void send_queued(struct run *run, struct link *link) {
    struct iovec iov[MAX_IOV];
    while (link->unsent != link->tail) {
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = (size_t)gather(run, link, iov);
        ssize_t n = sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            fail(run, "send: %s", strerror(errno));
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
static bool has_room(const struct run *run, const struct link *link) {
    bool one = link->reads && run->options->mode == PL_LOAD_END_TO_END;
    return link->tail - link->head < (one ? 1U : (uint32_t)run->options->depth);
}

static void queue_produce(struct run *run, struct link *link, int32_t records) {
    struct in_flight *request = entry(run, link, link->tail);
    request->batch = pl_payloads_batch(run->payloads, records, &request->batch_length);
    if (request->batch == NULL) {
        fail(run, "out of memory for a batch of %d records", records);
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
}

static void queue_fetch(struct run *run, struct link *link) {
    struct in_flight *request = entry(run, link, link->tail);
    request->batch_length = 0;
    request->begin_ns = run->now_ns;
    request->correlation_id = link->next_correlation_id++;
    request->header_length =
        pl_request_fetch(run->options, request->correlation_id, link->partition, link->offset,
                         FETCH_WAIT_MS, request->header);
    link->tail++;
}

/* The producers' arrivals interleave evenly: each starts a little after the one before it. */
static uint64_t phase_ns(const struct run *run, const struct link *link) {
    return run->start_ns + (uint64_t)(link->index / (run->per_link_per_ns *
                                                     (double)run->options->connections));
}

static int64_t due_records(const struct run *run, const struct link *link, uint64_t at_ns) {
    uint64_t from_ns = phase_ns(run, link);
    return at_ns <= from_ns ? 0 : (int64_t)((double)(at_ns - from_ns) * run->per_link_per_ns);
}

static uint64_t arrival_ns(const struct run *run, const struct link *link, int64_t number) {
    return phase_ns(run, link) + (uint64_t)((double)(number + 1) / run->per_link_per_ns);
}

/* Open loop: sends what is due. Returns when this connection must be looked at again. */
static uint64_t pump_open(struct run *run, struct link *link) {
    const struct pl_load_options *options = run->options;
    const uint64_t linger_ns = (uint64_t)(options->linger_ms * NS_PER_MS);
    while (!run->failed && has_room(run, link)) {
        int64_t waiting = due_records(run, link, run->now_ns) - link->taken;
        bool full = waiting >= options->batch_records;
        uint64_t ripe_ns = arrival_ns(run, link, link->taken) + linger_ns;
        if (!full && (waiting < 1 || ripe_ns > run->now_ns)) {
            send_queued(run, link);
            uint64_t full_ns = arrival_ns(run, link, link->taken + options->batch_records - 1);
            return full_ns < ripe_ns ? full_ns : ripe_ns;
        }
        queue_produce(run, link, full ? options->batch_records : (int32_t)waiting);
    }
    send_queued(run, link);
    return UINT64_MAX; /* its next answer makes room */
}

static void pump(struct run *run, struct link *link) {
    if (link->reads) {
        while (has_room(run, link)) {
            queue_fetch(run, link);
        }
        send_queued(run, link);
    } else if (run->options->records_per_s > 0) {
        pump_open(run, link);
    } else {
        while (!run->failed && has_room(run, link)) {
            queue_produce(run, link, run->options->batch_records);
        }
        send_queued(run, link);
    }
}

/* ---- answers ---- */

static void add_records(struct run *run, uint64_t records, size_t answer_bytes, size_t sent_bytes) {
    if (!measuring(run)) {
        return;
    }
    run->result->requests++;
    run->result->records += records;
    run->result->payload_bytes += records * (uint64_t)run->options->record_bytes;
    run->result->wire_bytes += sent_bytes + answer_bytes;
}

static void add_arrivals(struct run *run, const struct link *link, int64_t first, int64_t count) {
    if (!measuring(run)) {
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        uint64_t due_ns = arrival_ns(run, link, first + i);
        pl_histogram_add(&run->latencies, run->now_ns > due_ns ? run->now_ns - due_ns : 0);
    }
}

static void take_produce(struct run *run, const struct link *link, const struct in_flight *request,
                         size_t length) {
    if (run->options->mode == PL_LOAD_PRODUCE) {
        add_records(run, (uint64_t)request->records, length,
                    request->header_length + request->batch_length);
        if (run->options->records_per_s > 0) {
            add_arrivals(run, link, request->first_arrival, request->records);
        } else if (measuring(run)) {
            pl_histogram_add(&run->latencies, run->now_ns - request->begin_ns);
        }
    }
}

static void take_fetch(struct run *run, struct link *link, const struct in_flight *request,
                       size_t length, const struct pl_answer *answer) {
    bool end_to_end = run->options->mode == PL_LOAD_END_TO_END;
    if (answer->next_offset >= 0) {
        /* A batch may begin below the offset that was asked for. */
        int64_t fresh = answer->next_offset - link->offset;
        add_records(run, (uint64_t)fresh, length, request->header_length);
        if (end_to_end) {
            add_arrivals(run, link, link->received, fresh);
            link->received += fresh;
        } else if (measuring(run)) {
            pl_histogram_add(&run->latencies, run->now_ns - request->begin_ns);
        }
        link->offset = answer->next_offset;
    } else if (!end_to_end) {
        link->offset = answer->start_offset; /* the end: from the start again */
    }
}

static void take_answer(struct run *run, struct link *link, const uint8_t *bytes, size_t length) {
    struct in_flight *request = entry(run, link, link->head);
    struct pl_answer answer;
    enum pl_err err = link->reads ? pl_answer_fetch(bytes, length, &answer)
                                  : pl_answer_produce(bytes, length, &answer);
    if (err != PL_OK || link->head == link->tail ||
        answer.correlation_id != request->correlation_id) {
        fail(run, "an answer of %zu bytes is not the one expected", length);
        return;
    }
    if (answer.error != 0) {
        run->result->error_code = answer.error;
        fail(run, "the broker answered with error code %d", answer.error);
        return;
    }
    if (link->reads) {
        take_fetch(run, link, request, length, &answer);
    } else {
        take_produce(run, link, request, length);
    }
    link->head++;
}

static size_t frame_length(const uint8_t *bytes) {
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

static bool grow(struct run *run, struct link *link, size_t wanted) {
    if (wanted <= link->in_capacity) {
        return true;
    }
    uint8_t *in = wanted > (1U << 30) ? NULL : realloc(link->in, wanted);
    if (in == NULL) {
        fail(run, "an answer of %zu bytes is too large", wanted);
        return false;
    }
    link->in = in;
    link->in_capacity = wanted;
    return true;
}

static void cut_answers(struct run *run, struct link *link) {
    size_t at = 0;
    while (!run->failed && link->in_length - at >= 4) {
        size_t length = frame_length(link->in + at);
        if (!grow(run, link, length + 4)) {
            return;
        }
        if (link->in_length - at < length + 4) {
            break;
        }
        take_answer(run, link, link->in + at + 4, length);
        at += length + 4;
    }
    memmove(link->in, link->in + at, link->in_length - at);
    link->in_length -= at;
}

static void receive(struct run *run, struct link *link) {
    ssize_t n = recv(link->fd, link->in + link->in_length, link->in_capacity - link->in_length,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        fail(run, "the broker closed a connection: %s", n == 0 ? "end of stream" : strerror(errno));
        return;
    }
    link->in_length += (size_t)n;
    run->now_ns = now_ns();
    cut_answers(run, link);
}

/* ---- the run ---- */

static uint64_t pump_all_open(struct run *run) {
    uint64_t next_ns = UINT64_MAX;
    for (int i = 0; i < run->count && !run->failed; i++) {
        if (!run->links[i].reads) {
            uint64_t at = pump_open(run, &run->links[i]);
            next_ns = at < next_ns ? at : next_ns;
        }
    }
    return next_ns;
}

static void set_timer(const struct run *run, uint64_t at_ns) {
    at_ns = at_ns < run->until_ns ? at_ns : run->until_ns;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S),
                                           .tv_nsec = (long)(at_ns % NS_PER_S)}};
    timerfd_settime(run->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void turn(struct run *run) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(run->epoll, events, MAX_EVENTS, 1000);
    run->now_ns = now_ns();
    for (int i = 0; i < count && !run->failed; i++) {
        struct link *link = events[i].data.ptr;
        if (link == NULL) {
            uint64_t expirations;
            (void)!read(run->timer, &expirations, sizeof expirations);
            continue;
        }
        if (events[i].events & EPOLLOUT) {
            send_queued(run, link);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            receive(run, link);
            pump(run, link);
        }
    }
    if (run->options->records_per_s > 0 && !run->failed) {
        run->now_ns = now_ns();
        set_timer(run, pump_all_open(run));
    }
}

struct usage {
    double broker_cpu_s, own_cpu_s;
};

static struct usage usage_now(const struct run *run) {
    return (struct usage){.broker_cpu_s = pl_process_cpu_s(run->options->broker_pid),
                          .own_cpu_s = pl_process_own_cpu_s()};
}

static void loop(struct run *run) {
    const struct pl_load_options *options = run->options;
    run->start_ns = run->now_ns = now_ns();
    run->from_ns = run->start_ns + (uint64_t)(options->warmup_s * NS_PER_S);
    run->until_ns = run->from_ns + (uint64_t)(options->measure_s * NS_PER_S);
    for (int i = 0; i < run->count; i++) {
        pump(run, &run->links[i]);
    }
    if (options->records_per_s > 0) {
        set_timer(run, pump_all_open(run));
    }
    struct usage before = {0};
    bool begun = false;
    while (!run->failed && run->now_ns < run->until_ns) {
        turn(run);
        if (!begun && run->now_ns >= run->from_ns) {
            begun = true;
            before = usage_now(run);
            run->from_ns = run->now_ns;
        }
    }
    struct usage after = usage_now(run);
    run->result->seconds = (double)(run->now_ns - run->from_ns) / NS_PER_S;
    run->result->broker_cpu_s = after.broker_cpu_s - before.broker_cpu_s;
    run->result->own_cpu_s = after.own_cpu_s - before.own_cpu_s;
    run->result->broker_rss_bytes = pl_process_rss_bytes(options->broker_pid);
}

static void summarise(struct run *run) {
    const struct pl_histogram *latencies = &run->latencies;
    run->result->mean_ns = pl_histogram_mean(latencies);
    run->result->p50_ns = pl_histogram_quantile(latencies, 0.5);
    run->result->p90_ns = pl_histogram_quantile(latencies, 0.9);
    run->result->p99_ns = pl_histogram_quantile(latencies, 0.99);
    run->result->p999_ns = pl_histogram_quantile(latencies, 0.999);
    run->result->max_ns = latencies->max;
    for (int i = 0; run->options->records_per_s > 0 && i < run->count; i++) {
        const struct link *link = &run->links[i];
        int64_t behind = link->reads ? 0 : due_records(run, link, run->until_ns) - link->taken;
        run->result->behind_records += behind > 0 ? (uint64_t)behind : 0;
    }
}

/* End to end: each consumer starts where its partition ends now. */
static bool seek_to_end(struct run *run, struct link *link) {
    link->offset = 0;
    for (;;) {
        struct in_flight probe;
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
    fail(run, "partition %d cannot be read to its end", link->partition);
    return false;
}

static bool open_links(struct run *run) {
    const struct pl_load_options *options = run->options;
    bool pairs = options->mode == PL_LOAD_END_TO_END;
    run->count = options->connections * (pairs ? 2 : 1);
    run->links = calloc((size_t)run->count, sizeof *run->links);
    if (run->links == NULL) {
        run->count = 0;
        fail(run, "out of memory");
        return false;
    }
    for (int i = 0; i < run->count; i++) {
        run->links[i].fd = -1;
    }
    for (int i = 0; i < run->count; i++) {
        struct link *link = &run->links[i];
        link->reads = options->mode == PL_LOAD_FETCH || (pairs && i >= options->connections);
        if (!open_link(run, link, i % options->connections) ||
            (pairs && link->reads && !seek_to_end(run, link))) {
            return false;
        }
    }
    return true;
}

static const char *check_options(const struct pl_load_options *options) {
    if (options->connections < 1 || options->partitions < 1 || options->batch_records < 1 ||
        options->record_bytes < 0 || options->fetch_bytes < 1) {
        return "connections, partitions, records and bytes must be positive";
    }
    if (options->depth < 1 || options->depth > MAX_DEPTH) {
        return "depth must lie between 1 and 256";
    }
    if (options->acks != 1 && options->acks != -1) {
        return "acks must be 1 or -1: without an answer there is nothing to measure";
    }
    if (options->mode == PL_LOAD_END_TO_END &&
        (options->records_per_s <= 0 || options->connections > options->partitions)) {
        return "end to end needs a rate and a partition for each connection";
    }
    return NULL;
}

static void execute(struct run *run) {
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (run->epoll < 0 || run->timer < 0 ||
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->timer, &event) != 0) {
        fail(run, "epoll: %s", strerror(errno));
    } else if (pl_payloads_create(run->options, &run->payloads) != PL_OK) {
        fail(run, "cannot encode the records");
    } else if (open_links(run)) {
        run->per_link_per_ns =
            run->options->records_per_s / run->options->connections / (double)NS_PER_S;
        loop(run);
        summarise(run);
    }
    close_links(run);
    pl_payloads_destroy(run->payloads);
    close(run->timer);
    close(run->epoll);
}

int pl_load_run(const struct pl_load_options *options, struct pl_load_result *result) {
    memset(result, 0, sizeof *result);
    const char *wrong = check_options(options);
    if (wrong != NULL) {
        snprintf(result->error, sizeof result->error, "%s", wrong);
        return -1;
    }
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        snprintf(result->error, sizeof result->error, "out of memory");
        return -1;
    }
    run->options = options;
    run->result = result;
    execute(run);
    int status = run->failed ? -1 : 0;
    free(run);
    return status;
}
