/* CRC-32C by the instructions of ARMv8: optional in 8.0, always there from 8.1 on. */
#if defined(__aarch64__)

#include "codec/crc32c_arm64.h"

#include <string.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

bool pl_cpu_has_arm64_crc(void) {
#if defined(__linux__)
    enum { CPU_HAS_CRC32 = 1 << 7 }; /* HWCAP_CRC32 of the kernel's interface */
    return (getauxval(AT_HWCAP) & CPU_HAS_CRC32) != 0;
#else
    return true; /* every Apple processor of this architecture */
#endif
}

/* In assembly, because gcc and clang name their intrinsics and targets differently. */
static inline uint32_t take8(uint32_t reg, uint64_t block) {
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(reg) : "r"(block));
    return reg;
}

static inline uint32_t take1(uint32_t reg, uint32_t byte) {
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(reg) : "r"(byte));
    return reg;
}

uint32_t pl_crc32c_arm64(uint32_t reg, const uint8_t *data, size_t n) {
    for (; n >= 8; n -= 8, data += 8) {
        uint64_t block;
        memcpy(&block, data, sizeof block);
        reg = take8(reg, block);
    }
    for (; n > 0; n--, data++) {
        reg = take1(reg, *data);
    }
    return reg;
}

#endif
