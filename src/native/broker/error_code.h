/* Errors of the native code as codes of Kafka's protocol. */
#ifndef PYLOG_BROKER_ERROR_CODE_H
#define PYLOG_BROKER_ERROR_CODE_H

#include <stdint.h>

#include "base/err.h"
#include "gen/errors.h"

int16_t pl_error_code(enum pl_err err);

#endif
