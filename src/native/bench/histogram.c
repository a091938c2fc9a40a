#include "bench/histogram.h"

#include <string.h>

static unsigned bucket_of(uint64_t value) {
    if (value < (1U << PL_HISTOGRAM_STEP_BITS)) {
        return (unsigned)value;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - PL_HISTOGRAM_STEP_BITS;
    return ((shift + 1) << PL_HISTOGRAM_STEP_BITS) +
           (unsigned)((value >> shift) - (1U << PL_HISTOGRAM_STEP_BITS));
}

static uint64_t middle_of(unsigned bucket) {
    if (bucket < (1U << PL_HISTOGRAM_STEP_BITS)) {
        return bucket;
    }
    unsigned shift = (bucket >> PL_HISTOGRAM_STEP_BITS) - 1;
    uint64_t step = bucket & ((1U << PL_HISTOGRAM_STEP_BITS) - 1);
    uint64_t least = (step + (1U << PL_HISTOGRAM_STEP_BITS)) << shift;
    return least + ((1ULL << shift) >> 1);
}

void pl_histogram_clear(struct pl_histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
}

void pl_histogram_add(struct pl_histogram *histogram, uint64_t value_ns) {
    histogram->counts[bucket_of(value_ns)]++;
    histogram->count++;
    histogram->sum += (double)value_ns;
    histogram->max = value_ns > histogram->max ? value_ns : histogram->max;
}

uint64_t pl_histogram_quantile(const struct pl_histogram *histogram, double quantile) {
    if (histogram->count == 0) {
        return 0;
    }
    double wanted = quantile * (double)histogram->count;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < PL_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (histogram->counts[bucket] > 0 && (double)seen >= wanted) {
            uint64_t value = middle_of(bucket);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

double pl_histogram_mean(const struct pl_histogram *histogram) {
    return histogram->count == 0 ? 0 : histogram->sum / (double)histogram->count;
}
