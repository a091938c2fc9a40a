/* When the next flush of a log begins: whom it waits for, and for how long. */
#include "broker/flush_hold.h"
#include "rig_produce.h"

static struct rig rig;
static const uint64_t MS = RIG_NS_PER_MS;

/* ---- the rule ---- */

/* A flush from `at_ns` on that takes `lasts_ns` and answers so many. */
static uint64_t flush(struct pl_flush_hold *hold, uint64_t at_ns, uint64_t lasts_ns,
                      uint32_t answered) {
    pl_flush_hold_begin(hold, at_ns);
    hold->answered += answered;
    pl_flush_hold_end(hold, at_ns + lasts_ns);
    return at_ns + lasts_ns;
}

static void a_flush_is_held_until_as_many_are_back_as_were_answered(void) {
    struct pl_flush_hold hold = {0};
    CHECK(!pl_flush_is_held(&hold, 0));
    uint64_t now_ns = flush(&hold, 1000, 400, 3);
    hold.arrived = 2;
    CHECK(pl_flush_is_held(&hold, now_ns));
    hold.arrived = 3;
    CHECK(!pl_flush_is_held(&hold, now_ns));
}

static void a_hold_lasts_as_long_as_the_flush_before_it(void) {
    struct pl_flush_hold hold = {0};
    uint64_t now_ns = flush(&hold, 1000, 400, 3);
    CHECK(pl_flush_is_held(&hold, now_ns + 399));
    CHECK(!pl_flush_is_held(&hold, now_ns + 400));
}

static void a_hold_after_a_slow_flush_is_a_millisecond(void) {
    struct pl_flush_hold hold = {0};
    uint64_t now_ns = flush(&hold, 0, 80 * MS, 3);
    CHECK(pl_flush_is_held(&hold, now_ns + MS - 1));
    CHECK(!pl_flush_is_held(&hold, now_ns + MS));
}

static void what_answered_nobody_holds_nobody(void) {
    struct pl_flush_hold hold = {0};
    CHECK(!pl_flush_is_held(&hold, flush(&hold, 0, 400, 0)));
}

static void holds_in_vain_become_rare(void) {
    struct pl_flush_hold hold = {0};
    uint64_t now_ns = 0;
    int held = 0;
    for (int i = 0; i < 1000; i++) {
        now_ns = flush(&hold, now_ns, 400, 4);
        held += pl_flush_is_held(&hold, now_ns) ? 1 : 0;
        hold.arrived += 2;
    }
    CHECK(held > 10 && held < 25);
    while (!pl_flush_is_held(&hold, now_ns)) {
        now_ns = flush(&hold, now_ns, 400, 4);
    }
    for (int i = 0; i < 100; i++) { /* and are as before once the clients come back */
        hold.arrived += 4;
        now_ns = flush(&hold, now_ns, 400, 4);
        CHECK(pl_flush_is_held(&hold, now_ns));
    }
}

/* ---- the broker ---- */

enum { CLIENTS = 3 };

struct clients {
    struct rig_single single;
    struct rig_reply replies[CLIENTS];
};

static void open_clients(struct clients *clients) {
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    memset(clients, 0, sizeof *clients);
    rig_single_open(&clients->single, "topic", &batch);
}

static void close_clients(struct clients *clients) {
    for (int i = 0; i < CLIENTS; i++) {
        rig_forget(&clients->replies[i]);
    }
    rig_single_close(&clients->single);
}

static void send(struct clients *clients, int from, int to) {
    for (int i = from; i < to; i++) {
        rig_forget(&clients->replies[i]);
        CHECK_OK(rig_produce(&rig, &clients->replies[i], &clients->single.produce));
    }
    pl_broker_before_sleep(rig.broker);
}

/* All send in one turn and are answered by one flush, which takes a millisecond. */
static void send_and_be_answered(struct clients *clients, int count) {
    send(clients, 0, count);
    rig.monotonic_ms++;
    for (int i = 0; i < count; i++) {
        rig_until(&rig, &clients->replies[i].completed);
    }
}

static bool is_held(void) {
    return pl_broker_next_ns(rig.broker) != UINT64_MAX;
}

static uint64_t flushes(void) {
    struct pl_engine_counters counters = {0};
    pl_broker_read_counters(rig.broker, &counters);
    return counters.flushes;
}

static void clients_that_come_back_one_by_one_share_a_flush(void) {
    struct clients clients;
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    send_and_be_answered(&clients, CLIENTS);
    uint64_t before = flushes();
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(i == 0 || is_held());
        send(&clients, i, i + 1);
    }
    CHECK(!is_held());
    rig_until(&rig, &clients.replies[0].completed);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ(rig_produced(&clients.replies[i]).base_offset, CLIENTS + i);
    }
    CHECK_EQ(flushes(), before + 1);
    close_clients(&clients);
    rig_close(&rig);
}

static void two_halves_become_one(void) {
    struct clients clients;
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    send(&clients, 0, 2);
    send(&clients, 2, CLIENTS); /* while the others are flushed */
    rig.monotonic_ms++;
    rig_until(&rig, &clients.replies[1].completed);
    CHECK(is_held() && !clients.replies[2].completed);
    uint64_t before = flushes();
    send(&clients, 0, 2);
    CHECK(!is_held());
    rig_until(&rig, &clients.replies[2].completed);
    CHECK(clients.replies[0].completed && clients.replies[1].completed);
    CHECK_EQ(flushes(), before + 1);
    close_clients(&clients);
    rig_close(&rig);
}

static void a_client_alone_is_never_held(void) {
    struct clients clients;
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    for (int i = 0; i < 5; i++) {
        send_and_be_answered(&clients, 1);
        send(&clients, 0, 1);
        CHECK(!is_held());
        rig_until(&rig, &clients.replies[0].completed);
    }
    close_clients(&clients);
    rig_close(&rig);
}

static void who_comes_back_is_answered_though_the_others_stay_away(void) {
    struct clients clients;
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    send_and_be_answered(&clients, CLIENTS);
    send(&clients, 0, 1);
    CHECK_EQ(pl_broker_next_ns(rig.broker), (rig.monotonic_ms + 1) * MS);
    rig_pass(&rig, 1);
    CHECK(!is_held());
    rig_until(&rig, &clients.replies[0].completed);
    close_clients(&clients);
    rig_close(&rig);
}

static void a_log_is_closed_though_its_flush_is_held(void) {
    struct clients clients;
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    send_and_be_answered(&clients, CLIENTS);
    send(&clients, 0, 1);
    CHECK(is_held());
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    CHECK_EQ(rig_produced(&clients.replies[0]).error, 0); /* it is flushed */
    rig_pass(&rig, 1);
    CHECK(!is_held());
    close_clients(&clients);
    rig_close(&rig);
}

static void a_broker_stops_though_a_flush_is_held(void) {
    struct clients clients;
    rig_open_topic(&rig, PL_DURABILITY_FSYNC);
    open_clients(&clients);
    send_and_be_answered(&clients, CLIENTS);
    send(&clients, 0, 1);
    CHECK(is_held());
    rig_cancel(&clients.replies[0]);
    close_clients(&clients);
    rig_close(&rig);
}

int main(void) {
    RUN(a_flush_is_held_until_as_many_are_back_as_were_answered);
    RUN(a_hold_lasts_as_long_as_the_flush_before_it);
    RUN(a_hold_after_a_slow_flush_is_a_millisecond);
    RUN(what_answered_nobody_holds_nobody);
    RUN(holds_in_vain_become_rare);
    RUN(clients_that_come_back_one_by_one_share_a_flush);
    RUN(two_halves_become_one);
    RUN(a_client_alone_is_never_held);
    RUN(who_comes_back_is_answered_though_the_others_stay_away);
    RUN(a_log_is_closed_though_its_flush_is_held);
    RUN(a_broker_stops_though_a_flush_is_held);
    return check_end();
}
