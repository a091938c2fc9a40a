#ifndef PYLOG_CODEC_CRC32C_X86_H
#define PYLOG_CODEC_CRC32C_X86_H

#include "codec/crc32c.h"

bool pl_cpu_has_sse42(void);
pl_crc32c_way pl_crc32c_sse42;

#endif
