#include "broker/message_set.h"

#include <string.h>

#include "broker/state.h"
#include "pylog/codec.h"

enum { MAGIC_AT = 16, FIRST_BATCH_MAGIC = 2 };

bool pl_is_message_set(const uint8_t *bytes, size_t n) {
    return n > MAGIC_AT && bytes[MAGIC_AT] < FIRST_BATCH_MAGIC;
}

enum pl_err pl_message_set_convert(struct pl_broker *broker, const uint8_t *bytes, size_t n,
                                   struct pl_buf **batch, size_t *made) {
    const uint8_t *converted;
    enum pl_err err = pl_message_set_to_batch(broker->codec, bytes, n, false, &converted, made);
    if (err != PL_OK) {
        return err;
    }
    *batch = pl_buf_take(broker->options.pool, *made);
    if (*batch == NULL) {
        return PL_ERR_MEMORY;
    }
    memcpy((*batch)->bytes, converted, *made);
    return PL_OK;
}
