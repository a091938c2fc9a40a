/* Which way to compute CRC-32C: asked of the processor once, when the program is loaded. */
#include "pylog/codec.h"

#include "codec/crc32c.h"
#if defined(__x86_64__)
#include "codec/crc32c_x86.h"
#elif defined(__aarch64__)
#include "codec/crc32c_arm64.h"
#endif

static bool always(void) { return true; }

const struct pl_crc32c_choice pl_crc32c_choices[] = {
#if defined(__x86_64__)
    {"sse4.2 and pclmul", pl_crc32c_pclmul, pl_cpu_has_pclmul},
    {"sse4.2", pl_crc32c_sse42, pl_cpu_has_sse42},
#elif defined(__aarch64__)
    {"armv8 crc", pl_crc32c_arm64, pl_cpu_has_arm64_crc},
#endif
    {"table", pl_crc32c_table, always},
    {NULL, NULL, NULL},
};

static pl_crc32c_way *chosen = pl_crc32c_table;

__attribute__((constructor(102))) static void choose(void) {
    const struct pl_crc32c_choice *choice = pl_crc32c_choices;
    while (!choice->supported()) {
        choice++;
    }
    chosen = choice->way;
}

uint32_t pl_crc32c(uint32_t crc, const void *data, size_t n) { return ~chosen(~crc, data, n); }
