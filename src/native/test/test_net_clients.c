/* Clients that come, go, stall and misbehave. */
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

#include "net/listener.h"
#include "test/check.h"
#include "test/fake_broker.h"
#include "test/net_client.h"

static void wait_until_closed(uint64_t count) {
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < WAIT_MS && counters_now().connections_closed < count; i++) {
        nanosleep(&pause, NULL);
    }
    CHECK_EQ(counters_now().connections_closed, count);
}

static void check_refused(const void *bytes, size_t n) {
    uint64_t refused = counters_now().frames_refused;
    int fd = dial();
    send_bytes(fd, bytes, n);
    check_closed(fd);
    CHECK_EQ(counters_now().frames_refused, refused + 1);
}

static void what_is_no_kafka_frame_closes_its_connection_alone(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int neighbour = dial();
    check_refused("GET / HTTP/1.1\r\n\r\n", 18);
    check_refused("\xff\xff\xff\xff", 4);                                  /* length -1 */
    check_refused("\x00\x00\x00\x00", 4);                                  /* too short */
    check_refused("\x00\x40\x00\x01", 4);                                  /* above the limit */
    check_refused("\x00\x00\x00\x0a\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", 14); /* key -1 */
    check_refused("\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09", 14); /* client id */
    check_refused("\x00\x00\x00\x0b\x00\x00\x00\x09\x00\x00\x00\x00\xff\xff\x01", 15); /* tags */
    check_refused("\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00", 15); /* body */
    send_request(neighbour, FAKE_ANSWER, 1, 2);
    check_reply(neighbour, 1, 2);
    close(neighbour);
    stop_engine();
}

static void a_slow_reader_is_not_read_further_and_loses_nothing(void) {
    enum { REQUESTS = 400, PAYLOAD = 100 * 1000 };
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int slow = dial(), other = dial();
    for (int i = 0; i < REQUESTS; i++) {
        send_request(slow, FAKE_ANSWER, i, PAYLOAD);
    }
    for (int i = 0; i < 100; i++) {
        send_request(other, FAKE_ANSWER, i, 5);
        check_reply(other, i, 5);
    }
    CHECK(counters_now().bytes_sent < (uint64_t)REQUESTS * PAYLOAD);
    for (int i = 0; i < REQUESTS; i++) {
        check_reply(slow, i, PAYLOAD);
    }
    close(slow);
    close(other);
    stop_engine();
}

static void a_client_that_only_ends_its_input_gets_its_answers(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int half = dial(), other = dial();
    send_request(half, FAKE_WAIT, 1, 5);
    CHECK_OK(shutdown(half, SHUT_WR));
    struct pollfd readable = {.fd = half, .events = POLLIN};
    do {
        send_request(other, FAKE_RELEASE, 2, 5);
        check_reply(other, 2, 1);
    } while (poll(&readable, 1, 1) == 0);
    check_reply(half, 1, 1);
    check_closed(half);
    close(other);
    stop_engine();
}

static void who_waits_for_more_is_answered_when_the_client_ends_its_input(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int half = dial();
    for (int i = 0; i < 3; i++) {
        send_request(half, FAKE_PATIENT, i, 5);
    }
    CHECK_OK(shutdown(half, SHUT_WR));
    for (int i = 0; i < 3; i++) {
        check_reply(half, i, 1);
    }
    check_closed(half);
    stop_engine();
}

static void replies_that_wait_are_cancelled_with_their_connection(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int fd = dial();
    for (int i = 0; i < 3; i++) {
        send_request(fd, FAKE_WAIT, i, 5);
    }
    send_request(fd, FAKE_CONTROL, 3, 0);
    struct pl_event event = next_event(); /* so the three are parked */
    CHECK_OK(pl_engine_close_connection(engine, event.handle));
    pl_event_free(&event);
    check_closed(fd);
    stop_engine();
    CHECK_EQ(fake_cancelled, 3);
}

static void a_reset_in_the_middle_of_a_send_harms_nobody(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int neighbour = dial();
    for (int round = 0; round < 20; round++) {
        int fd = dial();
        for (int i = 0; i < 10; i++) {
            send_request(fd, FAKE_ANSWER, i, 1000 * 1000);
        }
        uint8_t byte;
        receive_bytes(fd, &byte, 1);
        const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
        close(fd);
    }
    send_request(neighbour, FAKE_ANSWER, 1, 2);
    check_reply(neighbour, 1, 2);
    wait_until_closed(20);
    close(neighbour);
    stop_engine();
}

static void above_the_limit_connections_are_closed_at_once(void) {
    struct pl_engine_options options = default_options();
    options.max_connections = 2;
    start_engine(&options);
    int first = dial(), second = dial();
    send_request(first, FAKE_ANSWER, 1, 1);
    check_reply(first, 1, 1);
    send_request(second, FAKE_ANSWER, 1, 1);
    check_reply(second, 1, 1);
    check_closed(dial());
    CHECK_EQ(counters_now().connections_refused, 1);
    close(first);
    wait_until_closed(1);
    int third = dial();
    send_request(third, FAKE_ANSWER, 1, 1);
    check_reply(third, 1, 1);
    close(second);
    close(third);
    stop_engine();
}

static void without_a_free_descriptor_clients_are_turned_away(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int probe = dial(), client = dial();
    send_request(probe, FAKE_ANSWER, 1, 1);
    check_reply(probe, 1, 1);
    send_request(client, FAKE_ANSWER, 1, 1);
    check_reply(client, 1, 1);
    struct rlimit before, none;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
    int next = socket(AF_INET, SOCK_STREAM, 0); /* the client's own, made before */
    none = before;
    none.rlim_cur = (rlim_t)next + 1;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(engine_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(connect(next, (struct sockaddr *)&address, sizeof address));
    check_closed(next);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_WARNING);
    pl_event_free(&event);
    send_request(probe, FAKE_ANSWER, 2, 1);
    check_reply(probe, 2, 1);
    close(probe);
    close(client);
    stop_engine();
}

static int buffer_of(int fd, int option) {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &bytes, &size));
    return bytes;
}

static void a_connection_has_the_buffers_of_its_listener(void) {
    const struct pl_socket_buffers buffers = {.send = 50 * 1024, .receive = 30 * 1024};
    struct pl_listener listener;
    CHECK_OK(pl_listener_open(&listener, 0, "127.0.0.1", 0, buffers, &engine_port));
    int client = dial();
    struct pollfd waiting = {.fd = listener.fd, .events = POLLIN};
    CHECK_EQ(poll(&waiting, 1, -1), 1);
    struct pl_accepted accepted;
    CHECK_EQ(pl_listener_accept(&listener, &accepted), PL_OK);
    CHECK_EQ(buffer_of(accepted.fd, SO_SNDBUF), 2 * buffers.send); /* socket(7): doubled */
    CHECK_EQ(buffer_of(accepted.fd, SO_RCVBUF), 2 * buffers.receive);
    close(accepted.fd);
    close(client);
    pl_listener_close(&listener);
}

static void an_idle_connection_is_closed_but_not_one_that_waits(void) {
    struct pl_engine_options options = default_options();
    options.idle_timeout_ms = 30;
    start_engine(&options);
    int waiting = dial(), idle = dial();
    send_request(waiting, FAKE_CONTROL, 1, 0);
    struct pl_event event = next_event();
    check_closed(idle);
    struct pollfd readable = {.fd = waiting, .events = POLLIN};
    CHECK_EQ(poll(&readable, 1, 100), 0);
    CHECK_OK(pl_engine_reply(engine, event.handle, (const uint8_t *)"\0\0\0\x01", 4));
    pl_event_free(&event);
    check_reply(waiting, 1, 0);
    check_closed(waiting);
    stop_engine();
}

static void a_thousand_connections_are_all_served(void) {
    enum { CONNECTIONS = 1000, ROUNDS = 5 };
    static int fds[CONNECTIONS];
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial();
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            send_request(fds[i], FAKE_ANSWER, i, 10);
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            check_reply(fds[i], i, 10);
        }
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
    }
    wait_until_closed(CONNECTIONS);
    stop_engine();
}

/* ---- the end ---- */

static void a_drain_answers_what_is_in_flight_and_closes(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int busy = dial(), idle = dial();
    send_request(busy, FAKE_PATIENT, 0, 0);
    send_request(busy, FAKE_CONTROL, 1, 0);
    struct pl_event request = next_event();
    pl_engine_drain(engine, 99, WAIT_MS);
    check_closed(idle);
    send_request(busy, FAKE_ANSWER, 2, 1); /* too late */
    CHECK_OK(pl_engine_reply(engine, request.handle, (const uint8_t *)"\0\0\0\x01", 4));
    pl_event_free(&request);
    check_reply(busy, 0, 1);
    check_reply(busy, 1, 0);
    check_closed(busy);
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_DONE);
    CHECK_EQ(event.token, 99);
    pl_event_free(&event);
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(engine_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(refused, (struct sockaddr *)&address, sizeof address), -1);
    close(refused);
    stop_engine();
}

static void a_drain_does_not_wait_longer_than_it_may(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    int fd = dial();
    send_request(fd, FAKE_WAIT, 1, 0);
    send_request(fd, FAKE_CONTROL, 2, 0);
    struct pl_event event = next_event();
    pl_event_free(&event);
    pl_engine_drain(engine, 7, 20);
    check_closed(fd);
    do {
        event = next_event();
        pl_event_free(&event);
    } while (event.kind != PL_EVENT_DONE);
    CHECK_EQ(event.token, 7);
    stop_engine();
    CHECK_EQ(fake_cancelled, 1);
}

static void calls_with_a_token_end_before_and_after_serving(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    pl_engine_drain(engine, 1, 0);
    pl_engine_append(engine, 2, 0, (const uint8_t *)"x", 1, true, PL_WAIT_COMMITTED);
    const uint64_t handle = 0;
    pl_engine_close_partitions(engine, 3, &handle, 1, false);
    for (uint64_t token = 1; token <= 3; token++) {
        struct pl_event event = next_event();
        CHECK_EQ(event.kind, PL_EVENT_DONE);
        CHECK_EQ(event.token, token);
        pl_event_free(&event);
    }
    stop_engine();
}

static void a_port_that_is_taken_is_reported(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    uint16_t port = 0;
    CHECK_EQ(pl_engine_listen(engine, 1, "127.0.0.1", engine_port, &port), EADDRINUSE);
    CHECK_EQ(pl_engine_listen(engine, 1, "192.0.2.1", 0, &port), EADDRNOTAVAIL);
    CHECK_OK(pl_engine_listen(engine, 1, "", 0, &port));
    engine_port = port;
    int fd = dial();
    send_request(fd, FAKE_ANSWER, 1, 1);
    check_reply(fd, 1, 1);
    close(fd);
    stop_engine();
}

int main(void) {
    RUN(what_is_no_kafka_frame_closes_its_connection_alone);
    RUN(a_slow_reader_is_not_read_further_and_loses_nothing);
    RUN(a_client_that_only_ends_its_input_gets_its_answers);
    RUN(who_waits_for_more_is_answered_when_the_client_ends_its_input);
    RUN(replies_that_wait_are_cancelled_with_their_connection);
    RUN(a_reset_in_the_middle_of_a_send_harms_nobody);
    RUN(above_the_limit_connections_are_closed_at_once);
    RUN(without_a_free_descriptor_clients_are_turned_away);
    RUN(a_connection_has_the_buffers_of_its_listener);
    RUN(an_idle_connection_is_closed_but_not_one_that_waits);
    RUN(a_thousand_connections_are_all_served);
    RUN(a_drain_answers_what_is_in_flight_and_closes);
    RUN(a_drain_does_not_wait_longer_than_it_may);
    RUN(calls_with_a_token_end_before_and_after_serving);
    RUN(a_port_that_is_taken_is_reported);
    return check_end();
}
