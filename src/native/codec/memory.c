#include "codec/memory.h"

#include <stdlib.h>

#include "base/limits.h"

enum { FIRST_CAPACITY = 4096 };

static enum pl_err resize(struct pl_memory *memory, size_t capacity) {
    uint8_t *bytes = realloc(memory->bytes, capacity);
    if (bytes == NULL) {
        return PL_ERR_MEMORY;
    }
    memory->bytes = bytes;
    memory->capacity = capacity;
    return PL_OK;
}

enum pl_err pl_memory_reserve(struct pl_memory *memory, size_t more) {
    size_t needed = memory->length + more;
    if (needed <= memory->capacity && memory->bytes != NULL) {
        return PL_OK;
    }
    size_t doubled = memory->capacity * 2;
    size_t capacity = doubled > FIRST_CAPACITY ? doubled : FIRST_CAPACITY;
    return resize(memory, needed > capacity ? needed : capacity);
}

enum pl_err pl_memory_extend(struct pl_memory *memory, size_t least, size_t max_length) {
    if (memory->length > max_length) {
        return PL_ERR_LIMIT;
    }
    size_t most = max_length - memory->length + 1;
    return pl_memory_reserve(memory, least < most ? least : most);
}

void pl_memory_clear(struct pl_memory *memory) {
    memory->length = 0;
    if (memory->capacity > PL_MAX_SCRATCH_KEPT_BYTES) {
        pl_memory_free(memory);
    }
}

void pl_memory_free(struct pl_memory *memory) {
    free(memory->bytes);
    *memory = (struct pl_memory){0};
}
