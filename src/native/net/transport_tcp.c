#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/transport.h"

/* The result of a call that moves bytes; errno must still be its own. */
static enum pl_err moved(ssize_t n, size_t *bytes) {
    if (n > 0) {
        *bytes = (size_t)n;
        return PL_OK;
    }
    *bytes = 0;
    if (n == 0) {
        return PL_ERR_CLOSED;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return PL_ERR_AGAIN;
    }
    return errno == EPIPE || errno == ECONNRESET ? PL_ERR_CLOSED : pl_err_from_errno(errno);
}

static enum pl_err tcp_read(struct pl_transport *transport, void *to, size_t room, size_t *got) {
    return moved(recv(transport->fd, to, room, 0), got);
}

static enum pl_err tcp_write(struct pl_transport *transport, const struct iovec *runs, int count,
                             bool more, size_t *sent) {
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (count == 1) {
        return moved(send(transport->fd, runs[0].iov_base, runs[0].iov_len, flags), sent);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)runs, .msg_iovlen = (size_t)count};
    return moved(sendmsg(transport->fd, &message, flags), sent);
}

static enum pl_err tcp_send_file(struct pl_transport *transport, int file, uint64_t position,
                                 size_t length, size_t *sent) {
    off_t at = (off_t)position;
    return moved(sendfile(transport->fd, file, &at, length), sent);
}

static void tcp_close(struct pl_transport *transport) {
    close(transport->fd);
    transport->fd = -1;
}

const struct pl_transport_kind pl_transport_tcp = {
    .read = tcp_read, .write = tcp_write, .send_file = tcp_send_file, .close = tcp_close};
