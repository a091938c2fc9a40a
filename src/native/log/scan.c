#include "log/scan.h"

#include <stdlib.h>
#include <string.h>

void pl_scan_open(struct pl_scan *scan, const struct pl_fs *fs, int fd, uint64_t from, uint64_t end,
                  void *buffer, size_t room) {
    *scan = (struct pl_scan){
        .fs = fs,
        .fd = fd,
        .next = from,
        .end = end,
        .buffer = buffer,
        .room = room,
    };
}

void pl_scan_close(struct pl_scan *scan) {
    if (scan->owned) {
        free(scan->buffer);
    }
    scan->buffer = NULL;
}

static bool buffered(const struct pl_scan *scan, uint64_t position, size_t n) {
    return position >= scan->filled_at && position - scan->filled_at <= scan->filled &&
           scan->filled - (size_t)(position - scan->filled_at) >= n;
}

/* Makes n <= room bytes from `position` on readable. */
static enum pl_err fill(struct pl_scan *scan, uint64_t position, size_t n) {
    if (buffered(scan, position, n)) {
        return PL_OK;
    }
    size_t kept = 0;
    if (buffered(scan, position, 0)) { /* the begin of it is there */
        size_t passed = (size_t)(position - scan->filled_at);
        kept = scan->filled - passed;
        memmove(scan->buffer, scan->buffer + passed, kept);
    }
    uint64_t left = scan->end - position;
    size_t wanted = left < scan->room ? (size_t)left : scan->room;
    size_t got = 0;
    scan->filled = 0;
    enum pl_err err = scan->fs->read_at(scan->fs->context, scan->fd, scan->buffer + kept,
                                        wanted - kept, position + kept, &got);
    if (err != PL_OK) {
        return err;
    }
    scan->filled_at = position;
    scan->filled = kept + got;
    return scan->filled >= n ? PL_OK : PL_ERR_CORRUPT;
}

static uint8_t *at(const struct pl_scan *scan, uint64_t position) {
    return scan->buffer + (size_t)(position - scan->filled_at);
}

enum pl_err pl_scan_next(struct pl_scan *scan) {
    if (scan->next >= scan->end) {
        return PL_ERR_NOT_FOUND;
    }
    uint64_t left = scan->end - scan->next;
    if (left < PL_BATCH_HEADER_BYTES) {
        return PL_ERR_CORRUPT;
    }
    enum pl_err err = fill(scan, scan->next, PL_BATCH_HEADER_BYTES);
    if (err != PL_OK) {
        return err;
    }
    err = pl_batch_header_parse(at(scan, scan->next), PL_BATCH_HEADER_BYTES, &scan->header);
    if (err != PL_OK && err != PL_ERR_UNSUPPORTED) {
        return err;
    }
    if (pl_batch_size(&scan->header) > left || scan->header.base_offset < 0 ||
        scan->header.last_offset_delta < 0 ||
        scan->header.base_offset > INT64_MAX - scan->header.last_offset_delta - 1) {
        return PL_ERR_CORRUPT;
    }
    scan->position = scan->next;
    scan->next += pl_batch_size(&scan->header);
    return err;
}

enum pl_err pl_scan_bytes(struct pl_scan *scan, uint8_t **bytes) {
    size_t n = pl_batch_size(&scan->header); /* at most what the file has left */
    if (n > scan->room) {
        uint8_t *larger = malloc(n);
        if (larger == NULL) {
            return PL_ERR_MEMORY;
        }
        pl_scan_close(scan);
        scan->buffer = larger;
        scan->room = n;
        scan->owned = true;
        scan->filled = 0;
    }
    enum pl_err err = fill(scan, scan->position, n);
    if (err != PL_OK) {
        return err;
    }
    *bytes = at(scan, scan->position);
    return PL_OK;
}
