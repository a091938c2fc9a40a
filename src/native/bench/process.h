/* What a process has used, from /proc. */
#ifndef PYLOG_BENCH_PROCESS_H
#define PYLOG_BENCH_PROCESS_H

#include <stdint.h>

double pl_process_cpu_s(int32_t pid);           /* user and system, all threads; 0 when pid is 0 */
double pl_process_own_cpu_s(void);
uint64_t pl_process_rss_bytes(int32_t pid);

#endif
