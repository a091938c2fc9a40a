/* CRC-32C by the instruction of SSE4.2, and by that together with carry-less multiplication.
 *
 * The instruction takes 8 bytes every 3 cycles in one chain, but can start one every cycle: so
 * three chains run side by side over three parts of a block, while the multiplier folds a fourth
 * part in front of them (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using
 * PCLMULQDQ Instruction", Intel 2009). The four results are joined by shifting each over the
 * parts behind it.
 *
 * Bits are reflected: bit 0 of a register is the coefficient of the highest power. The product of
 * two reflected numbers of 32 bits, taken as 64 bits, is their polynomial product times x; the
 * instruction multiplies what it takes by x^32. This is where 33 comes from below.
 */
#if defined(__x86_64__)

#include "codec/crc32c_x86.h"

#include <immintrin.h>
#include <string.h>

#define SSE42 __attribute__((target("sse4.2")))
#define PCLMUL __attribute__((target("sse4.2,pclmul")))

enum {
    ACCUMULATORS = 4, /* of 16 bytes: hides the latency of the multiplier */
    FOLD_BYTES = 16 * ACCUMULATORS,
    CHAIN_BYTES = 64, /* that a chain takes while the multiplier takes FOLD_BYTES */
    STEP_BYTES = FOLD_BYTES + 3 * CHAIN_BYTES,
};

bool pl_cpu_has_sse42(void) { return __builtin_cpu_supports("sse4.2"); }

bool pl_cpu_has_pclmul(void) {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

static inline uint64_t load8(const uint8_t *at) {
    uint64_t block;
    memcpy(&block, at, sizeof block);
    return block;
}

SSE42 uint32_t pl_crc32c_sse42(uint32_t reg, const uint8_t *data, size_t n) {
    uint64_t wide = reg;
    for (; n >= 8; n -= 8, data += 8) {
        wide = _mm_crc32_u64(wide, load8(data));
    }
    reg = (uint32_t)wide;
    if (n >= 4) {
        uint32_t block;
        memcpy(&block, data, sizeof block);
        reg = _mm_crc32_u32(reg, block);
        data += 4;
        n -= 4;
    }
    for (; n > 0; n--, data++) {
        reg = _mm_crc32_u8(reg, *data);
    }
    return reg;
}

/* ---- constants ---- */

struct block { /* a size of block, and the powers that join its parts */
    size_t steps;
    uint32_t over_three, over_two, over_one; /* shift over so many chains */
};

/* Of 32 KB, 4 KB, 1 KB and 256 bytes: joining costs the more, the smaller the block. */
static struct block blocks[] = {{.steps = 128}, {.steps = 16}, {.steps = 4}, {.steps = 1}};

static struct {
    uint64_t low, high; /* of the two halves of an accumulator */
} fold_all, fold_one;   /* over FOLD_BYTES, over 16 bytes */

/* Product modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (int i = 0; i < 32; i++, b <<= 1) {
        product ^= (b >> 31) != 0 ? a : 0;
        a = (a >> 1) ^ (PL_CRC32C_POLYNOMIAL & (0U - (a & 1)));
    }
    return product;
}

/* x^n modulo the polynomial */
static uint32_t power(size_t n) {
    uint32_t square = 1U << 30, result = 1U << 31; /* x, 1 */
    for (; n > 0; n >>= 1) {
        result = (n & 1) != 0 ? multiply(result, square) : result;
        square = multiply(square, square);
    }
    return result;
}

__attribute__((constructor(101))) static void fill_constants(void) {
    fold_all.low = power(8 * FOLD_BYTES + 31);
    fold_all.high = power(8 * FOLD_BYTES - 33);
    fold_one.low = power(8 * 16 + 31);
    fold_one.high = power(8 * 16 - 33);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        size_t chain_bits = 8 * CHAIN_BYTES * blocks[i].steps;
        blocks[i].over_three = power(3 * chain_bits - 33);
        blocks[i].over_two = power(2 * chain_bits - 33);
        blocks[i].over_one = power(chain_bits - 33);
    }
}

/* ---- one block ---- */

PCLMUL static inline __m128i load16(const uint8_t *at) {
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

PCLMUL static inline __m128i fold(__m128i accumulator, __m128i by, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(accumulator, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(accumulator, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* Not yet reduced: the instruction does that. */
PCLMUL static inline uint64_t shift(uint32_t reg, uint32_t over) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)reg),
                                           _mm_cvtsi32_si128((int)over), 0x00);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

PCLMUL static inline uint32_t reduce(const __m128i acc[ACCUMULATORS]) {
    __m128i by = _mm_set_epi64x((int64_t)fold_one.high, (int64_t)fold_one.low);
    __m128i all = acc[0];
    for (int i = 1; i < ACCUMULATORS; i++) {
        all = fold(all, by, acc[i]);
    }
    uint64_t reg = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(all));
    return (uint32_t)_mm_crc32_u64(reg, (uint64_t)_mm_extract_epi64(all, 1));
}

PCLMUL static inline uint64_t chain(uint64_t reg, const uint8_t *at) {
    for (int i = 0; i < CHAIN_BYTES; i += 8) {
        reg = _mm_crc32_u64(reg, load8(at + i));
    }
    return reg;
}

PCLMUL static uint32_t one_block(uint32_t reg, const uint8_t *data, const struct block *block) {
    const size_t part = CHAIN_BYTES * block->steps;
    const uint8_t *at = data + FOLD_BYTES * block->steps;
    const __m128i by = _mm_set_epi64x((int64_t)fold_all.high, (int64_t)fold_all.low);
    __m128i acc[ACCUMULATORS];
    for (int i = 0; i < ACCUMULATORS; i++) {
        acc[i] = load16(data + 16 * i);
    }
    acc[0] = _mm_xor_si128(acc[0], _mm_cvtsi32_si128((int)reg));
    uint64_t a = chain(0, at), b = chain(0, at + part), c = chain(0, at + 2 * part);
    for (size_t step = 1; step < block->steps; step++) {
        data += FOLD_BYTES;
        at += CHAIN_BYTES;
        for (int i = 0; i < ACCUMULATORS; i++) {
            acc[i] = fold(acc[i], by, load16(data + 16 * i));
        }
        a = chain(a, at);
        b = chain(b, at + part);
        c = chain(c, at + 2 * part);
    }
    uint64_t joined = shift(reduce(acc), block->over_three) ^
                      shift((uint32_t)a, block->over_two) ^ shift((uint32_t)b, block->over_one);
    return (uint32_t)(_mm_crc32_u64(0, joined) ^ c);
}

uint32_t pl_crc32c_pclmul(uint32_t reg, const uint8_t *data, size_t n) {
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        size_t size = STEP_BYTES * blocks[i].steps;
        for (; n >= size; n -= size, data += size) {
            reg = one_block(reg, data, &blocks[i]);
        }
    }
    return pl_crc32c_sse42(reg, data, n);
}

#endif
