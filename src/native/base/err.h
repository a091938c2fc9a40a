/* Errors inside the native code.
 *
 * errno never leaves the file that made the failing call: it becomes one of these there
 * (pl_err_from_errno). Codes of Kafka's protocol are made from them at the edge, in api/.
 */
#ifndef PYLOG_BASE_ERR_H
#define PYLOG_BASE_ERR_H

#define PL_MUST_CHECK __attribute__((warn_unused_result))

enum pl_err {
    PL_OK = 0,
    PL_ERR_MEMORY,      /* allocation failed */
    PL_ERR_LIMIT,       /* a limit of base/limits.h or of the configuration is exceeded */
    PL_ERR_INVALID,     /* malformed input, or an argument out of its range */
    PL_ERR_CORRUPT,     /* checksum or structure of stored or received bytes is wrong */
    PL_ERR_UNSUPPORTED, /* well formed, of a version or type that is not served */
    PL_ERR_AGAIN,       /* would block; try again when ready */
    PL_ERR_CLOSED,      /* the peer or the owner has closed it */
    PL_ERR_NOT_FOUND,
    PL_ERR_EXISTS,
    PL_ERR_BUSY,        /* address or folder is taken by somebody else */
    PL_ERR_PERMISSION,
    PL_ERR_NO_SPACE,    /* ENOSPC, EDQUOT: passing, the log stays online */
    PL_ERR_IO,          /* EIO and every unplanned errno: the log goes offline */
    PL_ERR_OUT_OF_RANGE, /* an offset outside [log start, bound] */
    /* refusals of an append, see log/log.h */
    PL_ERR_TOO_LARGE,            /* batch above max.message.bytes */
    PL_ERR_ABOVE_SEGMENT,        /* batch above segment.bytes */
    PL_ERR_TIMESTAMP,            /* timestamp outside the topic's bounds */
    PL_ERR_RECORD,               /* a record the topic does not take (no key on a compacted topic) */
    PL_ERR_DUPLICATE_SEQUENCE,   /* older than the last five batches of this producer */
    PL_ERR_OUT_OF_ORDER_SEQUENCE,
    PL_ERR_PRODUCER_EPOCH,       /* fenced by a newer epoch */
    PL_ERR_UNKNOWN_PRODUCER,
    PL_ERR_TXN_STATE,            /* transactional batch outside a transaction */
    PL_ERR_COORDINATOR_EPOCH,    /* marker from a fenced transaction coordinator */
    PL_ERR_OFFLINE,              /* the log is offline after a failed write or flush */
    PL_ERR_COUNT
};

/* Static text, never NULL; for logs. */
const char *pl_err_text(enum pl_err err);

/* Call right after the failing system call. Never returns PL_OK. */
enum pl_err pl_err_from_errno(int number);

#endif
