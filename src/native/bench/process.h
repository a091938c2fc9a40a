/* What a process has used so far. */
#ifndef PYLOG_BENCH_PROCESS_H
#define PYLOG_BENCH_PROCESS_H

#include <stdint.h>

/* User and system time of all threads, those that have ended included; 0 when unknown. */
double pl_process_cpu_s(int32_t pid);
double pl_process_own_cpu_s(void); /* of the calling thread */
uint64_t pl_process_rss_bytes(int32_t pid);

#endif
