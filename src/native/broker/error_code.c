#include "broker/error_code.h"

int16_t pl_error_code(enum pl_err err) {
    switch (err) {
    case PL_OK:
        return PL_KAFKA_NONE;
    case PL_ERR_CORRUPT:
        return PL_KAFKA_CORRUPT_MESSAGE;
    case PL_ERR_INVALID:
    case PL_ERR_RECORD:
        return PL_KAFKA_INVALID_RECORD;
    case PL_ERR_UNSUPPORTED:
        return PL_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    case PL_ERR_TOO_LARGE:
        return PL_KAFKA_MESSAGE_TOO_LARGE;
    case PL_ERR_ABOVE_SEGMENT:
        return PL_KAFKA_RECORD_LIST_TOO_LARGE;
    case PL_ERR_TIMESTAMP:
        return PL_KAFKA_INVALID_TIMESTAMP;
    case PL_ERR_OUT_OF_RANGE:
        return PL_KAFKA_OFFSET_OUT_OF_RANGE;
    case PL_ERR_DUPLICATE_SEQUENCE: /* beyond the batches that are remembered: as Kafka */
    case PL_ERR_OUT_OF_ORDER_SEQUENCE:
        return PL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case PL_ERR_PRODUCER_EPOCH:
        return PL_KAFKA_INVALID_PRODUCER_EPOCH;
    case PL_ERR_UNKNOWN_PRODUCER:
        return PL_KAFKA_UNKNOWN_PRODUCER_ID;
    case PL_ERR_TXN_STATE:
        return PL_KAFKA_INVALID_TXN_STATE;
    case PL_ERR_COORDINATOR_EPOCH:
        return PL_KAFKA_TRANSACTION_COORDINATOR_FENCED;
    case PL_ERR_CLOSED:
        return PL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    case PL_ERR_NOT_FOUND:
        return PL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case PL_ERR_NO_SPACE:
    case PL_ERR_IO:
    case PL_ERR_OFFLINE:
        return PL_KAFKA_KAFKA_STORAGE_ERROR;
    default:
        return PL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
}
