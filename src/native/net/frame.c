#include "net/frame.h"

#include "base/bytes.h"
#include "base/cursor.h"

enum pl_err pl_frame_length(const uint8_t *prefix, size_t min_bytes, size_t max_bytes,
                            size_t *length) {
    uint32_t n = pl_get_u32(prefix);
    if (n > INT32_MAX || n < min_bytes) {
        return PL_ERR_INVALID;
    }
    if (n > max_bytes) {
        return PL_ERR_LIMIT;
    }
    *length = n;
    return PL_OK;
}

enum pl_err pl_frame_parse(uint8_t *frame, size_t length, struct pl_request *request) {
    struct pl_cursor cursor = pl_cursor_open(frame, length);
    request->api_key = pl_cursor_i16(&cursor);
    request->api_version = pl_cursor_i16(&cursor);
    request->correlation_id = pl_cursor_i32(&cursor);
    struct pl_span client_id = pl_cursor_string(&cursor);
    if (pl_lane_header_is_flexible(request->api_key, request->api_version)) {
        pl_cursor_skip_tags(&cursor);
    }
    if (cursor.err != PL_OK || request->api_key < 0 || request->api_version < 0) {
        return PL_ERR_INVALID;
    }
    request->client_id = (const char *)client_id.data;
    request->client_id_length = client_id.length;
    request->body = frame + (cursor.pos - frame);
    request->length = pl_cursor_left(&cursor);
    return PL_OK;
}
