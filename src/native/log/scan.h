/* Walks the batches of a segment file. Reads in blocks; of batches whose records nobody asks for
 * little more than the header is read.
 */
#ifndef PYLOG_LOG_SCAN_H
#define PYLOG_LOG_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"
#include "pylog/codec.h"

enum { PL_SCAN_SMALL_BYTES = 4096, PL_SCAN_BLOCK_BYTES = 256 * 1024 };

struct pl_scan { /* one open/close pair */
    const struct pl_fs *fs;
    int fd;
    uint64_t next, end;            /* position of the next batch; end of the bytes */
    uint64_t position;             /* of the batch given last */
    struct pl_batch_header header; /* of it */
    uint8_t *buffer;
    size_t room;
    bool owned; /* the buffer came from malloc */
    uint64_t filled_at;
    size_t filled;
};

/* `buffer` of `room` >= PL_BATCH_HEADER_BYTES is the caller's; it is replaced when a batch does
 * not fit and its bytes are asked for. */
void pl_scan_open(struct pl_scan *scan, const struct pl_fs *fs, int fd, uint64_t from, uint64_t end,
                  void *buffer, size_t room);
void pl_scan_close(struct pl_scan *scan);

/* Sets scan->header and position. PL_ERR_NOT_FOUND at the end; PL_ERR_CORRUPT when what follows
 * is no header or reaches beyond the end; PL_ERR_UNSUPPORTED for what looks like a message of magic
 * 0 or 1, its length known. */
PL_MUST_CHECK enum pl_err pl_scan_next(struct pl_scan *scan);
/* All bytes of the batch given last, valid until the next call. */
PL_MUST_CHECK enum pl_err pl_scan_bytes(struct pl_scan *scan, uint8_t **bytes);

#endif
