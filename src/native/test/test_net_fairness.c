/* However much Python is asked and answers at a time, the fast lane comes in between. The test
 * takes the turns of the reactor itself. */
#include "net/engine_call.h"
#include "test/check.h"
#include "test/fake_broker.h"
#include "test/net_client.h"

enum { CLIENTS = 5 * PL_MAX_CALLS_PER_TURN + 3, MOST_TURNS = 1000 };

static int clients[CLIENTS], producer;

static void take_turn(void) {
    CHECK_OK(pl_reactor_turn(&engine->reactor));
}

static bool is_readable(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, 0) == 1;
}

static int answered_clients(void) {
    int answered = 0;
    for (int i = 0; i < CLIENTS; i++) {
        answered += is_readable(clients[i]) ? 1 : 0;
    }
    return answered;
}

/* Returns how many turns it took until the producer has its answer. */
static int produce(int32_t correlation_id) {
    int turns = 0;
    send_request(producer, FAKE_ANSWER, correlation_id, 4);
    while (!is_readable(producer) && turns < MOST_TURNS) {
        take_turn();
        turns++;
    }
    check_reply(producer, correlation_id, 4);
    return turns;
}

static void dial_all(void) {
    producer = dial();
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = dial();
    }
    while (counters_now().connections_opened < CLIENTS + 1) {
        take_turn();
    }
    produce(0); /* who it is shows with its first request */
}

/* The next request that Python is to answer; 0: none waits. */
static uint64_t poll_request(void) {
    struct pl_event event;
    if (pl_engine_poll(engine, &event, 1) == 0) {
        return 0;
    }
    CHECK_EQ(event.kind, PL_EVENT_REQUEST);
    uint64_t handle = event.handle;
    pl_event_free(&event);
    return handle;
}

static uint64_t requests[CLIENTS];

static void a_produce_is_read_before_most_of_the_control_requests(void) {
    for (int i = 0; i < CLIENTS; i++) {
        send_request(clients[i], FAKE_CONTROL, i, 0);
    }
    CHECK_EQ(produce(1), 1);
    int told = 0;
    while ((requests[told] = poll_request()) != 0) {
        told++;
    }
    CHECK(told <= PL_MAX_CONTROL_PER_TURN);
    for (int turns = 0; told < CLIENTS && turns < MOST_TURNS;) {
        uint64_t request = poll_request();
        if (request == 0) {
            take_turn();
            turns++;
        } else {
            requests[told++] = request;
        }
    }
    CHECK_EQ(told, CLIENTS);
}

static void a_produce_is_answered_before_most_answers_of_python_are_sent(void) {
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_OK(pl_engine_reply(engine, requests[i], (const uint8_t *)"\0\0\0\1", 4));
    }
    CHECK_EQ(produce(2), 1);
    CHECK(answered_clients() <= PL_MAX_CALLS_PER_TURN);
    for (int turns = 0; answered_clients() < CLIENTS && turns < MOST_TURNS; turns++) {
        take_turn();
    }
    CHECK_EQ(answered_clients(), CLIENTS);
}

static void a_produce_does_not_wait_for_many_connections_to_be_closed(void) {
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t answer[8];
        receive_bytes(clients[i], answer, sizeof answer);
        close(clients[i]);
    }
    uint64_t before = counters_now().connections_closed;
    CHECK_EQ(produce(3), 1);
    CHECK(counters_now().connections_closed - before <= PL_MAX_CONTROL_PER_TURN);
    for (int turns = 0; turns < MOST_TURNS; turns++) {
        if (counters_now().connections_closed - before == CLIENTS) {
            break;
        }
        take_turn();
    }
    CHECK_EQ(counters_now().connections_closed - before, CLIENTS);
}

int main(void) {
    const struct pl_engine_options options = default_options();
    engine = pl_engine_create(&options);
    CHECK(engine != NULL);
    CHECK_OK(pl_engine_listen(engine, 3, "127.0.0.1", 0, &engine_port));
    CHECK_OK(pl_engine_serve(engine));
    pl_reactor_enter(&engine->reactor);
    take_turn();
    dial_all();
    RUN(a_produce_is_read_before_most_of_the_control_requests);
    RUN(a_produce_is_answered_before_most_answers_of_python_are_sent);
    RUN(a_produce_does_not_wait_for_many_connections_to_be_closed);
    close(producer);
    pl_engine_destroy(engine);
    return check_end();
}
