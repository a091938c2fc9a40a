/* Integers of Kafka's wire and disk formats in memory: big-endian fixed widths, and the varints
 * of Protocol Buffers (zigzag for the signed ones). No bounds are checked here: reading foreign
 * bytes goes through base/cursor.h.
 */
#ifndef PYLOG_BASE_BYTES_H
#define PYLOG_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PL_VARINT_MAX_BYTES = 5, PL_VARLONG_MAX_BYTES = 10 };

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PL_BE16(x) __builtin_bswap16(x)
#define PL_BE32(x) __builtin_bswap32(x)
#define PL_BE64(x) __builtin_bswap64(x)
#else
#define PL_BE16(x) (x)
#define PL_BE32(x) (x)
#define PL_BE64(x) (x)
#endif

static inline uint16_t pl_get_u16(const uint8_t *from) {
    uint16_t raw;
    memcpy(&raw, from, sizeof raw);
    return PL_BE16(raw);
}

static inline uint32_t pl_get_u32(const uint8_t *from) {
    uint32_t raw;
    memcpy(&raw, from, sizeof raw);
    return PL_BE32(raw);
}

static inline uint64_t pl_get_u64(const uint8_t *from) {
    uint64_t raw;
    memcpy(&raw, from, sizeof raw);
    return PL_BE64(raw);
}

static inline int16_t pl_get_i16(const uint8_t *from) { return (int16_t)pl_get_u16(from); }
static inline int32_t pl_get_i32(const uint8_t *from) { return (int32_t)pl_get_u32(from); }
static inline int64_t pl_get_i64(const uint8_t *from) { return (int64_t)pl_get_u64(from); }

static inline void pl_put_u16(uint8_t *to, uint16_t value) {
    uint16_t raw = PL_BE16(value);
    memcpy(to, &raw, sizeof raw);
}

static inline void pl_put_u32(uint8_t *to, uint32_t value) {
    uint32_t raw = PL_BE32(value);
    memcpy(to, &raw, sizeof raw);
}

static inline void pl_put_u64(uint8_t *to, uint64_t value) {
    uint64_t raw = PL_BE64(value);
    memcpy(to, &raw, sizeof raw);
}

static inline void pl_put_i16(uint8_t *to, int16_t value) { pl_put_u16(to, (uint16_t)value); }
static inline void pl_put_i32(uint8_t *to, int32_t value) { pl_put_u32(to, (uint32_t)value); }
static inline void pl_put_i64(uint8_t *to, int64_t value) { pl_put_u64(to, (uint64_t)value); }

static inline uint64_t pl_zigzag(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t pl_unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Seven bits a byte, the lowest first. Room: PL_VARLONG_MAX_BYTES. Returns the bytes written. */
static inline size_t pl_put_uvarlong(uint8_t *to, uint64_t value) {
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (uint8_t)value;
    return n;
}

/* Zigzag; the same bytes as the varint of 32 bits where the value fits one. */
static inline size_t pl_put_varlong(uint8_t *to, int64_t value) {
    return pl_put_uvarlong(to, pl_zigzag(value));
}

static inline size_t pl_uvarlong_size(uint64_t value) {
    size_t bits = 64U - (size_t)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

static inline size_t pl_varlong_size(int64_t value) { return pl_uvarlong_size(pl_zigzag(value)); }

#endif
