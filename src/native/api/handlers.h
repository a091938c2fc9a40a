/* The handlers of the fast lane, one file a key. Contract: pl_lane_handle in api/lane.h. */
#ifndef PYLOG_API_HANDLERS_H
#define PYLOG_API_HANDLERS_H

#include "api/lane.h"

enum { PL_KEY_PRODUCE = 0, PL_KEY_FETCH = 1 };

PL_MUST_CHECK enum pl_err pl_produce_handle(struct pl_broker *broker,
                                            const struct pl_request *request,
                                            struct pl_reply *reply);
/* See pl_lane_unverified. */
PL_MUST_CHECK enum pl_err pl_produce_unverified(struct pl_broker *broker,
                                                const struct pl_request *request,
                                                struct pl_unverified *unverified);
PL_MUST_CHECK enum pl_err pl_fetch_handle(struct pl_broker *broker,
                                          const struct pl_request *request,
                                          struct pl_reply *reply);

#endif
