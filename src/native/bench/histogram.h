/* Latencies in nanoseconds with a relative error below 1 %, in constant memory.
 *
 * Values below 2^7 have a bucket each; above, every power of two is split into 2^7 buckets.
 */
#ifndef PYLOG_BENCH_HISTOGRAM_H
#define PYLOG_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    PL_HISTOGRAM_STEP_BITS = 7,
    PL_HISTOGRAM_BUCKETS = (64 - PL_HISTOGRAM_STEP_BITS + 1) << PL_HISTOGRAM_STEP_BITS,
};

struct pl_histogram {
    uint64_t counts[PL_HISTOGRAM_BUCKETS];
    uint64_t count, max;
    double sum;
};

void pl_histogram_clear(struct pl_histogram *histogram);
void pl_histogram_add(struct pl_histogram *histogram, uint64_t value_ns);
/* The least bucket's middle that `quantile` (0 … 1) of the values do not exceed; 0 when empty. */
uint64_t pl_histogram_quantile(const struct pl_histogram *histogram, double quantile);
double pl_histogram_mean(const struct pl_histogram *histogram);

#endif
