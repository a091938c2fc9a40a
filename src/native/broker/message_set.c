#include "broker/message_set.h"

#include <string.h>

#include "broker/state.h"
#include "pylog/codec.h"

enum { MAGIC_AT = 16, FIRST_BATCH_MAGIC = 2 };

bool pl_is_message_set(const uint8_t *bytes, size_t n) {
    return n > MAGIC_AT && bytes[MAGIC_AT] < FIRST_BATCH_MAGIC;
}

enum pl_err pl_message_set_convert(struct pl_broker *broker, uint8_t **bytes, size_t *n) {
    const uint8_t *made;
    size_t made_bytes;
    enum pl_err err =
        pl_message_set_to_batch(broker->codec, *bytes, *n, false, &made, &made_bytes);
    if (err != PL_OK) {
        return err;
    }
    struct pl_buf *buf = pl_buf_take(broker->options.pool, made_bytes);
    if (buf == NULL) {
        return PL_ERR_MEMORY;
    }
    memcpy(buf->bytes, made, made_bytes);
    buf->next = broker->converted;
    broker->converted = buf;
    *bytes = buf->bytes;
    *n = made_bytes;
    return PL_OK;
}

void pl_message_sets_end_turn(struct pl_broker *broker) {
    while (broker->converted != NULL) {
        struct pl_buf *buf = broker->converted;
        broker->converted = buf->next;
        pl_buf_give(buf);
    }
}
