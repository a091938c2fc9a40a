/* Bounded reads of bytes that came from a socket or a disk.
 *
 *     struct pl_cursor c = pl_cursor_open(bytes, n);
 *     int32_t epoch = pl_cursor_i32(&c);
 *     struct pl_span topic = pl_cursor_string(&c);
 *     if (c.err != PL_OK) ...
 *
 * A read past the end, a length that cannot be and a varint that is too long set `err` and move
 * `pos` to `end`; every later read then answers zero or null. So a struct is read field by field
 * and `err` is looked at once, before any of it is used. Nothing is copied: spans point into the
 * bytes that the cursor was opened on.
 */
#ifndef PYLOG_BASE_CURSOR_H
#define PYLOG_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Named without their folder, so that these headers also work where they are installed. */
#include "bytes.h"
#include "err.h"
#include "limits.h"

struct pl_cursor {
    const uint8_t *pos, *end;
    enum pl_err err; /* PL_OK, or PL_ERR_INVALID from the first bad read on */
};

struct pl_span { /* data is NULL and length -1 for a null value; never owned */
    const uint8_t *data;
    int32_t length;
};

static inline struct pl_cursor pl_cursor_open(const uint8_t *bytes, size_t n) {
    struct pl_cursor c = {bytes, n == 0 ? bytes : bytes + n, PL_OK};
    return c;
}

static inline size_t pl_cursor_left(const struct pl_cursor *c) {
    return (size_t)(c->end - c->pos);
}

static inline void pl_cursor_fail(struct pl_cursor *c, enum pl_err err) {
    if (c->err == PL_OK) {
        c->err = err;
    }
    c->pos = c->end;
}

/* The next n bytes in place; NULL and an error when there are fewer. */
static inline const uint8_t *pl_cursor_take(struct pl_cursor *c, size_t n) {
    if (__builtin_expect(pl_cursor_left(c) < n, 0)) {
        pl_cursor_fail(c, PL_ERR_INVALID);
        return NULL;
    }
    const uint8_t *at = c->pos;
    c->pos = n == 0 ? at : at + n;
    return at;
}

static inline void pl_cursor_skip(struct pl_cursor *c, size_t n) { (void)pl_cursor_take(c, n); }

/* A cursor over the next n bytes, which this one passes. Its err starts as this one's. */
static inline struct pl_cursor pl_cursor_sub(struct pl_cursor *c, size_t n) {
    const uint8_t *at = pl_cursor_take(c, n);
    struct pl_cursor sub = {at, at == NULL || n == 0 ? at : at + n, c->err};
    return sub;
}

static inline uint8_t pl_cursor_u8(struct pl_cursor *c) {
    const uint8_t *at = pl_cursor_take(c, 1);
    return at == NULL ? 0 : *at;
}

static inline uint16_t pl_cursor_u16(struct pl_cursor *c) {
    const uint8_t *at = pl_cursor_take(c, 2);
    return at == NULL ? 0 : pl_get_u16(at);
}

static inline uint32_t pl_cursor_u32(struct pl_cursor *c) {
    const uint8_t *at = pl_cursor_take(c, 4);
    return at == NULL ? 0 : pl_get_u32(at);
}

static inline uint64_t pl_cursor_u64(struct pl_cursor *c) {
    const uint8_t *at = pl_cursor_take(c, 8);
    return at == NULL ? 0 : pl_get_u64(at);
}

static inline int8_t pl_cursor_i8(struct pl_cursor *c) { return (int8_t)pl_cursor_u8(c); }
static inline int16_t pl_cursor_i16(struct pl_cursor *c) { return (int16_t)pl_cursor_u16(c); }
static inline int32_t pl_cursor_i32(struct pl_cursor *c) { return (int32_t)pl_cursor_u32(c); }
static inline int64_t pl_cursor_i64(struct pl_cursor *c) { return (int64_t)pl_cursor_u64(c); }
static inline bool pl_cursor_bool(struct pl_cursor *c) { return pl_cursor_u8(c) != 0; }

/* A type 4 UUID: 16 bytes in place, NULL on error. */
static inline const uint8_t *pl_cursor_uuid(struct pl_cursor *c) { return pl_cursor_take(c, 16); }

/* ---- varints ---- */

static inline uint64_t pl_cursor_uvarlong_long(struct pl_cursor *c, int max_bytes, int max_bits) {
    uint64_t value = 0;
    for (int i = 0; i < max_bytes; i++) {
        if (c->pos == c->end) {
            break;
        }
        uint64_t byte = *c->pos++;
        int shift = 7 * i;
        if (max_bits - shift < 7 && byte >> (max_bits - shift) != 0) {
            break;
        }
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    pl_cursor_fail(c, PL_ERR_INVALID);
    return 0;
}

static inline uint32_t pl_cursor_uvarint(struct pl_cursor *c) {
    if (__builtin_expect(c->pos < c->end && *c->pos < 0x80, 1)) {
        return *c->pos++;
    }
    return (uint32_t)pl_cursor_uvarlong_long(c, PL_VARINT_MAX_BYTES, 32);
}

static inline uint64_t pl_cursor_uvarlong(struct pl_cursor *c) {
    if (__builtin_expect(c->pos < c->end && *c->pos < 0x80, 1)) {
        return *c->pos++;
    }
    return pl_cursor_uvarlong_long(c, PL_VARLONG_MAX_BYTES, 64);
}

static inline int32_t pl_cursor_varint(struct pl_cursor *c) {
    return (int32_t)pl_unzigzag(pl_cursor_uvarint(c));
}

static inline int64_t pl_cursor_varlong(struct pl_cursor *c) {
    return pl_unzigzag(pl_cursor_uvarlong(c));
}

/* ---- strings and bytes: the length in front, -1 for null ---- */

static inline struct pl_span pl_cursor_span(struct pl_cursor *c, int64_t length) {
    struct pl_span span = {NULL, -1};
    if (length >= 0 && length <= INT32_MAX) {
        const uint8_t *at = pl_cursor_take(c, (size_t)length);
        if (c->err == PL_OK) {
            span.data = at;
            span.length = (int32_t)length;
        }
    } else if (length != -1) {
        pl_cursor_fail(c, PL_ERR_INVALID);
    }
    return span;
}

static inline struct pl_span pl_cursor_string(struct pl_cursor *c) {
    return pl_cursor_span(c, pl_cursor_i16(c));
}

static inline struct pl_span pl_cursor_bytes(struct pl_cursor *c) {
    return pl_cursor_span(c, pl_cursor_i32(c));
}

/* Flexible versions (KIP-482): unsigned varint of length + 1, 0 for null. */
static inline struct pl_span pl_cursor_compact_bytes(struct pl_cursor *c) {
    return pl_cursor_span(c, (int64_t)pl_cursor_uvarint(c) - 1);
}

static inline struct pl_span pl_cursor_compact_string(struct pl_cursor *c) {
    struct pl_span span = pl_cursor_compact_bytes(c);
    if (span.length > INT16_MAX) {
        pl_cursor_fail(c, PL_ERR_INVALID);
    }
    return span;
}

/* Keys, values and header values of records: zigzag varint length, -1 for null. */
static inline struct pl_span pl_cursor_varint_bytes(struct pl_cursor *c) {
    return pl_cursor_span(c, pl_cursor_varint(c));
}

/* ---- arrays: -1 for null. A count above the bytes that are left is an error, because every
 * element takes at least one, so a loop over it ends. ---- */

static inline int32_t pl_cursor_count(struct pl_cursor *c, int64_t count) {
    if (count < -1 || (count > 0 && (uint64_t)count > pl_cursor_left(c))) {
        pl_cursor_fail(c, PL_ERR_INVALID);
    }
    return c->err == PL_OK ? (int32_t)count : 0;
}

static inline int32_t pl_cursor_array(struct pl_cursor *c) {
    return pl_cursor_count(c, pl_cursor_i32(c));
}

static inline int32_t pl_cursor_compact_array(struct pl_cursor *c) {
    return pl_cursor_count(c, (int64_t)pl_cursor_uvarint(c) - 1);
}

/* ---- tagged fields (KIP-482): unsigned varints of tag and size, then the bytes ---- */

static inline void pl_cursor_skip_tags(struct pl_cursor *c) {
    uint32_t count = pl_cursor_uvarint(c);
    if (count > PL_MAX_TAGGED_FIELDS) {
        pl_cursor_fail(c, PL_ERR_INVALID);
        return;
    }
    for (; count > 0 && c->err == PL_OK; count--) {
        (void)pl_cursor_uvarint(c);
        pl_cursor_skip(c, pl_cursor_uvarint(c));
    }
}

#endif
