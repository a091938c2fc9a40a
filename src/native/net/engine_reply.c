/* Answers to requests of the control lane: copied by whoever gives them, put together on the
 * reactor, where ranges of files join them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fs.h"
#include "log/log.h"
#include "net/engine_call.h"

enum {
    PREFIX_BYTES = 4,
    COMPACT_LENGTH_BYTES = 5,
    COPY_BYTES = 16 * 1024, /* records up to here are copied, not sent from the file */
};

struct part {
    struct pl_chain_node node; /* of bytes */
    uint64_t partition;        /* of records, with what follows */
    int64_t offset;
    uint32_t max_bytes;
    bool is_records;
};

struct answer { /* mail is the first member; owned by the mail, then by its nodes */
    struct pl_mail mail;
    struct pl_engine *engine;
    uint64_t connection;
    uint32_t references;
    int32_t count;
    uint8_t *prefix; /* the frame's length, then the bytes of all parts */
    struct pl_chain_node prefix_node;
    struct part parts[];
};

static void release(void *owner) {
    struct answer *answer = owner;
    if (--answer->references == 0) {
        free(answer);
    }
}

static void add_node(struct pl_chain *chain, struct answer *answer, struct pl_chain_node *node) {
    node->kind = PL_CHAIN_MEMORY;
    node->fd = -1;
    node->release = release;
    node->owner = answer;
    answer->references++;
    pl_chain_append(chain, node);
}

/* ---- records ---- */

static void release_segment(void *owner) {
    pl_segment_release(owner);
}

/* Their compact length, and the records behind it when they are few. */
static enum pl_err add_length(struct pl_reactor *reactor, struct pl_chain *chain,
                              const struct pl_slice *slice, bool copied) {
    struct pl_buf *buf =
        pl_buf_take(reactor->pool, COMPACT_LENGTH_BYTES + (copied ? slice->length : 0));
    if (buf == NULL) {
        return PL_ERR_MEMORY;
    }
    size_t length = pl_put_uvarlong(buf->bytes, (uint64_t)slice->length + 1);
    if (copied && slice->length > 0) {
        const struct pl_fs *fs = &pl_fs_real;
        size_t got = 0;
        enum pl_err err = fs->read_at(fs->context, slice->fd, buf->bytes + length, slice->length,
                                      slice->position, &got);
        if (err == PL_OK && got < slice->length) {
            err = PL_ERR_IO;
        }
        if (err != PL_OK) {
            pl_buf_give(buf);
            return err;
        }
        length += slice->length;
    }
    pl_chain_add_buf(chain, buf, length);
    return PL_OK;
}

static enum pl_err add_slice(struct pl_reactor *reactor, struct pl_chain *chain,
                             const struct pl_slice *slice) {
    bool copied = slice->length <= COPY_BYTES;
    enum pl_err err = add_length(reactor, chain, slice, copied);
    if (err == PL_OK && !copied) {
        err = pl_chain_add_file(chain, reactor->pool, slice->fd, slice->position, slice->length,
                                release_segment, slice->segment);
    }
    if (slice->segment != NULL && (err != PL_OK || copied)) {
        pl_segment_release(slice->segment);
    }
    return err;
}

static enum pl_err add_records(struct pl_reactor *reactor, struct pl_chain *chain,
                               const struct part *part) {
    struct pl_slice slice = {0};
    enum pl_err err = pl_broker_locate(reactor->broker, part->partition, part->offset,
                                       part->max_bytes, &slice);
    if (err != PL_OK) {
        slice = (struct pl_slice){0};
    }
    return add_slice(reactor, chain, &slice);
}

/* ---- the whole ---- */

static enum pl_err build(struct answer *answer, struct pl_chain *chain) {
    struct pl_reactor *reactor = &answer->engine->reactor;
    add_node(chain, answer, &answer->prefix_node);
    for (int32_t i = 0; i < answer->count; i++) {
        struct part *part = &answer->parts[i];
        enum pl_err err = PL_OK;
        if (part->is_records) {
            err = add_records(reactor, chain, part);
        } else {
            add_node(chain, answer, &part->node);
        }
        if (err != PL_OK) {
            return err;
        }
    }
    size_t length = chain->length - PREFIX_BYTES;
    if (length > INT32_MAX) {
        return PL_ERR_LIMIT;
    }
    pl_put_u32(answer->prefix, (uint32_t)length);
    return PL_OK;
}

static void deliver(struct pl_mail *mail) {
    struct answer *answer = (struct answer *)mail;
    struct pl_conn *conn = pl_conn_table_find(&answer->engine->reactor.conns, answer->connection);
    struct pl_chain chain = {0};
    if (conn != NULL) {
        bool empty = answer->count == 0;
        if (!empty && build(answer, &chain) != PL_OK) {
            pl_chain_drop(&chain);
            pl_conn_close(conn);
        } else {
            pl_conn_reply(conn, &chain);
        }
    }
    release(answer);
}

static struct answer *copy_of(const struct pl_reply_part *parts, int32_t count) {
    size_t total = PREFIX_BYTES, n = (size_t)count;
    struct answer *answer;
    for (size_t i = 0; i < n; i++) {
        total += parts[i].bytes == NULL ? 0 : parts[i].length;
    }
    answer = malloc(sizeof *answer + n * sizeof answer->parts[0] + total);
    if (answer == NULL) {
        return NULL;
    }
    *answer = (struct answer){.references = 1, .count = count};
    uint8_t *at = answer->prefix = (uint8_t *)&answer->parts[n];
    answer->prefix_node = (struct pl_chain_node){.data = at, .length = PREFIX_BYTES};
    at += PREFIX_BYTES;
    for (size_t i = 0; i < n; i++) {
        const struct pl_reply_part *from = &parts[i];
        answer->parts[i] = (struct part){.partition = from->partition,
                                         .offset = from->offset,
                                         .max_bytes = from->max_bytes,
                                         .is_records = from->bytes == NULL};
        if (from->bytes != NULL) {
            answer->parts[i].node = (struct pl_chain_node){.data = at, .length = from->length};
            memcpy(at, from->bytes, from->length);
            at += from->length;
        }
    }
    return answer;
}

int pl_engine_reply_parts(struct pl_engine *engine, uint64_t connection,
                          const struct pl_reply_part *parts, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        if (parts[i].bytes != NULL && parts[i].length > INT32_MAX) {
            return EMSGSIZE;
        }
    }
    struct answer *answer = copy_of(parts, count);
    if (answer == NULL) {
        return ENOMEM;
    }
    answer->mail.deliver = deliver;
    answer->engine = engine;
    answer->connection = connection;
    pl_mailbox_send(&engine->reactor.calls.mailbox, &answer->mail);
    return 0;
}

int pl_engine_reply(struct pl_engine *engine, uint64_t connection, const uint8_t *bytes,
                    size_t length) {
    const struct pl_reply_part whole = {.bytes = bytes, .length = length};
    return pl_engine_reply_parts(engine, connection, &whole, length == 0 ? 0 : 1);
}

int pl_engine_send_token(struct pl_engine *engine, uint64_t connection, const uint8_t *bytes,
                         size_t length) {
    static const uint8_t nothing[1];
    const struct pl_reply_part whole = {.bytes = length == 0 ? nothing : bytes, .length = length};
    return pl_engine_reply_parts(engine, connection, &whole, 1);
}
