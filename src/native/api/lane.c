#include "api/lane.h"

#include "api/handlers.h"
#include "gen/api_table.h"

static const struct pl_api *find_api(int16_t api_key) {
    if (api_key < 0 || api_key >= PL_API_COUNT || !pl_apis[api_key].served) {
        return NULL;
    }
    return &pl_apis[api_key];
}

enum pl_lane pl_lane_of(int16_t api_key, int16_t api_version) {
    const struct pl_api *api = find_api(api_key);
    if (api == NULL) {
        return PL_LANE_UNSUPPORTED;
    }
    if (!api->fast) {
        return PL_LANE_CONTROL;
    }
    bool in_range = api_version >= api->min_version && api_version <= api->max_version;
    return in_range ? PL_LANE_FAST : PL_LANE_UNSUPPORTED;
}

bool pl_lane_header_is_flexible(int16_t api_key, int16_t api_version) {
    const struct pl_api *api = find_api(api_key);
    return api != NULL && api_version >= api->flexible_from;
}

enum pl_err pl_lane_unverified(struct pl_broker *broker, const struct pl_request *request,
                               struct pl_unverified *unverified) {
    *unverified = (struct pl_unverified){.count = 0};
    if (request->api_key != PL_KEY_PRODUCE || request->verified != NULL ||
        pl_lane_of(request->api_key, request->api_version) != PL_LANE_FAST) {
        return PL_OK;
    }
    return pl_produce_unverified(broker, request, unverified);
}

enum pl_err pl_lane_handle(struct pl_broker *broker, const struct pl_request *request,
                           struct pl_reply *reply) {
    switch (request->api_key) {
    case PL_KEY_PRODUCE:
        return pl_produce_handle(broker, request, reply);
    case PL_KEY_FETCH:
        return pl_fetch_handle(broker, request, reply);
    default:
        return PL_ERR_UNSUPPORTED;
    }
}
