/* Walks the batches of a slice by their headers, for somebody who hands out records by offset and
 * never looks at them (share groups, KIP-932). Any thread that may wait for the disk. */
#ifndef PYLOG_BROKER_SURVEY_H
#define PYLOG_BROKER_SURVEY_H

#include "log/log.h"
#include "pylog/engine.h"

struct pl_survey { /* owned by who fills in the first two fields, until close */
    const struct pl_fs *fs;
    int64_t until_offset; /* the batch that reaches it is the last one */
    struct pl_aborted *aborted;
    size_t aborted_count;
    struct pl_batch_view *views; /* from malloc; whoever takes them sets NULL */
    size_t count, room;
    int64_t next_offset;
};

/* The partition's mutex is held. Without it nothing counts as aborted. */
PL_MUST_CHECK enum pl_err pl_survey_find_aborted(struct pl_survey *survey, struct pl_log *log,
                                                 const struct pl_slice *slice);
/* The slice is not empty. */
PL_MUST_CHECK enum pl_err pl_survey_run(struct pl_survey *survey, const struct pl_slice *slice);
void pl_survey_close(struct pl_survey *survey);

#endif
