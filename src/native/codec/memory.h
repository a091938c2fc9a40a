/* Memory that grows: what compression and building write into. */
#ifndef PYLOG_CODEC_MEMORY_H
#define PYLOG_CODEC_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pl_memory { /* zeroed at first; freed by pl_memory_free */
    uint8_t *bytes;
    size_t length, capacity;
};

/* Makes room for `more` bytes after length, by doubling; more <= SIZE_MAX / 4. */
PL_MUST_CHECK enum pl_err pl_memory_reserve(struct pl_memory *memory, size_t more);
/* Makes some room for a decompressor: `least` bytes after length, more by doubling, fewer near the bound
 * (doubling). One byte above `max_length` is given, so that too much is noticed:
 * PL_ERR_LIMIT when length is above it. */
PL_MUST_CHECK enum pl_err pl_memory_extend(struct pl_memory *memory, size_t least,
                                           size_t max_length);
/* Empties it for the next use, and frees what is too large to keep for it. */
void pl_memory_clear(struct pl_memory *memory);
void pl_memory_free(struct pl_memory *memory);

#endif
