/* Where the newest record of each key is, as far as the memory goes: compaction keeps that one.
 *
 * Keys are known by 128 bits of SipHash under a key drawn at random, so that nobody can make two
 * of them meet (which would cost the older one its record).
 */
#ifndef PYLOG_LOG_CLEAN_MAP_H
#define PYLOG_LOG_CLEAN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pl_clean_slot {
    uint64_t hash[2];
    int64_t offset; /* -1: free */
};

struct pl_clean_map { /* owned by one clean */
    uint64_t seed[2];
    struct pl_clean_slot *slots; /* a power of two of them, or none */
    size_t slot_count, count;
    size_t max_slots, max_count;
};

/* Grows up to max_bytes, of which the part `load` (above 0, below 1) is used. */
PL_MUST_CHECK enum pl_err pl_clean_map_init(struct pl_clean_map *map, size_t max_bytes,
                                            double load);
void pl_clean_map_free(struct pl_clean_map *map);
/* What put and get know a key by. The slot is on its way to the processor afterwards: who hashes
 * some keys ahead does not wait for memory at each of them. */
void pl_clean_map_hash(const struct pl_clean_map *map, const uint8_t *key, size_t n,
                       uint64_t hash[2]);
/* The newest offset of a key. PL_ERR_LIMIT: full; nothing has changed. */
PL_MUST_CHECK enum pl_err pl_clean_map_put(struct pl_clean_map *map, const uint64_t hash[2],
                                           int64_t offset);
/* -1: the key is not there. */
int64_t pl_clean_map_get(const struct pl_clean_map *map, const uint64_t hash[2]);

/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012). */
void pl_siphash128(const uint64_t seed[2], const uint8_t *data, size_t n, uint64_t hash[2]);

#endif
