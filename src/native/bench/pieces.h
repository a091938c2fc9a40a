/* Pieces of the broker by themselves, for the benchmarks: each call does what the reactor does
 * for many requests, with the functions that the reactor calls, and nothing in between.
 */
#ifndef PYLOG_BENCH_PIECES_H
#define PYLOG_BENCH_PIECES_H

#include <stddef.h>
#include <stdint.h>

struct pl_piece_log; /* a log in a folder, with Kafka's default settings and no flush */

/* NULL: it cannot be opened. The folder may be there and empty. */
struct pl_piece_log *pl_piece_log_open(const char *folder);
void pl_piece_log_close(struct pl_piece_log *log);
/* `count` times the batch of one client: checks, offsets, and a write after each `per_write` of
 * them, as after a turn with so many requests. `copies` holds per_write copies of the batch, one
 * behind the other, and gets the offsets. Returns 0 or an enum pl_err. */
int pl_piece_log_append(struct pl_piece_log *log, uint8_t *copies, size_t length, int32_t count,
                        int32_t per_write);
/* One fetch for each of `offsets`: finds the batches and reads them into the buffer of max_bytes.
 * Returns the bytes read in all, or -1. */
int64_t pl_piece_log_read(struct pl_piece_log *log, const int64_t *offsets, int32_t count,
                          uint8_t *buffer, uint32_t max_bytes);

/* Cuts a stream of Produce requests into frames, reads their headers and bodies down to where the
 * records of each partition are. Returns how many partitions there were, or -1. */
int64_t pl_piece_produce_frames(uint8_t *stream, size_t length);

#endif
