/* The answer to a Fetch: heads in memory, records as ranges of segment files, or copied where
 * they are few enough that one writev sends everything. */
#ifndef PYLOG_API_FETCH_ANSWER_H
#define PYLOG_API_FETCH_ANSWER_H

#include "broker/fetch.h"

/* Completes the reply of `fetch` (its `finish`). Updates the session that the fetch belongs to,
 * or makes one. Without memory an empty frame is sent, that is: nothing. */
void pl_fetch_answer(struct pl_fetch *fetch, struct pl_fetch_result *results);
/* Answers with an error of the whole request. */
PL_MUST_CHECK enum pl_err pl_fetch_refuse(struct pl_broker *broker, struct pl_reply *reply,
                                          int16_t error);

#endif
