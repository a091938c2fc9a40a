/* Any program of reads over any bytes: the first half of the input says which reads. A cursor
 * never leaves its bytes, and stays failed once it has failed. */
#include "base/cursor.h"

#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_span(const struct pl_cursor *c, const uint8_t *start, struct pl_span span) {
    if (span.length >= 0) {
        CHECK(span.data >= start && span.data + span.length <= c->end);
    } else {
        CHECK(span.data == NULL && span.length == -1);
    }
}

static void read_one(struct pl_cursor *c, const uint8_t *start, uint8_t what) {
    switch (what % 16) {
    case 0: (void)pl_cursor_u8(c); break;
    case 1: (void)pl_cursor_i16(c); break;
    case 2: (void)pl_cursor_i32(c); break;
    case 3: (void)pl_cursor_i64(c); break;
    case 4: (void)pl_cursor_varint(c); break;
    case 5: (void)pl_cursor_varlong(c); break;
    case 6: check_span(c, start, pl_cursor_string(c)); break;
    case 7: check_span(c, start, pl_cursor_bytes(c)); break;
    case 8: check_span(c, start, pl_cursor_compact_string(c)); break;
    case 9: check_span(c, start, pl_cursor_compact_bytes(c)); break;
    case 10: check_span(c, start, pl_cursor_varint_bytes(c)); break;
    case 11: CHECK((int64_t)pl_cursor_array(c) <= (int64_t)pl_cursor_left(c)); break;
    case 12: CHECK((int64_t)pl_cursor_compact_array(c) <= (int64_t)pl_cursor_left(c)); break;
    case 13: pl_cursor_skip_tags(c); break;
    case 14: (void)pl_cursor_uuid(c); break;
    default: (void)pl_cursor_sub(c, what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t half = size / 2;
    const uint8_t *start = data + half;
    struct pl_cursor c = pl_cursor_open(start, size - half);
    for (size_t i = 0; i < half; i++) {
        enum pl_err before = c.err;
        read_one(&c, start, data[i]);
        CHECK(c.pos >= start && c.pos <= c.end && c.end == data + size);
        CHECK(before == PL_OK || (c.err == before && c.pos == c.end));
    }
    return 0;
}
