/* Writing a batch header, for the files of this folder. */
#ifndef PYLOG_CODEC_BATCH_HEADER_H
#define PYLOG_CODEC_BATCH_HEADER_H

#include "pylog/codec.h"

/* All fields but crc, which is computed over the whole batch; its records lie behind already. */
void pl_batch_header_write(uint8_t *batch, const struct pl_batch_header *header);

#endif
