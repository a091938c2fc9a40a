/* The one queue in which threads meet: many senders, one receiver.
 *
 *   receiver:  awake ──pl_mailbox_arm──▶ armed ──first send writes the eventfd──▶ awake
 *
 * A send is one compare-and-swap; only the one that meets an armed mailbox makes a system call.
 */
#ifndef PYLOG_WORKER_MAILBOX_H
#define PYLOG_WORKER_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct pl_mail { /* the first member of what is sent */
    struct pl_mail *next;
    void (*deliver)(struct pl_mail *mail); /* on the receiver's thread; takes the mail */
};

struct pl_mailbox { /* owned by the receiver */
    _Atomic(struct pl_mail *) newest;
    atomic_bool armed;
    int fd; /* eventfd, readable after a send to an armed mailbox */
    struct pl_mail *left; /* taken and not delivered yet, oldest first; receiver only */
};

PL_MUST_CHECK enum pl_err pl_mailbox_open(struct pl_mailbox *mailbox);
/* Mail that is still inside stays with the caller: take it first. */
void pl_mailbox_close(struct pl_mailbox *mailbox);

void pl_mailbox_send(struct pl_mailbox *mailbox, struct pl_mail *mail); /* any thread */

/* Receiver only. Everything that waits, but for what a delivery has left; oldest first, linked by
 * next; NULL for none. */
struct pl_mail *pl_mailbox_take(struct pl_mailbox *mailbox);
/* Takes and delivers; returns how many. */
int pl_mailbox_deliver(struct pl_mailbox *mailbox);
/* Likewise, but `most` of them at most: the rest comes first in the next delivery. */
int pl_mailbox_deliver_some(struct pl_mailbox *mailbox, int most);
/* Before sleeping on fd. False: mail waits, do not sleep. */
PL_MUST_CHECK bool pl_mailbox_arm(struct pl_mailbox *mailbox);
/* After the sleep; `rung`: fd was found readable, and is emptied. */
void pl_mailbox_disarm(struct pl_mailbox *mailbox, bool rung);
void pl_mailbox_ring(const struct pl_mailbox *mailbox); /* makes fd readable */

#endif
