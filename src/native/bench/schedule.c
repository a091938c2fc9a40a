/* The open loop's arrivals, and a heap of the connections by when each is to be looked at: what
 * a turn costs grows with the connections that are due, not with all that there are. */
#include "bench/run.h"

/* The producers' arrivals interleave evenly: each starts a little after the one before it. */
static uint64_t phase_ns(const struct pl_run *run, const struct pl_link *link) {
    double all_per_ns = run->per_link_per_ns * (double)run->options->connections;
    return run->start_ns + (uint64_t)((double)link->index / all_per_ns);
}

int64_t pl_schedule_due(const struct pl_run *run, const struct pl_link *link, uint64_t at_ns) {
    uint64_t from_ns = phase_ns(run, link);
    return at_ns <= from_ns ? 0 : (int64_t)((double)(at_ns - from_ns) * run->per_link_per_ns);
}

uint64_t pl_schedule_arrival_ns(const struct pl_run *run, const struct pl_link *link,
                                int64_t number) {
    return phase_ns(run, link) + (uint64_t)((double)(number + 1) / run->per_link_per_ns);
}

static void put(struct pl_run *run, int place, struct pl_link *link) {
    run->schedule[place] = link;
    link->place = place;
}

static void rise(struct pl_run *run, int place, struct pl_link *link) {
    while (place > 0 && run->schedule[(place - 1) / 2]->next_ns > link->next_ns) {
        put(run, place, run->schedule[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(run, place, link);
}

static void sink(struct pl_run *run, int place, struct pl_link *link) {
    for (;;) {
        int child = 2 * place + 1;
        if (child + 1 < run->scheduled &&
            run->schedule[child + 1]->next_ns < run->schedule[child]->next_ns) {
            child++;
        }
        if (child >= run->scheduled || run->schedule[child]->next_ns >= link->next_ns) {
            break;
        }
        put(run, place, run->schedule[child]);
        place = child;
    }
    put(run, place, link);
}

static void settle(struct pl_run *run, int place, struct pl_link *link) {
    if (place > 0 && run->schedule[(place - 1) / 2]->next_ns > link->next_ns) {
        rise(run, place, link);
    } else {
        sink(run, place, link);
    }
}

static void leave(struct pl_run *run, struct pl_link *link) {
    int place = link->place;
    struct pl_link *last = run->schedule[--run->scheduled];
    link->place = -1;
    if (last != link) {
        settle(run, place, last);
    }
}

void pl_schedule_set(struct pl_run *run, struct pl_link *link, uint64_t at_ns) {
    if (at_ns == UINT64_MAX) {
        if (link->place >= 0) {
            leave(run, link);
        }
        return;
    }
    link->next_ns = at_ns;
    if (link->place < 0) {
        rise(run, run->scheduled++, link);
    } else {
        settle(run, link->place, link);
    }
}

struct pl_link *pl_schedule_first(const struct pl_run *run) {
    bool due = run->scheduled > 0 && run->schedule[0]->next_ns <= run->now_ns;
    return due ? run->schedule[0] : NULL;
}

uint64_t pl_schedule_next_ns(const struct pl_run *run) {
    return run->scheduled > 0 ? run->schedule[0]->next_ns : UINT64_MAX;
}
