/* The load generator's histogram: quantiles within its error, whatever the values. */
#include "bench/histogram.h"
#include "check.h"

static struct pl_histogram histogram;

static void empty_has_no_quantile(void) {
    pl_histogram_clear(&histogram);
    CHECK(pl_histogram_quantile(&histogram, 0.5) == 0);
    CHECK(pl_histogram_mean(&histogram) == 0);
}

static void small_values_are_exact(void) {
    pl_histogram_clear(&histogram);
    for (uint64_t value = 1; value <= 100; value++) {
        pl_histogram_add(&histogram, value);
    }
    CHECK(pl_histogram_quantile(&histogram, 0.5) == 50);
    CHECK(pl_histogram_quantile(&histogram, 0.99) == 99);
    CHECK(pl_histogram_quantile(&histogram, 1) == 100);
    CHECK(histogram.max == 100);
}

static void large_values_are_within_one_percent(void) {
    for (unsigned shift = 7; shift < 63; shift++) {
        uint64_t value = (1ULL << shift) + (1ULL << shift) / 3;
        pl_histogram_clear(&histogram);
        pl_histogram_add(&histogram, value);
        pl_histogram_add(&histogram, UINT64_MAX >> 1);
        uint64_t found = pl_histogram_quantile(&histogram, 0.5);
        uint64_t error = found > value ? found - value : value - found;
        CHECK(error <= value / 100);
    }
}

int main(void) {
    RUN(empty_has_no_quantile);
    RUN(small_values_are_exact);
    RUN(large_values_are_within_one_percent);
    return check_end();
}
