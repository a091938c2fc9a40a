#include "broker/holding.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"

static void give_buf(void *owner) {
    pl_buf_give(owner);
}

struct pl_holding pl_holding_of_buf(struct pl_buf *buf) {
    return (struct pl_holding){.owner = buf, .release = give_buf};
}

struct pl_holding pl_holding_of_malloc(void *bytes) {
    return (struct pl_holding){.owner = bytes, .release = free};
}

void pl_holding_release(const struct pl_holding *holding) {
    if (holding->release != NULL) {
        holding->release(holding->owner);
    }
}

bool pl_holdings_reserve(struct pl_holdings *holdings) {
    if (holdings->count < holdings->room) {
        return true;
    }
    uint32_t room = holdings->room == 0 ? 4 : holdings->room * 2;
    struct pl_holding *items = realloc(holdings->items, room * sizeof *items);
    if (items == NULL) {
        return false;
    }
    holdings->items = items;
    holdings->room = room;
    return true;
}

void pl_holdings_add(struct pl_holdings *holdings, const struct pl_holding *holding) {
    if (holding->release != NULL) {
        holdings->items[holdings->count++] = *holding;
    }
}

void pl_holdings_release(struct pl_holdings *holdings) {
    while (holdings->count > 0) {
        pl_holding_release(&holdings->items[--holdings->count]);
    }
}

void pl_holdings_free(struct pl_holdings *holdings) {
    assert(holdings->count == 0);
    free(holdings->items);
}
