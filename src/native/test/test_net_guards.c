/* Listeners that let nobody in unasked, or nobody who is not authenticated. */
#include "test/fake_broker.h"
#include "test/net_client.h"

enum { ASKS = 1, AUTHENTICATES = 2, HANDSHAKE = 17 };

static uint16_t ports[3]; /* of listeners, by number */

static int dial_at(int listener) {
    engine_port = ports[listener];
    return dial();
}

static void check_silent(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&readable, 1, 20), 0);
}

static struct pl_event next_of(int kind) {
    struct pl_event event = next_event();
    while (event.kind != kind) { /* connections of earlier tests go */
        CHECK_EQ(event.kind, PL_EVENT_CLOSED);
        pl_event_free(&event);
        event = next_event();
    }
    return event;
}

static uint64_t take_request(int16_t key) {
    struct pl_event event = next_of(PL_EVENT_REQUEST);
    CHECK_EQ(event.api_key, key);
    uint64_t handle = event.handle;
    pl_event_free(&event);
    return handle;
}

static void answer(uint64_t handle, uint8_t number) {
    const uint8_t reply[4] = {0, 0, 0, number};
    CHECK_OK(pl_engine_reply(engine, handle, reply, sizeof reply));
}

static void a_client_is_not_read_before_it_is_admitted(void) {
    int fd = dial_at(ASKS);
    struct pl_event event = next_of(PL_EVENT_OPENED);
    CHECK_EQ(event.listener, ASKS);
    CHECK_EQ(strcmp(event.peer, "127.0.0.1"), 0);
    send_request(fd, FAKE_ANSWER, 1, 5);
    check_silent(fd);
    CHECK_OK(pl_engine_admit(engine, event.handle));
    check_reply(fd, 1, 5);
    close(fd);
    CHECK_EQ(next_of(PL_EVENT_CLOSED).handle, event.handle);
}

static void before_it_is_identified_a_client_may_only_authenticate(void) {
    const int16_t refused[] = {FAKE_ANSWER, FAKE_WAIT, 3, 19};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int fd = dial_at(AUTHENTICATES);
        send_request(fd, refused[i], 1, 5);
        check_closed(fd);
    }
    int fd = dial_at(AUTHENTICATES);
    send_request(fd, FAKE_CONTROL, 1, 0); /* ApiVersions */
    uint64_t handle = take_request(FAKE_CONTROL);
    answer(handle, 1);
    check_reply(fd, 1, 0);
    send_request(fd, HANDSHAKE, 2, 0);
    CHECK_EQ(take_request(HANDSHAKE), handle);
    CHECK_OK(pl_engine_identify(engine, handle, "ann", 0, -1));
    answer(handle, 2);
    check_reply(fd, 2, 0);
    send_request(fd, FAKE_ANSWER, 3, 5);
    check_reply(fd, 3, 5);
    close(fd);
}

static void a_request_behind_the_handshake_waits_for_its_end(void) {
    int fd = dial_at(AUTHENTICATES);
    send_request(fd, HANDSHAKE, 1, 0);
    send_request(fd, FAKE_ANSWER, 2, 5);
    uint64_t handle = take_request(HANDSHAKE);
    answer(handle, 1); /* without success */
    check_reply(fd, 1, 0);
    check_closed(fd);
}

static void who_is_not_identified_can_not_send_much(void) {
    int fd = dial_at(AUTHENTICATES);
    uint8_t prefix[4];
    pl_put_u32(prefix, PL_MAX_UNKNOWN_FRAME_BYTES + 1);
    send_bytes(fd, prefix, sizeof prefix);
    check_closed(fd);
}

static void when_its_time_is_over_a_client_has_to_authenticate_again(void) {
    int fd = dial_at(AUTHENTICATES);
    send_request(fd, HANDSHAKE, 1, 0);
    uint64_t handle = take_request(HANDSHAKE);
    CHECK_OK(pl_engine_identify(engine, handle, "ann", 0, 0));
    answer(handle, 1);
    check_reply(fd, 1, 0);
    send_request(fd, HANDSHAKE, 2, 0);
    CHECK_EQ(take_request(HANDSHAKE), handle);
    CHECK_OK(pl_engine_identify(engine, handle, "ann", 0, 60000));
    answer(handle, 2);
    check_reply(fd, 2, 0);
    send_request(fd, FAKE_ANSWER, 3, 5);
    check_reply(fd, 3, 5);
    send_request(fd, HANDSHAKE, 4, 0);
    CHECK_EQ(take_request(HANDSHAKE), handle);
    CHECK_OK(pl_engine_identify(engine, handle, "ann", 0, 0));
    answer(handle, 4);
    check_reply(fd, 4, 0);
    send_request(fd, FAKE_ANSWER, 5, 5);
    check_closed(fd);
}

static void bare_tokens_come_as_they_are(void) {
    int fd = dial_at(AUTHENTICATES);
    send_request(fd, HANDSHAKE, 1, 0);
    uint64_t handle = take_request(HANDSHAKE);
    CHECK_OK(pl_engine_expect_tokens(engine, handle));
    answer(handle, 1);
    check_reply(fd, 1, 0);
    send_bytes(fd, "\0\0\0\3abc", 7);
    struct pl_event event = next_of(PL_EVENT_REQUEST);
    CHECK_EQ(event.api_key, 36);
    CHECK_EQ(event.api_version, -1);
    CHECK_EQ(event.length, 3);
    CHECK_BYTES(event.data, "abc", 3);
    pl_event_free(&event);
    CHECK_OK(pl_engine_identify(engine, handle, "ann", 0, -1));
    answer(handle, 9);
    check_reply(fd, 9, 0);
    send_request(fd, FAKE_ANSWER, 3, 5);
    check_reply(fd, 3, 5);
    close(fd);
}

int main(void) {
    const struct pl_engine_options options = default_options();
    start_engine(&options);
    CHECK_OK(pl_engine_guard(engine, ASKS, PL_GUARD_ASK));
    CHECK_OK(pl_engine_guard(engine, AUTHENTICATES, PL_GUARD_SASL));
    for (uint8_t listener = ASKS; listener <= AUTHENTICATES; listener++) {
        CHECK_OK(pl_engine_listen(engine, listener, "127.0.0.1", 0, &ports[listener]));
    }
    RUN(a_client_is_not_read_before_it_is_admitted);
    RUN(before_it_is_identified_a_client_may_only_authenticate);
    RUN(a_request_behind_the_handshake_waits_for_its_end);
    RUN(who_is_not_identified_can_not_send_much);
    RUN(when_its_time_is_over_a_client_has_to_authenticate_again);
    RUN(bare_tokens_come_as_they_are);
    stop_engine();
    return check_end();
}
