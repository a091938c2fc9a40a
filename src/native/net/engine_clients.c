/* The calls of pylog/engine.h about clients: who they are, what they may do, and their quotas. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/access.h"
#include "broker/quota.h"
#include "net/engine_call.h"

int pl_engine_set_quotas(struct pl_engine *engine, const struct pl_quota_rule *rules,
                         int32_t count) {
    enum pl_err err = pl_quotas_replace(pl_broker_quotas(engine->reactor.broker), rules, count);
    return err == PL_OK ? 0 : ENOMEM;
}

static struct pl_quota_client client_of(const char *user, const char *client_id) {
    return (struct pl_quota_client){.user = user,
                                    .client_id = client_id,
                                    .user_length = (uint32_t)strlen(user),
                                    .client_id_length = (uint32_t)strlen(client_id)};
}

static int32_t charge(struct pl_engine *engine, enum pl_quota_kind kind,
                      struct pl_quota_client client, uint64_t amount) {
    const struct pl_clock *clock = &engine->reactor.clock;
    return pl_quotas_charge(pl_broker_quotas(engine->reactor.broker), kind, &client, amount,
                            clock->monotonic_ns(clock->context));
}

int32_t pl_engine_charge_time(struct pl_engine *engine, const char *user, const char *client_id,
                              uint64_t busy_ns) {
    return charge(engine, PL_QUOTA_REQUEST, client_of(user, client_id), busy_ns);
}

int32_t pl_engine_charge_fetch(struct pl_engine *engine, const char *user, const char *client_id,
                               uint64_t bytes) {
    return charge(engine, PL_QUOTA_FETCH, client_of(user, client_id), bytes);
}

uint32_t pl_engine_most_fetched(struct pl_engine *engine, const char *user,
                                const char *client_id) {
    const struct pl_quota_client client = client_of(user, client_id);
    return pl_quotas_most_at_once(pl_broker_quotas(engine->reactor.broker), PL_QUOTA_FETCH,
                                  &client);
}

static struct pl_conn *conn_of(const struct pl_call *call) {
    return pl_conn_table_find(&call->engine->reactor.conns, call->handle);
}

static void run_mute(struct pl_call *call) {
    struct pl_conn *conn = conn_of(call);
    if (conn != NULL) {
        pl_conn_mute(conn, (int32_t)call->number);
    }
}

int pl_engine_mute(struct pl_engine *engine, uint64_t connection, int32_t throttle_ms) {
    const struct pl_call call = {.handle = connection, .number = throttle_ms};
    return pl_call_send(engine, run_mute, &call) ? 0 : ENOMEM;
}

/* ---- identity ---- */

static void run_guard(struct pl_call *call) {
    call->engine->reactor.guards[(uint8_t)call->handle] = (uint8_t)call->number;
}

int pl_engine_guard(struct pl_engine *engine, uint8_t listener, int guards) {
    const struct pl_call call = {.handle = listener, .number = guards};
    return pl_call_send(engine, run_guard, &call) ? 0 : ENOMEM;
}

static void run_admit(struct pl_call *call) {
    struct pl_conn *conn = conn_of(call);
    if (conn != NULL) {
        pl_conn_admit(conn);
    }
}

int pl_engine_admit(struct pl_engine *engine, uint64_t connection) {
    const struct pl_call call = {.handle = connection};
    return pl_call_send(engine, run_admit, &call) ? 0 : ENOMEM;
}

static void run_identify(struct pl_call *call) {
    struct pl_conn *conn = conn_of(call);
    if (conn != NULL) {
        pl_conn_identify(conn, call->bytes, call->max_bytes, call->number);
    }
}

int pl_engine_identify(struct pl_engine *engine, uint64_t connection, const char *user,
                       uint32_t subject, int64_t lifetime_ms) {
    const struct pl_call call = {.handle = connection,
                                 .number = lifetime_ms,
                                 .max_bytes = subject,
                                 .bytes = strdup(user)};
    if (call.bytes == NULL || !pl_call_send(engine, run_identify, &call)) {
        free(call.bytes);
        return ENOMEM;
    }
    return 0;
}

static void run_expect_tokens(struct pl_call *call) {
    struct pl_conn *conn = conn_of(call);
    if (conn != NULL) {
        conn->sends_tokens = true;
    }
}

int pl_engine_expect_tokens(struct pl_engine *engine, uint64_t connection) {
    const struct pl_call call = {.handle = connection};
    return pl_call_send(engine, run_expect_tokens, &call) ? 0 : ENOMEM;
}

/* ---- access ---- */

/* Packed grants: the bits, the topic, a null byte. */
static void *pack_grants(const struct pl_grant *grants, int32_t count, size_t *length) {
    *length = 0;
    for (int32_t i = 0; i < count; i++) {
        *length += strlen(grants[i].topic) + 2;
    }
    uint8_t *bytes = malloc(*length + 1), *at = bytes;
    for (int32_t i = 0; bytes != NULL && i < count; i++) {
        size_t size = strlen(grants[i].topic) + 1;
        *at++ = grants[i].bits;
        memcpy(at, grants[i].topic, size);
        at += size;
    }
    return bytes;
}

static enum pl_err unpack_grants(struct pl_access *access, const struct pl_call *call) {
    uint32_t subject = call->max_bytes;
    enum pl_err err = pl_access_open(access, subject, (uint8_t)call->number, call->flag);
    const char *at = call->bytes, *end = at + call->length;
    while (err == PL_OK && at < end) {
        uint8_t bits = (uint8_t)*at++;
        size_t length = strlen(at);
        err = pl_access_grant(access, subject, at, length, bits);
        at += length + 1;
    }
    return err;
}

/* What can't be granted is not allowed: a missing grant is none. */
static void run_set_grants(struct pl_call *call) {
    if (unpack_grants(pl_broker_access(call->engine->reactor.broker), call) != PL_OK) {
        pl_reactor_warn(&call->engine->reactor, "access to a topic was not granted: no memory");
    }
}

int pl_engine_set_grants(struct pl_engine *engine, uint32_t subject, uint8_t otherwise,
                         bool replace, const struct pl_grant *grants, int32_t count) {
    struct pl_call call = {.number = otherwise, .max_bytes = subject, .flag = replace};
    call.bytes = pack_grants(grants, count, &call.length);
    if (call.bytes == NULL || !pl_call_send(engine, run_set_grants, &call)) {
        free(call.bytes);
        return ENOMEM;
    }
    return 0;
}
