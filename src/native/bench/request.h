/* Requests of the load generator, encoded once: Produce v7 and Fetch v11 by topic name, which
 * every broker since Kafka 2.3 serves. */
#ifndef PYLOG_BENCH_REQUEST_H
#define PYLOG_BENCH_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bench/load.h"

enum { PL_REQUEST_HEADER_ROOM = 512 };

struct pl_payloads; /* record batches by their number of records, made when first needed */

PL_MUST_CHECK enum pl_err pl_payloads_create(const struct pl_load_options *options,
                                             struct pl_payloads **payloads);
void pl_payloads_destroy(struct pl_payloads *payloads);
/* The batch of `records` records; stays valid until destroy. NULL: out of memory. */
const uint8_t *pl_payloads_batch(struct pl_payloads *payloads, int32_t records, size_t *length);

/* Everything before the batch, length prefix included; returns its length. */
size_t pl_request_produce(const struct pl_load_options *options, int32_t correlation_id,
                          int32_t partition, size_t batch_length, uint8_t *header);
/* The whole request. */
size_t pl_request_fetch(const struct pl_load_options *options, int32_t correlation_id,
                        int32_t partition, int64_t offset, int32_t max_wait_ms, uint8_t *header);

struct pl_answer {
    int32_t correlation_id;
    int16_t error;
    int64_t next_offset; /* fetch: after the last whole batch; -1: none came */
    int64_t start_offset, high_watermark; /* fetch */
};
/* `bytes` is an answer without its length prefix. */
PL_MUST_CHECK enum pl_err pl_answer_produce(const uint8_t *bytes, size_t length,
                                            struct pl_answer *answer);
PL_MUST_CHECK enum pl_err pl_answer_fetch(const uint8_t *bytes, size_t length,
                                          struct pl_answer *answer);
/* Of an answer that holds nothing but its correlation id: taken for one record at `offset`. */
PL_MUST_CHECK enum pl_err pl_answer_raw(const uint8_t *bytes, size_t length, int64_t offset,
                                        struct pl_answer *answer);

#endif
