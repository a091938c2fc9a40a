/* An engine on a thread of its own, and a client of blocking sockets. The broker is the real one,
 * unless fake_broker.h is included too. Include once, in one program. */
#ifndef PYLOG_TEST_NET_CLIENT_H
#define PYLOG_TEST_NET_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "pylog/engine.h"
#include "test/check.h"

enum { WAIT_MS = 20000 };

static struct pl_engine *engine;
static pthread_t engine_thread;
static uint16_t engine_port;

static void *run_engine(void *argument) {
    (void)argument;
    CHECK_OK(pl_engine_run(engine));
    return NULL;
}

static struct pl_engine_options default_options(void) {
    return (struct pl_engine_options){.node_id = 1,
                                      .worker_threads = 1,
                                      .max_connections = 2000,
                                      .max_frame_bytes = 4 * 1024 * 1024,
                                      .send_buffer_bytes = -1,
                                      .receive_buffer_bytes = -1,
                                      .idle_timeout_ms = -1};
}

static inline void start_engine(const struct pl_engine_options *options) {
    engine = pl_engine_create(options);
    CHECK(engine != NULL);
    CHECK_OK(pl_engine_listen(engine, 3, "127.0.0.1", 0, &engine_port));
    CHECK_OK(pl_engine_serve(engine));
    CHECK_OK(pthread_create(&engine_thread, NULL, run_engine, NULL));
}

static inline void stop_engine(void) {
    pl_engine_stop(engine);
    CHECK_OK(pthread_join(engine_thread, NULL));
    pl_engine_destroy(engine);
}

static inline struct pl_engine_counters counters_now(void) {
    struct pl_engine_counters counters;
    pl_engine_read_counters(engine, &counters);
    return counters;
}

static inline struct pl_event next_event(void) {
    struct pl_event event;
    while (pl_engine_poll(engine, &event, 1) == 0) {
        struct pollfd readable = {.fd = pl_engine_event_fd(engine), .events = POLLIN};
        CHECK_EQ(poll(&readable, 1, WAIT_MS), 1);
    }
    return event;
}

/* ---- the client ---- */

static int dial(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(engine_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(connect(fd, (struct sockaddr *)&address, sizeof address));
    return fd;
}

static void send_bytes(int fd, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        CHECK(sent > 0);
        at += sent;
        n -= (size_t)sent;
    }
}

static void receive_bytes(int fd, void *bytes, size_t n) {
    uint8_t *at = bytes;
    while (n > 0) {
        ssize_t got = recv(fd, at, n, 0);
        CHECK(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

static inline void check_closed(int fd) {
    uint8_t byte;
    CHECK(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

enum { HEADER_BYTES = 4 + 8 + 2 + 3, SMALL_REQUEST_BYTES = HEADER_BYTES + 4 };

/* A request of client "abc" whose body is a number, and `padding` bytes. Returns its size. */
static size_t put_request(uint8_t *to, int16_t key, int32_t correlation_id, uint32_t number,
                          size_t padding) {
    size_t size = SMALL_REQUEST_BYTES + padding;
    pl_put_u32(to, (uint32_t)(size - 4));
    pl_put_i16(to + 4, key);
    pl_put_i16(to + 6, 0);
    pl_put_i32(to + 8, correlation_id);
    pl_put_i16(to + 12, 3);
    memcpy(to + 14, "abc", 3);
    pl_put_u32(to + HEADER_BYTES, number);
    memset(to + SMALL_REQUEST_BYTES, 0x55, padding);
    return size;
}

static void send_request(int fd, int16_t key, int32_t correlation_id, uint32_t number) {
    uint8_t bytes[SMALL_REQUEST_BYTES];
    send_bytes(fd, bytes, put_request(bytes, key, correlation_id, number, 0));
}

/* Reads a reply; returns the size of its payload, whose first byte is *first. */
static size_t receive_reply(int fd, int32_t correlation_id, uint8_t *first) {
    uint8_t head[8];
    receive_bytes(fd, head, sizeof head);
    CHECK_EQ(pl_get_i32(head + 4), correlation_id);
    size_t n = pl_get_u32(head) - 4;
    uint8_t *payload = malloc(n > 0 ? n : 1);
    receive_bytes(fd, payload, n);
    *first = n > 0 ? payload[0] : 0;
    free(payload);
    return n;
}

static void check_reply(int fd, int32_t correlation_id, size_t payload) {
    uint8_t first;
    CHECK_EQ(receive_reply(fd, correlation_id, &first), payload);
}

#endif
