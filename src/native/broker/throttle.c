#include "broker/throttle.h"

static uint64_t now_ns(const struct pl_broker *broker) {
    const struct pl_clock *clock = broker->options.clock;
    return clock->monotonic_ns(clock->context);
}

uint64_t pl_throttle_begin(const struct pl_broker *broker) {
    return pl_quotas_limit(broker->quotas, PL_QUOTA_REQUEST) ? now_ns(broker) : 0;
}

int32_t pl_throttle_end(struct pl_broker *broker, const struct pl_client *client,
                        enum pl_quota_kind kind, uint64_t bytes, uint64_t began_ns) {
    bool counts_bytes = pl_quotas_limit(broker->quotas, kind);
    if (!counts_bytes && began_ns == 0) {
        return 0;
    }
    uint64_t now = now_ns(broker);
    int32_t for_bytes = pl_quotas_charge(broker->quotas, kind, &client->name, bytes, now);
    int32_t for_time = began_ns == 0 ? 0
                                     : pl_quotas_charge(broker->quotas, PL_QUOTA_REQUEST,
                                                        &client->name, now - began_ns, now);
    return for_bytes > for_time ? for_bytes : for_time;
}

void pl_throttle_refund(struct pl_broker *broker, const struct pl_client *client,
                        enum pl_quota_kind kind, uint64_t bytes) {
    pl_quotas_refund(broker->quotas, kind, &client->name, bytes, now_ns(broker));
}
