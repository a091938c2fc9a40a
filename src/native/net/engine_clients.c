/* The calls of pylog/engine.h about clients: their quotas, and single connections. */
#include <errno.h>
#include <string.h>

#include "broker/quota.h"
#include "net/engine_call.h"

int pl_engine_set_quotas(struct pl_engine *engine, const struct pl_quota_rule *rules,
                         int32_t count) {
    enum pl_err err = pl_quotas_replace(pl_broker_quotas(engine->reactor.broker), rules, count);
    return err == PL_OK ? 0 : ENOMEM;
}

int32_t pl_engine_charge_time(struct pl_engine *engine, const char *user, const char *client_id,
                              uint64_t busy_ns) {
    const struct pl_clock *clock = &engine->reactor.clock;
    const struct pl_quota_client client = {.user = user,
                                           .client_id = client_id,
                                           .user_length = (uint32_t)strlen(user),
                                           .client_id_length = (uint32_t)strlen(client_id)};
    return pl_quotas_charge(pl_broker_quotas(engine->reactor.broker), PL_QUOTA_REQUEST, &client,
                            busy_ns, clock->monotonic_ns(clock->context));
}

static void run_mute(struct pl_call *call) {
    struct pl_conn *conn = pl_conn_table_find(&call->engine->reactor.conns, call->handle);
    if (conn != NULL) {
        pl_conn_mute(conn, (int32_t)call->number);
    }
}

int pl_engine_mute(struct pl_engine *engine, uint64_t connection, int32_t throttle_ms) {
    const struct pl_call call = {.handle = connection, .number = throttle_ms};
    return pl_call_send(engine, run_mute, &call) ? 0 : ENOMEM;
}
