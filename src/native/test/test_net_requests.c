/* Requests in, replies out: cutting of frames, order, the control lane, files. */
#include <fcntl.h>

#include "test/check.h"
#include "test/fake_broker.h"
#include "test/net_client.h"

static void a_request_that_comes_byte_by_byte_is_answered(void) {
    int fd = dial();
    uint8_t bytes[SMALL_REQUEST_BYTES];
    size_t n = put_request(bytes, FAKE_ANSWER, 5, 3, 0);
    for (size_t i = 0; i < n; i++) {
        send_bytes(fd, bytes + i, 1);
    }
    check_reply(fd, 5, 3);
    close(fd);
}

static void pipelined_requests_of_every_size_are_answered_in_order(void) {
    enum { REQUESTS = 400, ROOM = 1100 * 1024 };
    int fd = dial();
    uint8_t *bytes = malloc(ROOM);
    for (int i = 0; i < REQUESTS; i++) {
        size_t padding = i % 50 == 7 ? 1024 * 1024 : (size_t)(i * 7919) % 70000;
        send_bytes(fd, bytes, put_request(bytes, FAKE_ANSWER, i, 1, padding));
    }
    for (int i = 0; i < REQUESTS; i++) {
        check_reply(fd, i, 1);
    }
    free(bytes);
    close(fd);
}

static void many_requests_in_one_packet_are_answered_in_order(void) {
    enum { REQUESTS = 3000 };
    static uint8_t bytes[REQUESTS * SMALL_REQUEST_BYTES];
    int fd = dial();
    size_t n = 0;
    for (int i = 0; i < REQUESTS; i++) {
        n += put_request(bytes + n, FAKE_ANSWER, i, 50, 0);
    }
    send_bytes(fd, bytes, n);
    for (int i = 0; i < REQUESTS; i++) {
        check_reply(fd, i, 50);
    }
    close(fd);
}

static void an_empty_answer_sends_nothing(void) {
    int fd = dial();
    send_request(fd, FAKE_ANSWER, 1, 0);
    send_request(fd, FAKE_ANSWER, 2, 4);
    check_reply(fd, 2, 4);
    close(fd);
}

static void a_reply_waits_for_those_before_it(void) {
    int waiting = dial(), other = dial();
    send_request(waiting, FAKE_WAIT, 1, 77);
    send_request(waiting, FAKE_ANSWER, 2, 9);
    struct pollfd readable = {.fd = waiting, .events = POLLIN};
    send_request(other, FAKE_RELEASE, 3, 12345); /* releases nobody */
    check_reply(other, 3, 1);
    CHECK_EQ(poll(&readable, 1, 20), 0);
    do { /* the engine may see the other connection first */
        send_request(other, FAKE_RELEASE, 4, 77);
        check_reply(other, 4, 1);
    } while (poll(&readable, 1, 20) == 0);
    check_reply(waiting, 1, 1);
    check_reply(waiting, 2, 9);
    close(waiting);
    close(other);
}

static void more_requests_than_reply_slots_are_all_answered(void) {
    enum { REQUESTS = PL_MAX_REPLY_SLOTS + 500 };
    int waiting = dial(), other = dial();
    send_request(waiting, FAKE_WAIT, 0, 1);
    for (int i = 1; i < REQUESTS; i++) {
        send_request(waiting, FAKE_ANSWER, i, 8);
    }
    struct pollfd readable = {.fd = waiting, .events = POLLIN};
    while (poll(&readable, 1, 1) == 0) {
        send_request(other, FAKE_RELEASE, 1, 1);
        check_reply(other, 1, 1);
    }
    check_reply(waiting, 0, 1);
    for (int i = 1; i < REQUESTS; i++) {
        check_reply(waiting, i, 8);
    }
    close(waiting);
    close(other);
}

enum { BIG_REQUESTS = 24, BIG_PADDING = 1024 * 1024 };

static void *send_big_requests(void *argument) {
    int fd = *(const int *)argument;
    uint8_t *bytes = malloc(SMALL_REQUEST_BYTES + BIG_PADDING);
    for (int i = 0; i < BIG_REQUESTS; i++) {
        send_bytes(fd, bytes, put_request(bytes, FAKE_WAIT, i, 100 + (uint32_t)i, BIG_PADDING));
    }
    free(bytes);
    return NULL;
}

static void check_idle(int32_t correlation_id, int other) { /* after turns with nothing to read */
    for (int i = 0; i < 20; i++) {
        send_request(other, FAKE_ANSWER, correlation_id + i, 1);
        check_reply(other, correlation_id + i, 1);
    }
}

static void who_is_owed_answers_to_many_bytes_is_not_read(void) {
    int waiting = dial(), other = dial();
    pthread_t sender;
    uint64_t before = counters_now().bytes_received;
    CHECK_OK(pthread_create(&sender, NULL, send_big_requests, &waiting));
    while (counters_now().bytes_received - before < PL_MAX_UNANSWERED_BYTES) {
        check_idle(0, other);
    }
    check_idle(0, other);
    CHECK(counters_now().bytes_received - before < PL_MAX_UNANSWERED_BYTES + 3 * BIG_PADDING);
    struct pollfd readable = {.fd = waiting, .events = POLLIN};
    for (int i = 0; i < BIG_REQUESTS; i++) { /* each lets one more in */
        do {
            send_request(other, FAKE_RELEASE, i, 100 + (uint32_t)i);
            check_reply(other, i, 1);
        } while (poll(&readable, 1, 1) == 0);
        check_reply(waiting, i, 1);
    }
    CHECK_OK(pthread_join(sender, NULL));
    close(waiting);
    close(other);
}

enum { CROWD = 12 }; /* together they would be owed half as much again as all may be */

struct crowd {
    int fds[CROWD];
    uint8_t *bytes; /* of one request */
    size_t n, sent[CROWD];
};

/* Sends what there is room for. */
static void push_all(struct crowd *crowd) {
    for (int i = 0; i < CROWD; i++) {
        size_t at = crowd->sent[i] % crowd->n;
        ssize_t sent = send(crowd->fds[i], crowd->bytes + at, crowd->n - at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        crowd->sent[i] += sent > 0 ? (size_t)sent : 0;
    }
}

static void while_all_are_owed_much_each_has_one_request_at_a_time(void) {
    struct crowd crowd = {.bytes = malloc(SMALL_REQUEST_BYTES + BIG_PADDING)};
    crowd.n = put_request(crowd.bytes, FAKE_WAIT, 0, 1000, BIG_PADDING);
    int other = dial();
    uint64_t before = counters_now().bytes_received;
    for (int i = 0; i < CROWD; i++) {
        crowd.fds[i] = dial();
    }
    while (counters_now().bytes_received - before < PL_MAX_ALL_UNANSWERED_BYTES) {
        push_all(&crowd);
    }
    for (int i = 0; i < 5 * CROWD; i++) {
        push_all(&crowd);
        check_idle(0, other); /* who is owed nothing is served */
    }
    uint64_t received = counters_now().bytes_received - before;
    CHECK(received < PL_MAX_ALL_UNANSWERED_BYTES + (CROWD + 2) * (uint64_t)BIG_PADDING);
    uint64_t closed = counters_now().connections_closed;
    for (int i = 0; i < CROWD; i++) {
        const struct linger reset = {.l_onoff = 1}; /* an end of input is not read, a reset is told */
        CHECK_OK(setsockopt(crowd.fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
        close(crowd.fds[i]);
    }
    free(crowd.bytes);
    while (counters_now().connections_closed - closed < CROWD) {
        check_idle(0, other);
    }
    send_request(other, FAKE_WAIT, 1, 2000); /* what they were owed no longer counts */
    send_request(other, FAKE_RELEASE, 2, 2000);
    check_reply(other, 1, 1);
    check_reply(other, 2, 1);
    close(other);
}

static void a_control_request_is_told_with_its_header(void) {
    int fd = dial();
    send_request(fd, FAKE_CONTROL, 42, 7);
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_REQUEST);
    CHECK_EQ(event.api_key, FAKE_CONTROL);
    CHECK_EQ(event.correlation_id, 42);
    CHECK_EQ(event.listener, 3);
    CHECK_EQ(event.client_id_length, 3);
    CHECK_BYTES(event.client_id, "abc", 3);
    CHECK_EQ(event.length, 4);
    CHECK_EQ(pl_get_u32(event.data), 7);
    CHECK_EQ(strcmp(event.peer, "127.0.0.1"), 0);
    CHECK_EQ(strcmp(event.local, "127.0.0.1"), 0);
    CHECK_OK(pl_engine_reply(engine, event.handle, (const uint8_t *)"\0\0\0\x2aok", 6));
    pl_event_free(&event);
    check_reply(fd, 42, 2);
    close(fd);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
}

static void a_connection_is_not_served_before_its_control_request_is_answered(void) {
    int fd = dial(), other = dial();
    send_request(fd, FAKE_CONTROL, 1, 0);
    send_request(fd, FAKE_ANSWER, 2, 5);
    send_request(fd, FAKE_CONTROL, 3, 0);
    struct pl_event event = next_event();
    send_request(other, FAKE_ANSWER, 9, 1);
    check_reply(other, 9, 1);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&readable, 1, 20), 0);
    CHECK_OK(pl_engine_reply(engine, event.handle, (const uint8_t *)"\0\0\0\x01", 4));
    pl_event_free(&event);
    check_reply(fd, 1, 0);
    check_reply(fd, 2, 5);
    event = next_event();
    CHECK_EQ(event.correlation_id, 3);
    CHECK_OK(pl_engine_reply(engine, event.handle, NULL, 0)); /* no answer */
    pl_event_free(&event);
    send_request(fd, FAKE_ANSWER, 4, 5);
    check_reply(fd, 4, 5);
    close(fd);
    close(other);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
}

static void a_late_reply_does_not_reach_the_next_connection(void) {
    int fd = dial();
    send_request(fd, FAKE_CONTROL, 1, 0);
    struct pl_event late = next_event();
    CHECK_OK(pl_engine_close_connection(engine, late.handle));
    struct pl_event closed = next_event();
    CHECK_EQ(closed.kind, PL_EVENT_CLOSED);
    CHECK_EQ(closed.handle, late.handle);
    check_closed(fd);
    fd = dial(); /* takes the place of the first */
    send_request(fd, FAKE_CONTROL, 2, 0);
    struct pl_event event = next_event();
    CHECK_EQ((uint32_t)event.handle, (uint32_t)late.handle);
    CHECK(event.handle != late.handle);
    CHECK_OK(pl_engine_reply(engine, late.handle, (const uint8_t *)"\0\0\0\x01", 4));
    CHECK_OK(pl_engine_reply(engine, event.handle, (const uint8_t *)"\0\0\0\x02", 4));
    check_reply(fd, 2, 0);
    close(fd);
    pl_event_free(&late);
    pl_event_free(&event);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
}

static void check_silent(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&readable, 1, 20), 0);
}

static void a_muted_connection_has_its_answer_and_then_waits(void) {
    int fd = dial(), other = dial();
    send_request(fd, FAKE_MUTE, 1, 300);
    send_request(fd, FAKE_ANSWER, 2, 5);
    check_reply(fd, 1, 1);
    send_request(other, FAKE_ANSWER, 9, 1);
    check_reply(other, 9, 1);
    check_silent(fd);
    check_reply(fd, 2, 5);
    close(fd);
    close(other);
}

static void a_connection_is_muted_from_outside(void) {
    int fd = dial();
    send_request(fd, FAKE_CONTROL, 1, 0);
    struct pl_event event = next_event();
    CHECK_OK(pl_engine_mute(engine, event.handle, 300));
    CHECK_OK(pl_engine_reply(engine, event.handle, (const uint8_t *)"\0\0\0\x01", 4));
    pl_event_free(&event);
    send_request(fd, FAKE_ANSWER, 2, 5);
    check_reply(fd, 1, 0);
    check_silent(fd);
    check_reply(fd, 2, 5);
    close(fd);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
}

enum { FILE_BYTES = 12 * 1024 * 1024 };

static void a_file_range_arrives_between_its_memory(void) {
    int fd = dial();
    uint8_t head[8], *bytes = malloc(FILE_BYTES + 1);
    for (int round = 0; round < 2; round++) {
        send_request(fd, FAKE_FILE, round, FILE_BYTES); /* more than the socket takes at once */
    }
    for (int round = 0; round < 2; round++) {
        receive_bytes(fd, head, sizeof head);
        CHECK_EQ(pl_get_i32(head + 4), round);
        CHECK_EQ(pl_get_u32(head), 4 + FILE_BYTES + 1);
        receive_bytes(fd, bytes, FILE_BYTES + 1);
        for (uint32_t i = 0; i < FILE_BYTES; i += 4) {
            CHECK_EQ(pl_get_u32(bytes + i), i);
        }
        CHECK_EQ(bytes[FILE_BYTES], 0x7f);
    }
    free(bytes);
    close(fd);
}

static void a_file_that_is_too_short_closes_the_connection(void) {
    int fd = dial();
    send_request(fd, FAKE_FILE, 1, FILE_BYTES + 1000);
    uint8_t bytes[4096];
    ssize_t got;
    size_t all = 0;
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        all += (size_t)got;
    }
    CHECK_EQ(all, 8 + FILE_BYTES);
    check_closed(fd);
}

/* A small frame, one that is read in place, and one in the middle of others. */
static void a_request_that_begins_a_transaction_waits_with_its_connection(void) {
    static const size_t paddings[] = {0, 300 * 1024};
    uint8_t *bytes = malloc(400 * 1024);
    for (size_t i = 0; i < 2; i++) {
        int fd = dial();
        send_request(fd, FAKE_ANSWER, 1, 4);
        send_bytes(fd, bytes, put_request(bytes, FAKE_VERIFY, 2, 8, paddings[i]));
        send_request(fd, FAKE_ANSWER, 3, 6);
        check_reply(fd, 1, 4);
        struct pl_event event = next_event();
        CHECK_EQ(event.kind, PL_EVENT_VERIFY);
        CHECK_EQ(event.length, sizeof(struct pl_verification));
        CHECK_BYTES(event.client_id, "txn", 3);
        struct pl_verification answer;
        memcpy(&answer, event.data, sizeof answer);
        CHECK_EQ(answer.partition, 8);
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        CHECK_EQ(poll(&readable, 1, 20), 0);
        answer.error = 5;
        CHECK_OK(pl_engine_verified(engine, event.handle, &answer, 1));
        CHECK_OK(pl_engine_verified(engine, event.handle, &answer, 1)); /* nobody waits for it */
        pl_event_free(&event);
        check_reply(fd, 2, 5);
        check_reply(fd, 3, 6);
        close(fd);
    }
    free(bytes);
}

static void a_verification_that_comes_too_late_is_dropped(void) {
    int fd = dial();
    send_request(fd, FAKE_VERIFY, 1, 8);
    struct pl_event event = next_event();
    close(fd);
    fd = dial();
    const struct pl_verification answer = {.partition = 8};
    CHECK_OK(pl_engine_verified(engine, event.handle, &answer, 1));
    pl_event_free(&event);
    send_request(fd, FAKE_ANSWER, 2, 6);
    check_reply(fd, 2, 6);
    close(fd);
}

static void make_file(void) {
    char path[] = "/tmp/pylog-test-XXXXXX";
    fake_file = mkstemp(path);
    CHECK(fake_file >= 0);
    CHECK_OK(unlink(path));
    uint8_t *bytes = malloc(FILE_BYTES);
    for (uint32_t i = 0; i < FILE_BYTES; i += 4) {
        pl_put_u32(bytes + i, i);
    }
    CHECK_EQ(pwrite(fake_file, bytes, FILE_BYTES, 0), FILE_BYTES);
    free(bytes);
}

int main(void) {
    make_file();
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    RUN(a_request_that_comes_byte_by_byte_is_answered);
    RUN(pipelined_requests_of_every_size_are_answered_in_order);
    RUN(many_requests_in_one_packet_are_answered_in_order);
    RUN(an_empty_answer_sends_nothing);
    RUN(a_reply_waits_for_those_before_it);
    RUN(more_requests_than_reply_slots_are_all_answered);
    RUN(who_is_owed_answers_to_many_bytes_is_not_read);
    RUN(while_all_are_owed_much_each_has_one_request_at_a_time);
    RUN(a_control_request_is_told_with_its_header);
    RUN(a_connection_is_not_served_before_its_control_request_is_answered);
    RUN(a_late_reply_does_not_reach_the_next_connection);
    RUN(a_request_that_begins_a_transaction_waits_with_its_connection);
    RUN(a_verification_that_comes_too_late_is_dropped);
    RUN(a_muted_connection_has_its_answer_and_then_waits);
    RUN(a_connection_is_muted_from_outside);
    RUN(a_file_range_arrives_between_its_memory);
    RUN(a_file_that_is_too_short_closes_the_connection);
    stop_engine();
    return check_end();
}
