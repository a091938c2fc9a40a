#include "worker/pool.h"

#include <pthread.h>
#include <stdlib.h>

struct queue {
    struct pl_mail *first, **end; /* linked by mail.next: a job is in one queue at a time */
};

struct pl_worker_pool { /* owned by the engine */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue flushes, slow; /* guarded by lock, like all below */
    struct pl_mailbox *completions;
    int slow_running;
    int idle;      /* threads that wait */
    int signalled; /* of those: have been woken and are on their way */
    bool ending;
    int count;
    pthread_t threads[];
};

static void push(struct queue *queue, struct pl_job *job) {
    job->mail.next = NULL;
    *queue->end = &job->mail;
    queue->end = &job->mail.next;
}

static struct pl_job *pop(struct queue *queue) {
    struct pl_mail *mail = queue->first;
    queue->first = mail->next;
    if (queue->first == NULL) {
        queue->end = &queue->first;
    }
    return (struct pl_job *)mail;
}

static bool slow_may_run(const struct pl_worker_pool *pool) {
    return pool->slow.first != NULL &&
           (pool->slow_running < pool->count - 1 || pool->count == 1);
}

static void deliver_job(struct pl_mail *mail) {
    struct pl_job *job = (struct pl_job *)mail;
    job->done(job);
}

/* Lock held before and after, not while the job runs. */
static void run_one(struct pl_worker_pool *pool, bool slow) {
    struct pl_job *job = pop(slow ? &pool->slow : &pool->flushes);
    pool->slow_running += slow ? 1 : 0;
    pthread_mutex_unlock(&pool->lock);
    job->run(job);
    job->mail.deliver = deliver_job;
    pl_mailbox_send(pool->completions, &job->mail);
    pthread_mutex_lock(&pool->lock);
    pool->slow_running -= slow ? 1 : 0;
}

static void wait_for_work(struct pl_worker_pool *pool) {
    pool->idle++;
    pthread_cond_wait(&pool->wake, &pool->lock);
    pool->idle--;
    if (pool->signalled > 0) {
        pool->signalled--;
    }
}

static void *work(void *argument) {
    struct pl_worker_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->flushes.first != NULL) {
            run_one(pool, false);
        } else if (slow_may_run(pool)) {
            run_one(pool, true);
        } else if (pool->ending && pool->slow.first == NULL) {
            break;
        } else {
            wait_for_work(pool);
        }
    }
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static bool start_threads(struct pl_worker_pool *pool, int threads) {
    pthread_mutex_lock(&pool->lock); /* nobody reads count before it is final */
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, work, pool) != 0) {
            break;
        }
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    return pool->count == threads;
}

enum pl_err pl_worker_pool_create(int threads, struct pl_mailbox *completions,
                                  struct pl_worker_pool **out) {
    if (threads < 1) {
        return PL_ERR_INVALID;
    }
    struct pl_worker_pool *pool =
        calloc(1, sizeof *pool + (size_t)threads * sizeof pool->threads[0]);
    if (pool == NULL) {
        return PL_ERR_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->flushes.end = &pool->flushes.first;
    pool->slow.end = &pool->slow.first;
    pool->completions = completions;
    if (!start_threads(pool, threads)) {
        pl_worker_pool_destroy(pool);
        return PL_ERR_MEMORY;
    }
    *out = pool;
    return PL_OK;
}

void pl_worker_pool_destroy(struct pl_worker_pool *pool) {
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void pl_worker_submit(struct pl_worker_pool *pool, struct pl_job *job, enum pl_job_kind kind) {
    pthread_mutex_lock(&pool->lock);
    push(kind == PL_JOB_SLOW ? &pool->slow : &pool->flushes, job);
    bool wake = pool->idle > pool->signalled;
    pool->signalled += wake ? 1 : 0;
    pthread_mutex_unlock(&pool->lock);
    if (wake) {
        pthread_cond_signal(&pool->wake); /* without the lock, which the woken thread needs */
    }
}
