/* An answer under construction: frame and response header first, then what the generated writers
 * write, with ranges of files in between.
 *
 * Whoever writes reserves room first; so the writer never runs over, and what was written stays
 * where it is until it is sent. When memory is short, reserve answers false and the answer is
 * dropped.
 */
#ifndef PYLOG_API_ANSWER_H
#define PYLOG_API_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reply.h"
#include "base/writer.h"

struct pl_answer { /* owned by whoever builds it, until close or drop */
    struct pl_pool *pool;
    struct pl_chain chain;
    struct pl_buf *buf; /* of `out` */
    struct pl_writer out;
    uint8_t *frame; /* where its length goes */
};

/* flexible: the response header ends with tagged fields (header version 1). */
PL_MUST_CHECK bool pl_answer_open(struct pl_answer *answer, struct pl_pool *pool, size_t room,
                                  const struct pl_reply *reply, bool flexible);
PL_MUST_CHECK bool pl_answer_reserve(struct pl_answer *answer, size_t room);
/* Whether something can be written without another buffer. */
static inline size_t pl_answer_room(const struct pl_answer *answer) {
    return answer->out.room - answer->out.length;
}
/* A range of a file; on false nothing is taken. */
PL_MUST_CHECK bool pl_answer_add_file(struct pl_answer *answer, int fd, uint64_t position,
                                      size_t length, void (*release)(void *owner), void *owner);
/* The whole frame. */
void pl_answer_close(struct pl_answer *answer, struct pl_chain *frame);
void pl_answer_drop(struct pl_answer *answer);

#endif
