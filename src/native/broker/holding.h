/* The memory in which staged bytes lie, kept until they are written. Reactor thread only. */
#ifndef PYLOG_BROKER_HOLDING_H
#define PYLOG_BROKER_HOLDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pl_buf;

struct pl_holding {
    void *owner;
    void (*release)(void *owner); /* NULL: somebody else keeps it */
};
struct pl_holding pl_holding_of_buf(struct pl_buf *buf); /* takes the caller's reference */
struct pl_holding pl_holding_of_malloc(void *bytes);
void pl_holding_release(const struct pl_holding *holding);

struct pl_holdings { /* zeroes hold nothing */
    struct pl_holding *items;
    uint32_t count, room;
};
/* Room for one more: the add that follows cannot fail. False: no memory. */
bool pl_holdings_reserve(struct pl_holdings *holdings);
void pl_holdings_add(struct pl_holdings *holdings, const struct pl_holding *holding);
void pl_holdings_release(struct pl_holdings *holdings); /* all of them */
void pl_holdings_free(struct pl_holdings *holdings);    /* when none is left */

#endif
