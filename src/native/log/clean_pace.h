/* The bytes a second that compaction may read and write, for all cleans together
 * (log.cleaner.io.max.bytes.per.second).
 */
#ifndef PYLOG_LOG_CLEAN_PACE_H
#define PYLOG_LOG_CLEAN_PACE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct pl_clean_pace { /* any thread; outlives the cleans that use it */
    pthread_mutex_t mutex;
    double bytes_per_second; /* INFINITY: as fast as it goes */
    uint64_t free_ns;        /* monotonic: when what was taken so far is paid for */
};

void pl_clean_pace_open(struct pl_clean_pace *pace);
void pl_clean_pace_close(struct pl_clean_pace *pace);
/* Holds for what is taken afterwards. */
void pl_clean_pace_set(struct pl_clean_pace *pace, double bytes_per_second);
/* Takes so many bytes; the caller goes on when the clock has reached the answer. */
uint64_t pl_clean_pace_take(struct pl_clean_pace *pace, size_t bytes, uint64_t now_ns);

#endif
