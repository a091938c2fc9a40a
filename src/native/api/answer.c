#include "api/answer.h"

#include <assert.h>

enum {
    LENGTH_BYTES = 4,
    FIRST_BUFFER_BYTES = 384, /* an answer about one partition is one buffer, one run to send */
    NEXT_BUFFER_BYTES = 512,
};

static bool take_buffer(struct pl_answer *answer, size_t room) {
    struct pl_buf *buf = pl_buf_take(answer->pool, room);
    if (buf == NULL) {
        return false;
    }
    answer->buf = buf;
    answer->out = pl_writer_open(buf->bytes, buf->capacity);
    return true;
}

static void seal_buffer(struct pl_answer *answer) {
    if (answer->buf != NULL) {
        assert(answer->out.length <= answer->out.room);
        pl_chain_add_buf(&answer->chain, answer->buf, answer->out.length);
        answer->buf = NULL;
        answer->out = (struct pl_writer){0};
    }
}

bool pl_answer_open(struct pl_answer *answer, struct pl_pool *pool, size_t room,
                    const struct pl_reply *reply, bool flexible) {
    *answer = (struct pl_answer){.pool = pool};
    size_t first = room + LENGTH_BYTES + sizeof(int32_t) + 1;
    if (!take_buffer(answer, first > FIRST_BUFFER_BYTES ? first : FIRST_BUFFER_BYTES)) {
        return false;
    }
    answer->frame = pl_writer_take(&answer->out, LENGTH_BYTES);
    pl_write_i32(&answer->out, reply->correlation_id);
    if (flexible) {
        pl_write_uvarint(&answer->out, 0);
    }
    return true;
}

bool pl_answer_reserve(struct pl_answer *answer, size_t room) {
    if (pl_answer_room(answer) >= room) {
        return true;
    }
    seal_buffer(answer);
    return take_buffer(answer, room > NEXT_BUFFER_BYTES ? room : NEXT_BUFFER_BYTES);
}

bool pl_answer_add_file(struct pl_answer *answer, int fd, uint64_t position, size_t length,
                        void (*release)(void *owner), void *owner) {
    seal_buffer(answer);
    return pl_chain_add_file(&answer->chain, answer->pool, fd, position, length, release, owner) ==
           PL_OK;
}

void pl_answer_close(struct pl_answer *answer, struct pl_chain *frame) {
    seal_buffer(answer);
    pl_put_i32(answer->frame, (int32_t)(answer->chain.length - LENGTH_BYTES));
    *frame = answer->chain;
}

void pl_answer_drop(struct pl_answer *answer) {
    seal_buffer(answer);
    pl_chain_drop(&answer->chain);
}
