#include "net/send.h"

#include "base/limits.h"

/* The memory nodes at the front; *more: a file range follows them. */
static int gather(const struct pl_chain *chain, struct iovec *runs, size_t *bytes, bool *more) {
    int count = 0;
    const struct pl_chain_node *node = chain->first;
    *bytes = 0;
    for (; node != NULL && node->kind == PL_CHAIN_MEMORY && count < PL_MAX_IOV;
         node = node->next) {
        runs[count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)node->data, .iov_len = node->length};
        *bytes += node->length;
    }
    *more = node != NULL;
    return count;
}

static enum pl_err send_memory(struct pl_transport *transport, struct pl_chain *chain,
                               size_t *wanted, size_t *sent) {
    struct iovec runs[PL_MAX_IOV];
    bool more = false;
    int count = gather(chain, runs, wanted, &more);
    return transport->kind->write(transport, runs, count, more, sent);
}

static enum pl_err send_file(struct pl_transport *transport, const struct pl_chain *chain,
                             size_t *wanted, size_t *sent) {
    const struct pl_chain_node *node = chain->first;
    *wanted = node->length;
    enum pl_err err = transport->kind->send_file(transport, node->fd, node->position,
                                                 node->length, sent);
    /* No byte of a range that is not empty: the file ends before it. */
    return err == PL_ERR_CLOSED && *sent == 0 ? PL_ERR_IO : err;
}

enum pl_err pl_send_chain(struct pl_transport *transport, struct pl_chain *chain, size_t max_bytes,
                          size_t *sent) {
    *sent = 0;
    while (chain->first != NULL) {
        if (*sent >= max_bytes) {
            return PL_ERR_BUSY;
        }
        size_t wanted = 0, n = 0;
        enum pl_err err = chain->first->kind == PL_CHAIN_MEMORY
                              ? send_memory(transport, chain, &wanted, &n)
                              : send_file(transport, chain, &wanted, &n);
        if (err != PL_OK) {
            return err;
        }
        pl_chain_consume(chain, n);
        *sent += n;
    }
    return PL_OK;
}
