/* Job threads: whatever may wait for the disk. Jobs are part of their owner, so submitting
 * never allocates and never fails; the queue is bounded by the number of owners (at most one
 * flush a log, one opening a partition).
 */
#ifndef PYLOG_WORKER_POOL_H
#define PYLOG_WORKER_POOL_H

#include "base/err.h"
#include "worker/mailbox.h"

struct pl_worker_pool;

/* A slow job (opening a log, unlink, compaction) never holds the last free thread, so that a
 * flush, which somebody's answer waits for, starts at once. */
enum pl_job_kind { PL_JOB_FLUSH, PL_JOB_SLOW };

struct pl_job { /* owned by the submitter; not touched by it between submit and done */
    struct pl_mail mail;
    void (*run)(struct pl_job *job);  /* on a worker */
    void (*done)(struct pl_job *job); /* on the reactor, after run */
};

/* `completions` is the reactor's mailbox: done is called from its delivery. */
PL_MUST_CHECK enum pl_err pl_worker_pool_create(int threads, struct pl_mailbox *completions,
                                                struct pl_worker_pool **pool);
/* Threads that step back when others want the processor or the disk, `room` of them at the most
 * and none at first. They take jobs of either kind in the order of their submission; completions
 * go where those of the pool `beside` go. */
PL_MUST_CHECK enum pl_err pl_worker_pool_create_background(const struct pl_worker_pool *beside,
                                                           int room, struct pl_worker_pool **pool);
/* Starts threads until there are so many, as far as there is room and the system gives any;
 * returns how many there are. One caller at a time. */
int pl_worker_pool_grow(struct pl_worker_pool *pool, int threads);
/* Runs what was submitted, then joins; the completions are in the mailbox afterwards. */
void pl_worker_pool_destroy(struct pl_worker_pool *pool);
void pl_worker_submit(struct pl_worker_pool *pool, struct pl_job *job, enum pl_job_kind kind);

#endif
