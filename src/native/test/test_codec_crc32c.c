/* Every way to compute CRC-32C that this processor has, against the table. */
#include "codec/crc32c.h"
#include "pylog/codec.h"

#include "check.h"

enum { BYTES = 100 * 1000 };

static uint8_t bytes[BYTES + 64];

static uint32_t bit_by_bit(uint32_t reg, const uint8_t *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        reg ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            reg = (reg >> 1) ^ (PL_CRC32C_POLYNOMIAL & (0U - (reg & 1)));
        }
    }
    return reg;
}

static void the_table_is_right_bit_by_bit(void) {
    for (size_t n = 0; n < 300; n++) {
        CHECK_EQ(pl_crc32c_table(~0U, bytes, n), bit_by_bit(~0U, bytes, n));
    }
}

static void check_way(const struct pl_crc32c_choice *choice, uint32_t reg, size_t start, size_t n) {
    uint32_t expected = pl_crc32c_table(reg, bytes + start, n);
    uint32_t got = choice->way(reg, bytes + start, n);
    if (got != expected) {
        CHECK_FAIL("%s: %08x, not %08x, for %zu bytes at %zu", choice->name, got, expected, n,
                   start);
    }
}

static void every_way_agrees_with_the_table(void) {
    uint64_t seed = 11;
    for (const struct pl_crc32c_choice *c = pl_crc32c_choices; c->name != NULL; c++) {
        if (!c->supported()) {
            printf("(no %s here)\n", c->name);
            continue;
        }
        for (size_t n = 0; n < 5000; n++) {
            check_way(c, (uint32_t)check_random(&seed), check_random(&seed) % 64, n);
        }
        for (int i = 0; i < 200; i++) {
            size_t n = check_random(&seed) % BYTES;
            check_way(c, (uint32_t)check_random(&seed), check_random(&seed) % 64, n);
        }
        check_way(c, 0, 0, BYTES);
    }
}

static void a_checksum_may_be_continued_anywhere(void) {
    uint32_t whole = pl_crc32c(0, bytes, 10000);
    for (size_t at = 0; at <= 10000; at += 97) {
        CHECK_EQ(pl_crc32c(pl_crc32c(0, bytes, at), bytes + at, 10000 - at), whole);
    }
}

static void the_examples_of_rfc_3720_hold(void) {
    uint8_t data[32] = {0};
    CHECK_EQ(pl_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, 32);
    CHECK_EQ(pl_crc32c(0, data, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        data[i] = i;
    }
    CHECK_EQ(pl_crc32c(0, data, 32), 0x46dd794e);
}

int main(void) {
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(check_random(&seed) >> 56);
    }
    RUN(the_examples_of_rfc_3720_hold);
    RUN(the_table_is_right_bit_by_bit);
    RUN(every_way_agrees_with_the_table);
    RUN(a_checksum_may_be_continued_anywhere);
    return check_end();
}
