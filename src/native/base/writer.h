/* Writes of Kafka's wire format into memory of a known size.
 *
 * A write that does not fit is only counted, so the same code sizes a reply and fills it:
 *
 *     struct pl_writer size = {0};
 *     write(&size);
 *     struct pl_writer out = pl_writer_open(memory, size.length);
 *     write(&out);
 *
 * What was written is whole when length <= room.
 */
#ifndef PYLOG_BASE_WRITER_H
#define PYLOG_BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"

struct pl_writer {
    uint8_t *bytes; /* owned by the caller; NULL to count */
    size_t room, length;
};

static inline struct pl_writer pl_writer_open(uint8_t *bytes, size_t room) {
    struct pl_writer writer = {bytes, room, 0};
    return writer;
}

/* Where the next n bytes go, or NULL; they count as written. */
static inline uint8_t *pl_writer_take(struct pl_writer *w, size_t n) {
    uint8_t *at = w->length <= w->room && n <= w->room - w->length ? w->bytes + w->length : NULL;
    w->length += n;
    return at;
}

static inline void pl_write_bytes(struct pl_writer *w, const uint8_t *bytes, size_t n) {
    if (n == 0) {
        return;
    }
    uint8_t *at = pl_writer_take(w, n);
    if (at != NULL) {
        memcpy(at, bytes, n);
    }
}

static inline void pl_write_i8(struct pl_writer *w, int8_t value) {
    uint8_t *at = pl_writer_take(w, 1);
    if (at != NULL) {
        *at = (uint8_t)value;
    }
}

static inline void pl_write_i16(struct pl_writer *w, int16_t value) {
    uint8_t *at = pl_writer_take(w, sizeof value);
    if (at != NULL) {
        pl_put_i16(at, value);
    }
}

static inline void pl_write_i32(struct pl_writer *w, int32_t value) {
    uint8_t *at = pl_writer_take(w, sizeof value);
    if (at != NULL) {
        pl_put_i32(at, value);
    }
}

static inline void pl_write_i64(struct pl_writer *w, int64_t value) {
    uint8_t *at = pl_writer_take(w, sizeof value);
    if (at != NULL) {
        pl_put_i64(at, value);
    }
}

static inline void pl_write_uvarint(struct pl_writer *w, uint32_t value) {
    uint8_t *at = pl_writer_take(w, pl_uvarlong_size(value));
    if (at != NULL) {
        (void)pl_put_uvarlong(at, value);
    }
}

/* ---- lengths and what they count; -1 is null; compact in flexible versions (KIP-482) ---- */

static inline void pl_write_count(struct pl_writer *w, bool flexible, int32_t count) {
    if (flexible) {
        pl_write_uvarint(w, (uint32_t)(count + 1));
    } else {
        pl_write_i32(w, count);
    }
}

static inline void pl_write_string(struct pl_writer *w, bool flexible, struct pl_span text) {
    if (flexible) {
        pl_write_uvarint(w, (uint32_t)(text.length + 1));
    } else {
        pl_write_i16(w, (int16_t)text.length);
    }
    pl_write_bytes(w, text.data, text.length > 0 ? (size_t)text.length : 0);
}

#endif
