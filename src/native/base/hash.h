/* Hashes of names that clients choose: seeded, so that nobody can aim at one bucket. */
#ifndef PYLOG_BASE_HASH_H
#define PYLOG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pl_hash_mix(uint64_t a, uint64_t b) {
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t pl_hash_bytes(uint64_t seed, const void *data, size_t n) {
    const uint8_t *at = data;
    const uint64_t odd = 0x9e3779b97f4a7c15U; /* 2^64 divided by the golden ratio */
    uint64_t hash = pl_hash_mix(seed ^ n, odd);
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = pl_hash_mix(hash ^ word, odd);
    }
    uint64_t rest = 0;
    memcpy(&rest, at, n);
    return pl_hash_mix(hash ^ rest, odd);
}

#endif
