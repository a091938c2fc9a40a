/* Events on their way to the one thread that polls them (Python's). */
#ifndef PYLOG_NET_OUTBOX_H
#define PYLOG_NET_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pylog/engine.h"
#include "worker/mailbox.h"

struct pl_outbox { /* owned by the engine */
    struct pl_mailbox mailbox;
    struct pl_mail *waiting; /* taken, not yet polled; consumer only */
};

PL_MUST_CHECK enum pl_err pl_outbox_open(struct pl_outbox *outbox);
void pl_outbox_close(struct pl_outbox *outbox); /* drops what waits */

/* Copies the event with its client_id and data. PL_ERR_MEMORY: it was not sent. */
PL_MUST_CHECK enum pl_err pl_outbox_send_copy(struct pl_outbox *outbox,
                                              const struct pl_event *event);
/* The event's storage (from malloc, may be NULL) goes along, in the case of an error too. */
PL_MUST_CHECK enum pl_err pl_outbox_send(struct pl_outbox *outbox, const struct pl_event *event);

/* Consumer only. The descriptor stays readable while events wait. */
int pl_outbox_poll(struct pl_outbox *outbox, struct pl_event *events, int room);

#endif
