/* CRC-32C by the instruction of SSE4.2. */
#if defined(__x86_64__)

#include "codec/crc32c_x86.h"

#include <nmmintrin.h>
#include <string.h>

bool pl_cpu_has_sse42(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t pl_crc32c_sse42(uint32_t reg, const uint8_t *data,
                                                           size_t n) {
    uint64_t wide = reg;
    for (; n >= 8; n -= 8, data += 8) {
        uint64_t block;
        memcpy(&block, data, sizeof block);
        wide = _mm_crc32_u64(wide, block);
    }
    reg = (uint32_t)wide;
    for (; n > 0; n--, data++) {
        reg = _mm_crc32_u8(reg, *data);
    }
    return reg;
}

#endif
