/* CRC-32C by the instructions of ARMv8, and whether this processor has them. */
#ifndef PYLOG_CODEC_CRC32C_ARM64_H
#define PYLOG_CODEC_CRC32C_ARM64_H

#include "codec/crc32c.h"

bool pl_cpu_has_arm64_crc(void);
pl_crc32c_way pl_crc32c_arm64;

#endif
