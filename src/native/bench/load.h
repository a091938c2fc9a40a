/* A load generator for any broker of the Kafka protocol: one thread, epoll, requests encoded once.
 *
 * Produce, closed loop (records_per_s 0): every connection keeps `depth` requests of exactly
 * `batch_records` records in flight; a latency is one request's, from its first byte queued to
 * its whole answer.
 * Produce, open loop: every connection is a producer to which records arrive at an even pace,
 * whatever the broker does. A batch is sent when it is full or its first record has waited
 * `linger_ms`, as long as fewer than `depth` are in flight. A latency is one record's, from
 * the time it was due to the answer: a stall counts for every record that was due in it
 * (no coordinated omission).
 * Where there are more partitions than producers, each writes to its share of them in turn.
 * Fetch: every connection walks one partition from its start to its end, again and again. Closed
 * loop as above; open loop, records_per_s are fetches, due and measured as records are above.
 * End to end: as produce in an open loop, and a second connection for each producer that reads
 * the same partition by long polls; a latency is from a record's due time to its arrival there.
 * Raw: of the answers of produce or fetch only the correlation id is looked at, and a fetch counts
 * for one record. So a server that answers any frame can be measured: the ceiling of the
 * generator and of the machine.
 */
#ifndef PYLOG_BENCH_LOAD_H
#define PYLOG_BENCH_LOAD_H

#include <stdint.h>

enum pl_load_mode { PL_LOAD_PRODUCE = 0, PL_LOAD_FETCH = 1, PL_LOAD_END_TO_END = 2 };

struct pl_load_options {
    const char *host;
    const char *topic; /* must exist; all its partitions led by this broker */
    int32_t port;
    int32_t partitions;
    int32_t mode;
    int32_t connections;
    int32_t depth;
    int32_t batch_records;
    int32_t record_bytes; /* of a value; there is no key */
    int32_t compression;  /* attribute bits: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
    int32_t acks;         /* 1 or -1 */
    int32_t fetch_bytes;  /* max_bytes of a fetch */
    double records_per_s; /* of all connections together (fetch: requests); 0: closed loop */
    double linger_ms;
    int32_t raw; /* 1: the target answers frames and is no broker */
    double warmup_s, measure_s;
    int32_t broker_pid; /* on this machine; 0: its CPU and memory are not measured */
};

struct pl_load_result {
    uint64_t requests, records, payload_bytes, wire_bytes; /* within the measured time */
    uint64_t least_requests, most_requests; /* of one connection: apart when one is starved */
    double seconds;
    double mean_ns;
    uint64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
    double broker_cpu_s, own_cpu_s; /* all threads of the broker; the thread that runs this */
    uint64_t broker_rss_bytes; /* at the end */
    uint64_t behind_records;   /* open loop: due but not sent when the time was over */
    int32_t error_code;        /* the first of Kafka's error codes in an answer; 0: none */
    char error[160];           /* what went wrong; empty: nothing */
};

/* Returns 0, or -1 with result->error set. Blocks for warm-up and measured time. The calling thread
 * has short slices of the processor from then on (base/slices.h): beside others that compute, it
 * would measure how long it waits for its own turn. */
int pl_load_run(const struct pl_load_options *options, struct pl_load_result *result);

#endif
