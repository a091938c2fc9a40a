/* Assertions of the C tests. A test is a file test_*.c in this folder with
 *
 *     static void behaviour_in_words(void) { CHECK(...); CHECK_EQ(got, expected); }
 *     int main(void) { RUN(behaviour_in_words); return check_end(); }
 *
 * and nothing more: the build finds it, ctest runs it. A failed check is printed and ends the
 * program with status 1.
 */
#ifndef PYLOG_TEST_CHECK_H
#define PYLOG_TEST_CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_tests;

#define CHECK_FAIL(...)                                                                           \
    do {                                                                                          \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                           \
        fprintf(stderr, __VA_ARGS__);                                                             \
        fputc('\n', stderr);                                                                      \
        exit(1);                                                                                  \
    } while (0)

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            CHECK_FAIL("false: %s", #condition);                                                  \
        }                                                                                         \
    } while (0)

/* Integers, enums, pointers as intptr_t; compared as int64_t. */
#define CHECK_EQ(got, expected)                                                                   \
    do {                                                                                          \
        int64_t check_got = (int64_t)(got), check_expected = (int64_t)(expected);                 \
        if (check_got != check_expected) {                                                        \
            CHECK_FAIL("%s is %" PRId64 ", not %" PRId64, #got, check_got, check_expected);       \
        }                                                                                         \
    } while (0)

#define CHECK_OK(call) CHECK_EQ(call, 0)

#define CHECK_BYTES(got, expected, n)                                                             \
    do {                                                                                          \
        const uint8_t *check_got = (const void *)(got), *check_want = (const void *)(expected);   \
        for (size_t check_i = 0; check_i < (size_t)(n); check_i++) {                              \
            if (check_got[check_i] != check_want[check_i]) {                                      \
                CHECK_FAIL("%s differs from %s at byte %zu", #got, #expected, check_i);           \
            }                                                                                     \
        }                                                                                         \
    } while (0)

#define RUN(test)                                                                                 \
    do {                                                                                          \
        test();                                                                                   \
        check_tests++;                                                                            \
        printf("ok %s\n", #test);                                                                 \
    } while (0)

static inline int check_end(void) {
    printf("%d tests\n", check_tests);
    return 0;
}

/* Repeatable random numbers (xorshift64*); seed must not be 0. */
static inline uint64_t check_random(uint64_t *seed) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

#endif
