/* MurmurHash2, 32 bits, little-endian blocks, with the seed of Kafka's partitioner. */
#include "pylog/codec.h"

#define SEED 0x9747b28cU
#define MIX 0x5bd1e995U

static uint32_t block_at(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t mix(uint32_t block) {
    block *= MIX;
    block ^= block >> 24;
    return block * MIX;
}

uint32_t pl_murmur2(const void *data, size_t n) {
    const uint8_t *at = data;
    uint32_t hash = SEED ^ (uint32_t)n;
    size_t left = n;
    for (; left >= 4; left -= 4, at += 4) {
        hash = (hash * MIX) ^ mix(block_at(at));
    }
    if (left > 0) {
        uint32_t tail = 0;
        for (size_t i = left; i > 0; i--) {
            tail = tail << 8 | at[i - 1];
        }
        hash = (hash ^ tail) * MIX;
    }
    hash ^= hash >> 13;
    hash *= MIX;
    return hash ^ (hash >> 15);
}
