#include "base/buf.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/limits.h"

enum {
    SMALLEST_LOG2 = 8, /* of the whole buffer, header included */
    LARGEST_LOG2 = 31,
    CLASSES = LARGEST_LOG2 - SMALLEST_LOG2 + 1,
    MAPPED_LOG2 = 17, /* from here on pages come from and go back to the system directly */
};

struct class_list {
    struct pl_buf *first;
    size_t count;
    size_t least; /* lowest count since the last trim: so many were not needed */
};

struct pl_pool { /* owned by the engine */
    struct class_list classes[CLASSES];
    size_t kept_bytes;
};

static size_t size_of_class(uint32_t size_class) {
    return (size_t)1 << (SMALLEST_LOG2 + size_class);
}

/* Least class that holds n bytes and the header; CLASSES when none does. */
static uint32_t class_for(size_t n) {
    if (n > size_of_class(CLASSES - 1) - sizeof(struct pl_buf)) {
        return CLASSES;
    }
    size_t whole = n + sizeof(struct pl_buf);
    if (whole <= (size_t)1 << SMALLEST_LOG2) {
        return 0;
    }
    return (uint32_t)(64 - __builtin_clzl(whole - 1)) - SMALLEST_LOG2;
}

static bool is_mapped(uint32_t size_class) {
    return size_class + SMALLEST_LOG2 >= MAPPED_LOG2;
}

static struct pl_buf *allocate(uint32_t size_class) {
    size_t size = size_of_class(size_class);
    if (!is_mapped(size_class)) {
        return malloc(size);
    }
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void deallocate(struct pl_buf *buf) {
    if (is_mapped(buf->size_class)) {
        munmap(buf, size_of_class(buf->size_class));
    } else {
        free(buf);
    }
}

enum pl_err pl_pool_create(struct pl_pool **pool) {
    *pool = calloc(1, sizeof **pool);
    return *pool == NULL ? PL_ERR_MEMORY : PL_OK;
}

static struct pl_buf *pop(struct pl_pool *pool, struct class_list *list) {
    struct pl_buf *buf = list->first;
    list->first = buf->next;
    list->count--;
    pool->kept_bytes -= size_of_class(buf->size_class);
    return buf;
}

void pl_pool_trim(struct pl_pool *pool) {
    for (size_t i = 0; i < CLASSES; i++) {
        struct class_list *list = &pool->classes[i];
        for (size_t n = list->least; n > 0; n--) {
            deallocate(pop(pool, list));
        }
        list->least = list->count;
    }
}

void pl_pool_destroy(struct pl_pool *pool) {
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < CLASSES; i++) {
        while (pool->classes[i].first != NULL) {
            deallocate(pop(pool, &pool->classes[i]));
        }
    }
    free(pool);
}

size_t pl_pool_bytes(const struct pl_pool *pool) {
    return pool->kept_bytes;
}

struct pl_buf *pl_buf_take(struct pl_pool *pool, size_t capacity) {
    uint32_t size_class = class_for(capacity);
    if (size_class == CLASSES) {
        return NULL;
    }
    struct class_list *list = &pool->classes[size_class];
    struct pl_buf *buf = NULL;
    if (list->first != NULL) {
        buf = pop(pool, list);
        list->least = list->count < list->least ? list->count : list->least;
    } else {
        buf = allocate(size_class);
        if (buf == NULL) {
            return NULL;
        }
        buf->size_class = size_class;
        buf->capacity = size_of_class(size_class) - sizeof *buf;
        buf->pool = pool;
    }
    buf->references = 1;
    buf->release = NULL;
    return buf;
}

void pl_buf_retain(struct pl_buf *buf) {
    buf->references++;
}

void pl_buf_give(struct pl_buf *buf) {
    assert(buf->references > 0);
    if (--buf->references > 0) {
        return;
    }
    struct pl_pool *pool = buf->pool;
    struct class_list *list = &pool->classes[buf->size_class];
    size_t size = size_of_class(buf->size_class);
    if (pool->kept_bytes + size > PL_MAX_POOLED_BYTES) {
        deallocate(buf);
        return;
    }
    buf->next = list->first;
    list->first = buf;
    list->count++;
    pool->kept_bytes += size;
}

static void give_node(void *owner) {
    pl_buf_give(owner);
}

void pl_chain_add_buf(struct pl_chain *chain, struct pl_buf *buf, size_t length) {
    assert(length <= buf->capacity);
    buf->node = (struct pl_chain_node){.kind = PL_CHAIN_MEMORY,
                                       .data = buf->bytes,
                                       .fd = -1,
                                       .length = length,
                                       .release = give_node,
                                       .owner = buf};
    pl_chain_append(chain, &buf->node);
}

static void give_file_node(void *owner) {
    struct pl_buf *buf = owner;
    if (buf->release != NULL) {
        buf->release(buf->owner);
    }
    pl_buf_give(buf);
}

enum pl_err pl_chain_add_file(struct pl_chain *chain, struct pl_pool *pool, int fd,
                              uint64_t position, size_t length, void (*release)(void *owner),
                              void *owner) {
    struct pl_buf *buf = pl_buf_take(pool, 0);
    if (buf == NULL) {
        return PL_ERR_MEMORY;
    }
    buf->release = release;
    buf->owner = owner;
    buf->node = (struct pl_chain_node){.kind = PL_CHAIN_FILE,
                                       .fd = fd,
                                       .position = position,
                                       .length = length,
                                       .release = give_file_node,
                                       .owner = buf};
    pl_chain_append(chain, &buf->node);
    return PL_OK;
}
