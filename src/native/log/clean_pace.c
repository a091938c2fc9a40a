#include "log/clean_pace.h"

#include <math.h>

static const double NS_PER_SECOND = 1e9;
static const double LONGEST_NS = 3600 * 1e9; /* what a rate near zero comes to */

void pl_clean_pace_open(struct pl_clean_pace *pace) {
    *pace = (struct pl_clean_pace){.bytes_per_second = INFINITY};
    pthread_mutex_init(&pace->mutex, NULL);
}

void pl_clean_pace_close(struct pl_clean_pace *pace) {
    pthread_mutex_destroy(&pace->mutex);
}

void pl_clean_pace_set(struct pl_clean_pace *pace, double bytes_per_second) {
    pthread_mutex_lock(&pace->mutex);
    pace->bytes_per_second = bytes_per_second;
    pace->free_ns = 0; /* what was owed at the rate of before is forgiven */
    pthread_mutex_unlock(&pace->mutex);
}

uint64_t pl_clean_pace_take(struct pl_clean_pace *pace, size_t bytes, uint64_t now_ns) {
    pthread_mutex_lock(&pace->mutex);
    uint64_t start_ns = pace->free_ns > now_ns ? pace->free_ns : now_ns;
    double cost_ns = (double)bytes * NS_PER_SECOND / pace->bytes_per_second;
    pace->free_ns = start_ns + (uint64_t)(cost_ns < LONGEST_NS ? cost_ns : LONGEST_NS);
    pthread_mutex_unlock(&pace->mutex);
    return start_ns;
}
