/* The load generator's heap of connections: earliest first, whatever moves and leaves. */
#include "bench/run.h"
#include "check.h"

enum { LINKS = 257, MOVES = 20000 };

static struct pl_link links[LINKS];
static struct pl_link *heap[LINKS];
static struct pl_run run;
static uint64_t state = 88172645463325252ULL;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void clear(void) {
    run = (struct pl_run){.links = links, .schedule = heap};
    for (int i = 0; i < LINKS; i++) {
        links[i].place = -1;
    }
}

static void an_empty_schedule_has_nothing_to_wait_for(void) {
    clear();
    CHECK(pl_schedule_first(&run) == NULL);
    CHECK(pl_schedule_next_ns(&run) == UINT64_MAX);
}

static void a_link_waits_for_its_time(void) {
    clear();
    pl_schedule_set(&run, &links[0], 1001);
    run.now_ns = 1000;
    CHECK(pl_schedule_first(&run) == NULL);
    run.now_ns = 1001;
    CHECK(pl_schedule_first(&run) == &links[0]);
}

static int move_about(void) {
    int placed = 0;
    for (int i = 0; i < MOVES; i++) {
        struct pl_link *link = &links[next_random() % LINKS];
        bool leaves = next_random() % 5 == 0;
        pl_schedule_set(&run, link, leaves ? UINT64_MAX : next_random() % 1000);
    }
    for (int i = 0; i < LINKS; i++) {
        placed += links[i].place >= 0;
    }
    return placed;
}

static void the_earliest_comes_first_whatever_moves_and_leaves(void) {
    clear();
    int left = move_about();
    CHECK(left == run.scheduled);
    run.now_ns = 1000;
    uint64_t before = 0;
    for (struct pl_link *link; (link = pl_schedule_first(&run)) != NULL; left--) {
        CHECK(link->next_ns == pl_schedule_next_ns(&run) && link->next_ns >= before);
        before = link->next_ns;
        pl_schedule_set(&run, link, UINT64_MAX);
    }
    CHECK(left == 0);
}

int main(void) {
    RUN(an_empty_schedule_has_nothing_to_wait_for);
    RUN(a_link_waits_for_its_time);
    RUN(the_earliest_comes_first_whatever_moves_and_leaves);
    return check_end();
}
