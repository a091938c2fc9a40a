#include "base/timer_wheel.h"
#include "test/check.h"

static struct pl_timer_wheel wheel;

struct alarm { /* timer is the first member */
    struct pl_timer timer;
    uint64_t fired_at;
    int count;
};

static void ring(struct pl_timer *timer) {
    struct alarm *alarm = (struct alarm *)timer;
    alarm->fired_at = wheel.now_ms;
    alarm->count++;
}

static void every_timer_fires_once_and_at_its_time(void) {
    enum { COUNT = 20000 };
    static struct alarm alarms[COUNT];
    uint64_t state = 12345;
    pl_timer_wheel_init(&wheel, 987654321);
    for (int i = 0; i < COUNT; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        alarms[i].timer.fire = ring;
        uint64_t range = 1ull << (i % 26); /* up to 18 hours, beyond the coarsest wheel */
        pl_timer_set(&wheel, &alarms[i].timer, wheel.now_ms + 1 + (state >> 20) % range);
    }
    while (pl_timer_wheel_next_ms(&wheel) != UINT64_MAX) {
        pl_timer_wheel_advance(&wheel, pl_timer_wheel_next_ms(&wheel));
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(alarms[i].count, 1);
        CHECK_EQ(alarms[i].fired_at, alarms[i].timer.due_ms);
    }
}

static void a_long_sleep_fires_all_that_was_due_in_order(void) {
    struct alarm early = {.timer.fire = ring}, late = {.timer.fire = ring};
    pl_timer_wheel_init(&wheel, 5);
    pl_timer_set(&wheel, &late.timer, 300000);
    pl_timer_set(&wheel, &early.timer, 70);
    pl_timer_wheel_advance(&wheel, 299999);
    CHECK_EQ(early.fired_at, 70);
    CHECK_EQ(late.count, 0);
    pl_timer_wheel_advance(&wheel, 10000000);
    CHECK_EQ(late.fired_at, 300000);
    CHECK_EQ(wheel.now_ms, 10000000);
}

static void a_timer_that_is_cleared_or_moved_does_not_fire_at_its_old_time(void) {
    struct alarm cleared = {.timer.fire = ring}, moved = {.timer.fire = ring};
    pl_timer_wheel_init(&wheel, 0);
    pl_timer_set(&wheel, &cleared.timer, 10);
    pl_timer_set(&wheel, &moved.timer, 10);
    pl_timer_clear(&wheel, &cleared.timer);
    pl_timer_clear(&wheel, &cleared.timer);
    CHECK(!pl_timer_is_set(&cleared.timer));
    pl_timer_set(&wheel, &moved.timer, 4096);
    pl_timer_wheel_advance(&wheel, 4095);
    CHECK_EQ(moved.count, 0);
    pl_timer_wheel_advance(&wheel, 4096);
    CHECK_EQ(moved.count, 1);
    CHECK_EQ(cleared.count, 0);
}

static void a_time_that_has_passed_fires_at_the_next_millisecond(void) {
    struct alarm alarm = {.timer.fire = ring};
    pl_timer_wheel_init(&wheel, 1000);
    pl_timer_set(&wheel, &alarm.timer, 3);
    CHECK_EQ(pl_timer_wheel_next_ms(&wheel), 1001);
    pl_timer_wheel_advance(&wheel, 1000);
    CHECK_EQ(alarm.count, 0);
    pl_timer_wheel_advance(&wheel, 1001);
    CHECK_EQ(alarm.count, 1);
}

static struct alarm neighbour;

static void clear_neighbour(struct pl_timer *timer) {
    ring(timer);
    pl_timer_clear(&wheel, &neighbour.timer);
}

static void a_timer_may_clear_one_that_is_due_in_the_same_millisecond(void) {
    struct alarm first = {.timer.fire = clear_neighbour};
    neighbour = (struct alarm){.timer.fire = ring};
    pl_timer_wheel_init(&wheel, 0);
    pl_timer_set(&wheel, &first.timer, 64);
    pl_timer_set(&wheel, &neighbour.timer, 64);
    pl_timer_wheel_advance(&wheel, 64);
    CHECK_EQ(first.count, 1);
    CHECK_EQ(neighbour.count, 0);
}

int main(void) {
    RUN(every_timer_fires_once_and_at_its_time);
    RUN(a_long_sleep_fires_all_that_was_due_in_order);
    RUN(a_timer_that_is_cleared_or_moved_does_not_fire_at_its_old_time);
    RUN(a_time_that_has_passed_fires_at_the_next_millisecond);
    RUN(a_timer_may_clear_one_that_is_due_in_the_same_millisecond);
    return check_end();
}
