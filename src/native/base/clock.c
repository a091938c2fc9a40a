#include "base/clock.h"

#include <time.h>

/* clock_gettime of these two clocks cannot fail on Linux (clock_gettime(2)). */
static int64_t real_wall_ms(void *context) {
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t real_monotonic_ns(void *context) {
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const struct pl_clock pl_clock_real = {
    .context = NULL,
    .wall_ms = real_wall_ms,
    .monotonic_ns = real_monotonic_ns,
};
