/* The one place where a request finds its lane.
 *
 * net/ calls pl_lane_of for every frame that it has cut, and pl_lane_handle for those of the
 * fast lane; the others go to Python through the mailbox.
 */
#ifndef PYLOG_API_LANE_H
#define PYLOG_API_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/reply.h"
#include "pylog/engine.h"

struct pl_buf;    /* base/buf.h */
struct pl_client; /* broker/client.h */
struct pl_broker; /* broker/broker.h: partition table, purgatory, sessions, clock, worker */

enum pl_lane { PL_LANE_FAST, PL_LANE_CONTROL, PL_LANE_UNSUPPORTED };

struct pl_request { /* a frame, header parsed; the bytes stay valid and writable until the end of
                       this turn of the reactor (the end of pl_broker_before_sleep) */
    uint8_t *body; /* after the header */
    size_t length;
    struct pl_buf *memory; /* in which the body lies: whoever needs it for longer retains it.
                              NULL: it stays as long as the broker may need it */
    const char *client_id; /* not terminated; NULL when null */
    int32_t client_id_length;
    const struct pl_client *client;
    uint64_t connection;
    int32_t correlation_id;
    int16_t api_key, api_version;
    uint8_t listener;
    const struct pl_verification *verified; /* answers to pl_lane_unverified, NULL: not asked */
    int32_t verified_count;
};

/* By key and version, from the generated table. UNSUPPORTED: fast-lane key with a version out of
 * range (the reply carries UNSUPPORTED_VERSION), or a key that nobody serves: control lane
 * answers those. */
enum pl_lane pl_lane_of(int16_t api_key, int16_t api_version);

/* Whether tagged fields end the request header (header version 2, KIP-482). Known for all keys
 * and also for versions above the served range; false for a key that nobody serves. */
bool pl_lane_header_is_flexible(int16_t api_key, int16_t api_version);

/* Of a request of the fast lane: the transactions that it would begin on partitions which do not
 * know them. When there are some, the request is handled after they were verified, and its
 * connection waits until then, so that the batches of a producer stay in order. */
struct pl_unverified {
    struct pl_span transactional_id; /* in the request */
    struct pl_verification *items;   /* from malloc, the caller's; NULL when there is none */
    int32_t count;
};
PL_MUST_CHECK enum pl_err pl_lane_unverified(struct pl_broker *broker,
                                             const struct pl_request *request,
                                             struct pl_unverified *unverified);

/* Answers now or parks the reply. An error means that the bytes are no request of this version:
 * the connection is closed and counted. */
PL_MUST_CHECK enum pl_err pl_lane_handle(struct pl_broker *broker, const struct pl_request *request,
                                         struct pl_reply *reply);

#endif
