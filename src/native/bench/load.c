#include "bench/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/slices.h"
#include "bench/process.h"
#include "bench/run.h"

enum { MAX_DEPTH = 256, MAX_EVENTS = 256, MAX_SLEEP_MS = 1000 };

uint64_t pl_run_clock_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * PL_NS_PER_S + (uint64_t)time.tv_nsec;
}

void pl_run_fail(struct pl_run *run, const char *format, ...) {
    if (!run->failed) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(run->result->error, sizeof run->result->error, format, arguments);
        va_end(arguments);
    }
    run->failed = true;
}

bool pl_run_measuring(const struct pl_run *run) {
    return run->now_ns >= run->from_ns && run->now_ns < run->until_ns;
}

/* ---- requests ---- */

/* Sends what is due, a fetch as if it were one record. Returns when this connection must be looked
 * at again. */
static uint64_t send_due(struct pl_run *run, struct pl_link *link) {
    const struct pl_load_options *options = run->options;
    const int32_t batch = link->reads ? 1 : options->batch_records;
    const uint64_t linger_ns = (uint64_t)(options->linger_ms * PL_NS_PER_MS);
    while (!run->failed && pl_link_has_room(run, link)) {
        int64_t waiting = pl_schedule_due(run, link, run->now_ns) - link->taken;
        bool full = waiting >= batch;
        uint64_t ripe_ns = pl_schedule_arrival_ns(run, link, link->taken) + linger_ns;
        if (!full && (waiting < 1 || ripe_ns > run->now_ns)) {
            uint64_t full_ns = pl_schedule_arrival_ns(run, link, link->taken + batch - 1);
            pl_link_send(run, link);
            return full_ns < ripe_ns ? full_ns : ripe_ns;
        }
        if (link->reads) {
            pl_link_queue_fetch(run, link);
        } else {
            pl_link_queue_produce(run, link, full ? batch : (int32_t)waiting);
        }
    }
    pl_link_send(run, link);
    return UINT64_MAX; /* its next answer makes room */
}

/* Whether requests are sent when they are due, and not when there is room. */
static bool paced(const struct pl_run *run, const struct pl_link *link) {
    bool polls = link->reads && run->options->mode == PL_LOAD_END_TO_END;
    return run->options->records_per_s > 0 && !polls;
}

/* Puts into flight what the mode wants there. */
static void pump(struct pl_run *run, struct pl_link *link) {
    if (paced(run, link)) {
        pl_schedule_set(run, link, send_due(run, link));
        return;
    }
    while (!run->failed && pl_link_has_room(run, link)) {
        if (link->reads) {
            pl_link_queue_fetch(run, link);
        } else {
            pl_link_queue_produce(run, link, run->options->batch_records);
        }
    }
    pl_link_send(run, link);
}

static void pump_due(struct pl_run *run) {
    struct pl_link *link;
    while (!run->failed && (link = pl_schedule_first(run)) != NULL) {
        pump(run, link);
        /* Rounding may leave a time that has just passed: the next turn takes it. */
        if (link->place >= 0 && link->next_ns <= run->now_ns) {
            pl_schedule_set(run, link, run->now_ns + 1);
        }
    }
}

/* ---- the loop ---- */

static void set_timer(struct pl_run *run) {
    uint64_t at_ns = pl_schedule_next_ns(run);
    at_ns = at_ns < run->until_ns ? at_ns : run->until_ns;
    if (at_ns == run->timer_ns) {
        return;
    }
    run->timer_ns = at_ns;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(at_ns / PL_NS_PER_S),
                                           .tv_nsec = (long)(at_ns % PL_NS_PER_S)}};
    timerfd_settime(run->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void take_timer(struct pl_run *run) {
    uint64_t expirations;
    (void)!read(run->timer, &expirations, sizeof expirations);
    run->timer_ns = 0;
}

static void take_event(struct pl_run *run, const struct epoll_event *event) {
    struct pl_link *link = event->data.ptr;
    if (link == NULL) {
        take_timer(run);
        return;
    }
    if (event->events & EPOLLOUT) {
        pl_link_send(run, link);
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        pl_link_receive(run, link);
        pump(run, link);
    }
}

static void turn(struct pl_run *run) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(run->epoll, events, MAX_EVENTS, MAX_SLEEP_MS);
    run->now_ns = pl_run_clock_ns();
    for (int i = 0; i < count && !run->failed; i++) {
        take_event(run, &events[i]);
    }
    if (run->options->records_per_s > 0 && !run->failed) {
        run->now_ns = pl_run_clock_ns();
        pump_due(run);
        set_timer(run);
    }
}

static void begin(struct pl_run *run) {
    const struct pl_load_options *options = run->options;
    run->per_link_per_ns = options->records_per_s / options->connections / (double)PL_NS_PER_S;
    run->start_ns = run->now_ns = pl_run_clock_ns();
    run->from_ns = run->start_ns + (uint64_t)(options->warmup_s * PL_NS_PER_S);
    run->until_ns = run->from_ns + (uint64_t)(options->measure_s * PL_NS_PER_S);
    for (int i = 0; i < run->count; i++) {
        pump(run, &run->links[i]);
    }
    if (options->records_per_s > 0) {
        set_timer(run);
    }
}

struct usage {
    double broker_cpu_s, own_cpu_s;
};

static struct usage usage_now(const struct pl_run *run) {
    return (struct usage){.broker_cpu_s = pl_process_cpu_s(run->options->broker_pid),
                          .own_cpu_s = pl_process_own_cpu_s()};
}

static void loop(struct pl_run *run) {
    struct usage before = {0};
    bool begun = false;
    begin(run);
    while (!run->failed && run->now_ns < run->until_ns) {
        turn(run);
        if (!begun && run->now_ns >= run->from_ns) {
            begun = true;
            before = usage_now(run);
            run->from_ns = run->now_ns;
        }
    }
    struct usage after = usage_now(run);
    struct pl_load_result *result = run->result;
    result->seconds = (double)(run->now_ns - run->from_ns) / PL_NS_PER_S;
    result->broker_cpu_s = after.broker_cpu_s - before.broker_cpu_s;
    result->own_cpu_s = after.own_cpu_s - before.own_cpu_s;
    result->broker_rss_bytes = pl_process_rss_bytes(run->options->broker_pid);
}

/* ---- the result ---- */

/* Those whose requests count: end to end, the consumers. */
static bool counts(const struct pl_run *run, const struct pl_link *link) {
    return link->reads || run->options->mode != PL_LOAD_END_TO_END;
}

static void summarise_links(struct pl_run *run) {
    struct pl_load_result *result = run->result;
    result->least_requests = UINT64_MAX;
    for (int i = 0; i < run->count; i++) {
        const struct pl_link *link = &run->links[i];
        if (counts(run, link)) {
            uint64_t n = link->counted;
            result->least_requests = n < result->least_requests ? n : result->least_requests;
            result->most_requests = n > result->most_requests ? n : result->most_requests;
        }
        if (paced(run, link)) {
            int64_t behind = pl_schedule_due(run, link, run->until_ns) - link->taken;
            result->behind_records += behind > 0 ? (uint64_t)behind : 0;
        }
    }
}

static void summarise(struct pl_run *run) {
    const struct pl_histogram *latencies = &run->latencies;
    struct pl_load_result *result = run->result;
    result->mean_ns = pl_histogram_mean(latencies);
    result->p50_ns = pl_histogram_quantile(latencies, 0.5);
    result->p90_ns = pl_histogram_quantile(latencies, 0.9);
    result->p99_ns = pl_histogram_quantile(latencies, 0.99);
    result->p999_ns = pl_histogram_quantile(latencies, 0.999);
    result->max_ns = latencies->max;
    summarise_links(run);
}

/* ---- a run ---- */

static bool create_links(struct pl_run *run) {
    bool pairs = run->options->mode == PL_LOAD_END_TO_END;
    int count = run->options->connections * (pairs ? 2 : 1);
    run->links = calloc((size_t)count, sizeof *run->links);
    run->schedule = calloc((size_t)count, sizeof *run->schedule);
    if (run->links == NULL || run->schedule == NULL) {
        pl_run_fail(run, "out of memory for %d connections", count);
        return false;
    }
    run->count = count;
    for (int i = 0; i < count; i++) {
        run->links[i].fd = -1;
    }
    return true;
}

static bool open_links(struct pl_run *run) {
    const struct pl_load_options *options = run->options;
    bool pairs = options->mode == PL_LOAD_END_TO_END;
    if (!create_links(run)) {
        return false;
    }
    for (int i = 0; i < run->count; i++) {
        struct pl_link *link = &run->links[i];
        link->reads = options->mode == PL_LOAD_FETCH || (pairs && i >= options->connections);
        if (!pl_link_open(run, link, i % options->connections) ||
            (pairs && link->reads && !pl_link_seek_to_end(run, link))) {
            return false;
        }
    }
    return true;
}

static void close_links(struct pl_run *run) {
    for (int i = 0; i < run->count; i++) {
        pl_link_close(&run->links[i]);
    }
    free(run->links);
    free(run->schedule);
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
    if (options->mode == PL_LOAD_END_TO_END && options->raw) {
        return "end to end needs a broker";
    }
    return NULL;
}

static void execute(struct pl_run *run) {
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (run->epoll < 0 || run->timer < 0 ||
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->timer, &event) != 0) {
        pl_run_fail(run, "epoll: %s", strerror(errno));
    } else if (pl_payloads_create(run->options, &run->payloads) != PL_OK) {
        pl_run_fail(run, "cannot encode the records");
    } else if (open_links(run)) {
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
    struct pl_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        snprintf(result->error, sizeof result->error, "out of memory");
        return -1;
    }
    run->options = options;
    run->result = result;
    pl_take_short_slices();
    execute(run);
    int status = run->failed ? -1 : 0;
    free(run);
    return status;
}
