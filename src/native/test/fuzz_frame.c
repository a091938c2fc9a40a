/* Request headers of any bytes: what is accepted lies inside the frame. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t length = 0;
    if (size < PL_FRAME_PREFIX_BYTES) {
        return 0;
    }
    if (pl_frame_length(data, PL_FRAME_SHORTEST_BYTES, PL_MAX_FRAME_BYTES, &length) == PL_OK) {
        assert(length <= PL_MAX_FRAME_BYTES);
    }
    uint8_t *frame = malloc(size); /* of exactly this size, so that a read beyond it is seen */
    memcpy(frame, data, size);
    struct pl_request request = {0};
    if (pl_frame_parse(frame, size, &request) == PL_OK) {
        assert(request.body >= frame + 10 && request.body + request.length == frame + size);
        assert(request.client_id_length >= -1 && request.client_id_length < (int64_t)size);
        assert(request.client_id == NULL || (const uint8_t *)request.client_id > frame);
    }
    free(frame);
    return 0;
}
