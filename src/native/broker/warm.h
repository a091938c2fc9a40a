/* Records that lie on the disk alone are brought into the page cache by a worker before they are
 * sent: a consumer that reads old records must not hold up the reactor, and so everybody else.
 */
#ifndef PYLOG_BROKER_WARM_H
#define PYLOG_BROKER_WARM_H

#include "broker/fetch.h"

struct pl_warming; /* owned by its job */

/* True when a job has been started for what `results` lack in the cache; pl_fetch_warmed is
 * called at its end, unless the fetch has left it. The slices stay the caller's. */
PL_MUST_CHECK bool pl_warm_start(struct pl_fetch *fetch, const struct pl_fetch_result *results);
void pl_warm_leave(struct pl_warming *warming); /* the fetch goes away */

#endif
