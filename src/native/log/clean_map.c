#include "log/clean_map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/bytes.h"

enum { FIRST_SLOTS = 1024 };

/* ---- SipHash ---- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

static void sip_rounds(struct sip *s, int rounds) {
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void sip_word(struct sip *s, uint64_t word) {
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static uint64_t little_endian(const uint8_t *bytes, size_t n) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

void pl_siphash128(const uint64_t seed[2], const uint8_t *data, size_t n, uint64_t hash[2]) {
    struct sip s = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = n - n % 8;
    for (size_t at = 0; at < whole; at += 8) {
        sip_word(&s, little_endian(data + at, 8));
    }
    sip_word(&s, little_endian(data + whole, n - whole) | (uint64_t)n << 56);
    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    hash[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    hash[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* ---- the map ---- */

enum pl_err pl_clean_map_init(struct pl_clean_map *map, size_t max_bytes, double load) {
    *map = (struct pl_clean_map){.max_slots = FIRST_SLOTS};
    while (map->max_slots * 2 * sizeof(struct pl_clean_slot) <= max_bytes) {
        map->max_slots *= 2;
    }
    size_t most = map->max_slots / 16 * 15; /* a search ends at a free slot */
    size_t wanted = (size_t)((double)map->max_slots * load);
    map->max_count = wanted < most ? wanted : most;
    ssize_t got = getrandom(map->seed, sizeof map->seed, 0);
    return got == (ssize_t)sizeof map->seed ? PL_OK : PL_ERR_IO;
}

void pl_clean_map_free(struct pl_clean_map *map) {
    free(map->slots);
    map->slots = NULL;
    map->slot_count = map->count = 0;
}

static struct pl_clean_slot *find(const struct pl_clean_map *map, const uint64_t hash[2]) {
    for (size_t i = hash[0] & (map->slot_count - 1);; i = (i + 1) & (map->slot_count - 1)) {
        struct pl_clean_slot *slot = &map->slots[i];
        if (slot->offset < 0 || (slot->hash[0] == hash[0] && slot->hash[1] == hash[1])) {
            return slot;
        }
    }
}

static enum pl_err grow(struct pl_clean_map *map) {
    struct pl_clean_map larger = *map;
    larger.slot_count = map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2;
    larger.slots = malloc(larger.slot_count * sizeof *larger.slots);
    if (larger.slots == NULL) {
        return PL_ERR_LIMIT;
    }
    for (size_t i = 0; i < larger.slot_count; i++) {
        larger.slots[i].offset = -1;
    }
    for (size_t i = 0; i < map->slot_count; i++) {
        if (map->slots[i].offset >= 0) {
            *find(&larger, map->slots[i].hash) = map->slots[i];
        }
    }
    free(map->slots);
    *map = larger;
    return PL_OK;
}

static bool is_full(const struct pl_clean_map *map) {
    if (map->slot_count == map->max_slots) {
        return map->count >= map->max_count;
    }
    return map->count >= map->slot_count / 4 * 3;
}

void pl_clean_map_hash(const struct pl_clean_map *map, const uint8_t *key, size_t n,
                       uint64_t hash[2]) {
    pl_siphash128(map->seed, key, n, hash);
    if (map->slot_count > 0) {
        __builtin_prefetch(&map->slots[hash[0] & (map->slot_count - 1)]);
    }
}

enum pl_err pl_clean_map_put(struct pl_clean_map *map, const uint64_t hash[2], int64_t offset) {
    if (is_full(map) && map->slot_count < map->max_slots) {
        enum pl_err err = grow(map);
        if (err != PL_OK) {
            return err;
        }
    }
    struct pl_clean_slot *slot = find(map, hash);
    if (slot->offset < 0) {
        if (is_full(map)) {
            return PL_ERR_LIMIT;
        }
        map->count++;
    }
    *slot = (struct pl_clean_slot){{hash[0], hash[1]}, offset};
    return PL_OK;
}

int64_t pl_clean_map_get(const struct pl_clean_map *map, const uint64_t hash[2]) {
    return map->slot_count == 0 ? -1 : find(map, hash)->offset;
}
