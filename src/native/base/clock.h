/* Time as a function table: a test steps it. */
#ifndef PYLOG_BASE_CLOCK_H
#define PYLOG_BASE_CLOCK_H

#include <stdint.h>

struct pl_clock {
    void *context;
    int64_t (*wall_ms)(void *context);      /* since the Unix epoch; may jump */
    uint64_t (*monotonic_ns)(void *context); /* never goes back */
};

extern const struct pl_clock pl_clock_real;

#endif
