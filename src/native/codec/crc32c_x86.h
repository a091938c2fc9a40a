/* CRC-32C by the instructions of x86-64, and whether this processor has them. */
#ifndef PYLOG_CODEC_CRC32C_X86_H
#define PYLOG_CODEC_CRC32C_X86_H

#include "codec/crc32c.h"

bool pl_cpu_has_sse42(void);
pl_crc32c_way pl_crc32c_sse42;

bool pl_cpu_has_pclmul(void); /* and SSE4.2 */
pl_crc32c_way pl_crc32c_pclmul;

#endif
