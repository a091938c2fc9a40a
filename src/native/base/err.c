#include "base/err.h"

#include <errno.h>
#include <stddef.h>

static const char *const texts[PL_ERR_COUNT] = {
    [PL_OK] = "no error",
    [PL_ERR_MEMORY] = "out of memory",
    [PL_ERR_LIMIT] = "a limit is exceeded",
    [PL_ERR_INVALID] = "malformed input",
    [PL_ERR_CORRUPT] = "corrupt bytes",
    [PL_ERR_UNSUPPORTED] = "unsupported version or type",
    [PL_ERR_AGAIN] = "would block",
    [PL_ERR_CLOSED] = "closed",
    [PL_ERR_NOT_FOUND] = "not found",
    [PL_ERR_EXISTS] = "exists already",
    [PL_ERR_BUSY] = "busy",
    [PL_ERR_PERMISSION] = "permission denied",
    [PL_ERR_NO_SPACE] = "no space left",
    [PL_ERR_IO] = "input or output failed",
    [PL_ERR_OUT_OF_RANGE] = "offset out of range",
    [PL_ERR_TOO_LARGE] = "batch too large",
    [PL_ERR_ABOVE_SEGMENT] = "batch larger than a segment",
    [PL_ERR_TIMESTAMP] = "timestamp out of bounds",
    [PL_ERR_RECORD] = "record refused",
    [PL_ERR_DUPLICATE_SEQUENCE] = "duplicate sequence",
    [PL_ERR_OUT_OF_ORDER_SEQUENCE] = "sequence out of order",
    [PL_ERR_PRODUCER_EPOCH] = "producer fenced by a newer epoch",
    [PL_ERR_UNKNOWN_PRODUCER] = "unknown producer",
    [PL_ERR_TXN_STATE] = "batch outside a transaction",
    [PL_ERR_COORDINATOR_EPOCH] = "marker from a fenced coordinator",
    [PL_ERR_OFFLINE] = "log is offline",
};

const char *pl_err_text(enum pl_err err) {
    if ((unsigned)err >= PL_ERR_COUNT || texts[err] == NULL) {
        return "unknown error";
    }
    return texts[err];
}

enum pl_err pl_err_from_errno(int number) {
    switch (number) {
    case ENOMEM:
        return PL_ERR_MEMORY;
    case EMFILE:
    case ENFILE:
        return PL_ERR_LIMIT;
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EINPROGRESS:
        return PL_ERR_AGAIN;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
        return PL_ERR_CLOSED;
    case ENOENT:
        return PL_ERR_NOT_FOUND;
    case EEXIST:
        return PL_ERR_EXISTS;
    case EBUSY:
    case EADDRINUSE:
    case ENOTEMPTY:
        return PL_ERR_BUSY;
    case EACCES:
    case EPERM:
        return PL_ERR_PERMISSION;
    case ENOSPC:
    case EDQUOT:
        return PL_ERR_NO_SPACE;
    default:
        return PL_ERR_IO;
    }
}
