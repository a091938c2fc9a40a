/* Kafka's frame: int32 length, then a request header of version 1 or 2, then the body.
 *
 *   int16 api_key, int16 api_version, int32 correlation_id, nullable string client_id,
 *   and tagged fields where the version of the API is flexible (KIP-482).
 */
#ifndef PYLOG_NET_FRAME_H
#define PYLOG_NET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "api/lane.h"
#include "base/err.h"

enum {
    PL_FRAME_PREFIX_BYTES = 4,
    PL_FRAME_SHORTEST_BYTES = 10, /* key, version, correlation id, length of the client id */
};

/* Bytes after the prefix; PL_ERR_LIMIT above max_bytes, PL_ERR_INVALID below min_bytes, which for
 * a request is PL_FRAME_SHORTEST_BYTES. Reads PL_FRAME_PREFIX_BYTES. */
PL_MUST_CHECK enum pl_err pl_frame_length(const uint8_t *prefix, size_t min_bytes,
                                          size_t max_bytes, size_t *length);

/* The frame without its prefix. Sets the fields of the header and where the body is; PL_ERR_INVALID
 * when the bytes are no request. */
PL_MUST_CHECK enum pl_err pl_frame_parse(uint8_t *frame, size_t length,
                                         struct pl_request *request);

#endif
