/* CRC-32C by table, eight bytes a step: for processors without an instruction, and the measure
 * that the other ways are tested against. */
#include "codec/crc32c.h"

static uint32_t tables[8][256];

__attribute__((constructor(101))) static void fill_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t reg = i;
        for (int bit = 0; bit < 8; bit++) {
            reg = (reg >> 1) ^ (PL_CRC32C_POLYNOMIAL & (0U - (reg & 1)));
        }
        tables[0][i] = reg;
    }
    for (int t = 1; t < 8; t++) {
        for (int i = 0; i < 256; i++) {
            uint32_t before = tables[t - 1][i];
            tables[t][i] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

static uint32_t step8(uint32_t reg, const uint8_t *at) {
    reg ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return tables[7][reg & 0xff] ^ tables[6][(reg >> 8) & 0xff] ^ tables[5][(reg >> 16) & 0xff] ^
           tables[4][reg >> 24] ^ tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^
           tables[0][at[7]];
}

uint32_t pl_crc32c_table(uint32_t reg, const uint8_t *data, size_t n) {
    for (; n >= 8; n -= 8, data += 8) {
        reg = step8(reg, data);
    }
    for (; n > 0; n--, data++) {
        reg = (reg >> 8) ^ tables[0][(reg ^ *data) & 0xff];
    }
    return reg;
}
