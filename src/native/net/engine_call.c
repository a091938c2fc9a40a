#include "net/engine_call.h"

#include <stdlib.h>

enum { UNKNOWN_SERVER_ERROR = -1 };

static void deliver_call(struct pl_mail *mail) {
    struct pl_call *call = (struct pl_call *)mail;
    call->run(call);
    free(call->bytes);
    free(call);
}

bool pl_call_send(struct pl_engine *engine, void (*run)(struct pl_call *call),
                  const struct pl_call *call) {
    struct pl_call *sent = malloc(sizeof *sent);
    if (sent == NULL) {
        return false;
    }
    *sent = *call;
    sent->engine = engine;
    sent->run = run;
    sent->mail.deliver = deliver_call;
    pl_mailbox_send(&engine->reactor.calls.mailbox, &sent->mail);
    return true;
}

void pl_engine_fail_token(struct pl_engine *engine, uint64_t token) {
    const struct pl_event event = {
        .kind = PL_EVENT_DONE, .token = token, .error = UNKNOWN_SERVER_ERROR};
    if (pl_outbox_send(&engine->reactor.outbox, &event) != PL_OK) {
        abort(); /* somebody would wait for ever, and there is no memory to go on with */
    }
}

void pl_call_send_or_fail(struct pl_engine *engine, void (*run)(struct pl_call *call),
                          const struct pl_call *call) {
    if (!pl_call_send(engine, run, call)) {
        free(call->bytes);
        pl_engine_fail_token(engine, call->token);
    }
}
