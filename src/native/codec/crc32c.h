/* The ways to compute CRC-32C. Each takes and returns the inner register: inverted, unlike
 * pl_crc32c. Only those of this architecture exist. */
#ifndef PYLOG_CODEC_CRC32C_H
#define PYLOG_CODEC_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_CRC32C_POLYNOMIAL 0x82f63b78U /* 0x1edc6f41 with its bits reflected */

typedef uint32_t pl_crc32c_way(uint32_t reg, const uint8_t *data, size_t n);

struct pl_crc32c_choice {
    const char *name;
    pl_crc32c_way *way;
    bool (*supported)(void);
};

/* From the best to the table, which every processor has. Ends with a NULL name. */
extern const struct pl_crc32c_choice pl_crc32c_choices[];

pl_crc32c_way pl_crc32c_table;

#endif
