/* Message sets of magic 0 and 1, as Produce 0 to 2 brings them, become record batches. */
#ifndef PYLOG_BROKER_MESSAGE_SET_H
#define PYLOG_BROKER_MESSAGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct pl_broker;

bool pl_is_message_set(const uint8_t *bytes, size_t n);
/* The batch, *made bytes in a buffer that is the caller's. Errors as those of
 * pl_message_set_to_batch. */
PL_MUST_CHECK enum pl_err pl_message_set_convert(struct pl_broker *broker, const uint8_t *bytes,
                                                 size_t n, struct pl_buf **batch, size_t *made);

#endif
