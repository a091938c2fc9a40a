/* What a request of the fast lane is charged to the quotas of its client. */
#ifndef PYLOG_BROKER_THROTTLE_H
#define PYLOG_BROKER_THROTTLE_H

#include <stdint.h>

#include "broker/client.h"
#include "broker/state.h"

/* When work on a request begins; 0 when nobody's time is limited. */
uint64_t pl_throttle_begin(const struct pl_broker *broker);
/* Charges the bytes and the time since then. Returns how long to mute the client, in ms. */
int32_t pl_throttle_end(struct pl_broker *broker, const struct pl_client *client,
                        enum pl_quota_kind kind, uint64_t bytes, uint64_t began_ns);
/* Takes back bytes that were charged but are not given. */
void pl_throttle_refund(struct pl_broker *broker, const struct pl_client *client,
                        enum pl_quota_kind kind, uint64_t bytes);

#endif
