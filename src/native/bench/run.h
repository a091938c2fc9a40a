/* Inside of the load generator: a run and its connections, which one thread owns.
 *
 *   load.c      the options, the loop and the result
 *   link.c      a connection: its socket, requests in flight, frames in and out
 *   schedule.c  open loop: when records arrive at which connection
 *   answers.c   what an answer counts for
 */
#ifndef PYLOG_BENCH_RUN_H
#define PYLOG_BENCH_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/load.h"
#include "bench/request.h"

enum { PL_NS_PER_MS = 1000000, PL_NS_PER_S = 1000000000 };

struct pl_in_flight {
    uint64_t begin_ns;     /* closed loop: when queued */
    int64_t first_arrival; /* open loop: number of its first record on this connection */
    int64_t offset; /* fetch */
    int32_t records;
    int32_t correlation_id;
    uint8_t header[PL_REQUEST_HEADER_ROOM];
    size_t header_length;
    const uint8_t *batch;
    size_t batch_length;
};

struct pl_link { /* one connection; owned by the run */
    int fd;
    bool reads; /* a consumer */
    bool wants_write;
    int32_t index; /* of the producer; end to end: its consumer has the same */
    int32_t partition;
    struct pl_in_flight *ring; /* depth entries */
    uint32_t head, tail;       /* oldest unanswered, next free */
    uint32_t unsent;           /* first entry with unsent bytes */
    size_t sent;               /* bytes of it that are sent */
    int64_t taken;             /* open loop: records (fetches) that were put into requests */
    int64_t received;          /* end to end, consumer: records that arrived */
    int64_t offset;            /* fetch */
    uint64_t counted;          /* requests of the result */
    uint8_t *in;
    size_t in_length, in_capacity;
    int32_t next_correlation_id;
    uint64_t next_ns; /* open loop: when it is to be looked at; valid while it has a place */
    int place;        /* in the schedule, -1: none */
};

struct pl_run {
    const struct pl_load_options *options;
    struct pl_load_result *result;
    struct pl_payloads *payloads;
    struct pl_link *links;
    int count;
    int epoll, timer;
    uint64_t timer_ns;         /* what the timer is set to */
    struct pl_link **schedule; /* a heap by next_ns; room for every link */
    int scheduled;
    double per_link_per_ns; /* open loop: arrivals of one connection */
    uint64_t start_ns, from_ns, until_ns, now_ns;
    struct pl_histogram latencies;
    bool failed;
};

/* Ends the run with the first of the texts. */
void pl_run_fail(struct pl_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
uint64_t pl_run_clock_ns(void);
bool pl_run_measuring(const struct pl_run *run);
/* Counts the oldest request in flight of `link`, whose answer (without its length) this is. */
void pl_run_take_answer(struct pl_run *run, struct pl_link *link, const uint8_t *bytes,
                        size_t length);

/* ---- connections: each reports its errors with pl_run_fail ---- */

/* Fills a link that is zero but for `reads`; index: 0 … connections - 1. */
bool pl_link_open(struct pl_run *run, struct pl_link *link, int32_t index);
void pl_link_close(struct pl_link *link); /* also of one that was never or half opened */
struct pl_in_flight *pl_link_entry(const struct pl_run *run, const struct pl_link *link,
                                   uint32_t number);
bool pl_link_has_room(const struct pl_run *run, const struct pl_link *link);
void pl_link_queue_produce(struct pl_run *run, struct pl_link *link, int32_t records);
void pl_link_queue_fetch(struct pl_run *run, struct pl_link *link);
void pl_link_send(struct pl_run *run, struct pl_link *link);
void pl_link_receive(struct pl_run *run, struct pl_link *link); /* takes every whole answer */
/* The consumer of an end-to-end pair starts where its partition ends now. */
bool pl_link_seek_to_end(struct pl_run *run, struct pl_link *link);

/* ---- the open loop ---- */

int64_t pl_schedule_due(const struct pl_run *run, const struct pl_link *link, uint64_t at_ns);
uint64_t pl_schedule_arrival_ns(const struct pl_run *run, const struct pl_link *link,
                                int64_t number);
/* UINT64_MAX: its next answer comes first. */
void pl_schedule_set(struct pl_run *run, struct pl_link *link, uint64_t at_ns);
/* The link that is due at run->now_ns, or NULL. */
struct pl_link *pl_schedule_first(const struct pl_run *run);
uint64_t pl_schedule_next_ns(const struct pl_run *run); /* UINT64_MAX: nothing to wait for */

#endif
