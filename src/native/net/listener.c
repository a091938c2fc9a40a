#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void set_flag(int fd, int level, int option, int value) {
    /* Each is a wish: a socket that has not got it serves as well. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* Accepted sockets inherit all of it (tcp(7)), which saves two calls a connection. */
static void set_options(int fd, int family, struct pl_socket_buffers buffers) {
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (family == AF_INET6) {
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (buffers.send >= 0) {
        set_flag(fd, SOL_SOCKET, SO_SNDBUF, buffers.send);
    }
    if (buffers.receive >= 0) { /* before listen, for the window scale (tcp(7)) */
        set_flag(fd, SOL_SOCKET, SO_RCVBUF, buffers.receive);
    }
}

/* Returns the socket or a negated errno. */
static int bind_one(const struct addrinfo *address, struct pl_socket_buffers buffers) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    set_options(fd, address->ai_family, buffers);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        int number = errno;
        close(fd);
        return -number;
    }
    return fd;
}

/* The first address of `family` that can be bound; a negated errno, -EADDRNOTAVAIL for none. */
static int bind_family(const struct addrinfo *addresses, int family,
                       struct pl_socket_buffers buffers) {
    int result = -EADDRNOTAVAIL;
    for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
        if (address->ai_family != family) {
            continue;
        }
        result = bind_one(address, buffers);
        if (result >= 0) {
            break;
        }
    }
    return result;
}

static int bind_host(const char *host, uint16_t port, struct pl_socket_buffers buffers) {
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo *addresses = NULL;
    bool any = host[0] == '\0';
    int failure = getaddrinfo(any ? NULL : host, service, &hints, &addresses);
    if (failure != 0) {
        return failure == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
    }
    /* A name such as localhost: clients try IPv4 first or at all. Any address: IPv6 takes both. */
    int fd = bind_family(addresses, any ? AF_INET6 : AF_INET, buffers);
    if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
        fd = bind_family(addresses, any ? AF_INET : AF_INET6, buffers);
    }
    freeaddrinfo(addresses);
    return fd;
}

static int port_of(int fd, uint16_t *port) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return errno;
    }
    *port = ntohs(address.ss_family == AF_INET6
                      ? ((const struct sockaddr_in6 *)&address)->sin6_port
                      : ((const struct sockaddr_in *)&address)->sin_port);
    return 0;
}

int pl_listener_open(struct pl_listener *listener, uint8_t number, const char *host, uint16_t port,
                     struct pl_socket_buffers buffers, uint16_t *bound_port) {
    int fd = bind_host(host, port, buffers);
    if (fd < 0) {
        return -fd;
    }
    *listener = (struct pl_listener){.fd = fd, .reserve = open_reserve(), .number = number};
    int failure = port_of(fd, bound_port);
    if (failure != 0) {
        pl_listener_close(listener);
    }
    return failure;
}

void pl_listener_close(struct pl_listener *listener) {
    close(listener->fd);
    if (listener->reserve >= 0) {
        close(listener->reserve);
    }
    listener->fd = listener->reserve = -1;
}

static void name_address(const struct sockaddr_storage *address, char *name) {
    name[0] = '\0';
    if (address->ss_family == AF_INET) {
        const struct in_addr *v4 = &((const struct sockaddr_in *)address)->sin_addr;
        inet_ntop(AF_INET, v4, name, PL_ADDRESS_BYTES);
    } else if (address->ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            inet_ntop(AF_INET, &v6->s6_addr[12], name, PL_ADDRESS_BYTES);
        } else {
            inet_ntop(AF_INET6, v6, name, PL_ADDRESS_BYTES);
        }
    }
}

static void fill_in(struct pl_accepted *accepted, int fd, const struct sockaddr_storage *peer) {
    struct sockaddr_storage local = {0};
    socklen_t size = sizeof local;
    (void)getsockname(fd, (struct sockaddr *)&local, &size); /* fails: without a name */
    accepted->fd = fd;
    name_address(peer, accepted->peer);
    name_address(&local, accepted->local);
}

static enum pl_err turn_one_away(struct pl_listener *listener) {
    if (listener->reserve < 0) {
        listener->reserve = open_reserve();
        return PL_ERR_LIMIT;
    }
    close(listener->reserve);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    listener->reserve = open_reserve();
    return PL_ERR_LIMIT;
}

enum pl_err pl_listener_accept(struct pl_listener *listener, struct pl_accepted *accepted) {
    for (int tries = 0; tries < 16; tries++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            fill_in(accepted, fd, &address);
            return PL_OK;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return turn_one_away(listener);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return PL_ERR_AGAIN;
        }
        /* Everything else concerns the client that has gone meanwhile (accept(2)): the next. */
    }
    return PL_ERR_AGAIN;
}
