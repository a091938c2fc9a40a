/* Bounded reads, and the varints of base/bytes.h. */
#include "base/cursor.h"

#include "check.h"

#define OPEN(...)                                                                                 \
    pl_cursor_open((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void fields_are_read_in_order(void) {
    struct pl_cursor c =
        OPEN(0xff, 0x12, 0x34, 0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 'x');
    CHECK_EQ(pl_cursor_i8(&c), -1);
    CHECK_EQ(pl_cursor_i16(&c), 0x1234);
    CHECK_EQ(pl_cursor_i32(&c), -2);
    CHECK_EQ(pl_cursor_i64(&c), 0x0102030405060708);
    struct pl_span text = pl_cursor_string(&c);
    CHECK_EQ(text.length, 1);
    CHECK_EQ(text.data[0], 'x');
    CHECK_EQ(pl_cursor_left(&c), 0);
    CHECK_EQ(c.err, PL_OK);
}

static void an_error_stays_and_everything_reads_as_nothing(void) {
    struct pl_cursor c = OPEN(1, 2, 3);
    CHECK_EQ(pl_cursor_i32(&c), 0);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    CHECK_EQ(pl_cursor_u8(&c), 0);
    CHECK_EQ(pl_cursor_varlong(&c), 0);
    CHECK_EQ(pl_cursor_string(&c).length, -1);
    CHECK_EQ(pl_cursor_array(&c), 0);
    CHECK(pl_cursor_uuid(&c) == NULL);
    struct pl_cursor sub = pl_cursor_sub(&c, 0);
    CHECK_EQ(sub.err, PL_ERR_INVALID);
}

static void lengths_that_cannot_be_are_errors(void) {
    struct pl_cursor c = OPEN(0xff, 0xff); /* -1: null */
    CHECK_EQ(pl_cursor_string(&c).length, -1);
    CHECK_EQ(c.err, PL_OK);
    c = OPEN(0xff, 0xfe); /* -2 */
    (void)pl_cursor_string(&c);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    c = OPEN(0); /* compact null */
    CHECK_EQ(pl_cursor_compact_bytes(&c).length, -1);
    CHECK_EQ(c.err, PL_OK);
    c = OPEN(0xff, 0xff, 0xff, 0xff, 0x0f); /* compact length 2^32 - 2 */
    CHECK_EQ(pl_cursor_compact_bytes(&c).length, -1);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    c = OPEN(0, 0, 0, 2, 1); /* two elements, one byte */
    CHECK_EQ(pl_cursor_array(&c), 0);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    c = OPEN(0xff, 0xff, 0xff, 0xff); /* null array */
    CHECK_EQ(pl_cursor_array(&c), -1);
    CHECK_EQ(c.err, PL_OK);
}

static void varints_round_trip_at_every_width(void) {
    for (int bits = 0; bits < 64; bits++) {
        for (int64_t around = -2; around <= 2; around++) {
            int64_t value = (int64_t)((UINT64_C(1) << bits) + (uint64_t)around);
            uint8_t bytes[PL_VARLONG_MAX_BYTES];
            size_t n = pl_put_varlong(bytes, value);
            CHECK_EQ(n, pl_varlong_size(value));
            struct pl_cursor c = pl_cursor_open(bytes, n);
            CHECK_EQ(pl_cursor_varlong(&c), value);
            CHECK_EQ(pl_cursor_left(&c), 0);
            for (size_t cut = 0; cut < n; cut++) {
                c = pl_cursor_open(bytes, cut);
                (void)pl_cursor_varlong(&c);
                CHECK_EQ(c.err, PL_ERR_INVALID);
            }
            c = pl_cursor_open(bytes, n);
            int64_t narrow = pl_cursor_varint(&c);
            bool fits = value >= INT32_MIN && value <= INT32_MAX;
            CHECK_EQ(c.err, fits ? PL_OK : PL_ERR_INVALID);
            CHECK(!fits || narrow == value);
        }
    }
}

static void varints_without_an_end_are_errors(void) {
    uint8_t bytes[11];
    memset(bytes, 0x80, sizeof bytes);
    struct pl_cursor c = pl_cursor_open(bytes, sizeof bytes);
    (void)pl_cursor_uvarlong(&c);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    c = OPEN(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02); /* 65 bits */
    (void)pl_cursor_uvarlong(&c);
    CHECK_EQ(c.err, PL_ERR_INVALID);
    c = OPEN(0xff, 0xff, 0xff, 0xff, 0x1f); /* 33 bits */
    (void)pl_cursor_uvarint(&c);
    CHECK_EQ(c.err, PL_ERR_INVALID);
}

static void tagged_fields_are_passed(void) {
    struct pl_cursor c = OPEN(2, 0, 1, 'a', 5, 2, 'b', 'c', 9);
    pl_cursor_skip_tags(&c);
    CHECK_EQ(pl_cursor_u8(&c), 9);
    CHECK_EQ(c.err, PL_OK);
    c = OPEN(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0); /* more fields than there may be */
    pl_cursor_skip_tags(&c);
    CHECK_EQ(c.err, PL_ERR_INVALID);
}

int main(void) {
    RUN(fields_are_read_in_order);
    RUN(an_error_stays_and_everything_reads_as_nothing);
    RUN(lengths_that_cannot_be_are_errors);
    RUN(varints_round_trip_at_every_width);
    RUN(varints_without_an_end_are_errors);
    RUN(tagged_fields_are_passed);
    return check_end();
}
