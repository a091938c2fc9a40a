#include "worker/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BACKGROUND_NICE = 19 };
/* ioprio_set(2), which the C library does not declare: this thread, best effort, lowest level. */
enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_LOWEST = 2 << 13 | 7 };

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
    bool background;
    int count, room;
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
    bool one_is_left = pool->slow_running < pool->count - 1 || pool->count == 1;
    return pool->slow.first != NULL && one_is_left;
}

static void deliver_job(struct pl_mail *mail) {
    struct pl_job *job = (struct pl_job *)mail;
    job->done(job);
}

/* Whether a thread that waits is to be woken; lock held. */
static bool take_idle(struct pl_worker_pool *pool) {
    bool there_is_one = pool->idle > pool->signalled;
    pool->signalled += there_is_one ? 1 : 0;
    return there_is_one;
}

/* Lock held before and after, not while the job runs. */
static void run_one(struct pl_worker_pool *pool, bool slow) {
    struct pl_job *job = pop(slow ? &pool->slow : &pool->flushes);
    pool->slow_running += slow ? 1 : 0;
    bool wake = slow_may_run(pool) && take_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    if (wake) {
        pthread_cond_signal(&pool->wake);
    }
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

/* A system that refuses it runs the thread like any other. */
static void step_back(void) {
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_LOWEST);
}

static void *work(void *argument) {
    struct pl_worker_pool *pool = argument;
    if (pool->background) {
        step_back();
    }
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

int pl_worker_pool_grow(struct pl_worker_pool *pool, int threads) {
    int wanted = threads < pool->room ? threads : pool->room;
    pthread_mutex_lock(&pool->lock); /* nobody reads count before it is final */
    while (pool->count < wanted &&
           pthread_create(&pool->threads[pool->count], NULL, work, pool) == 0) {
        pool->count++;
    }
    int count = pool->count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

static struct pl_worker_pool *make_pool(int room, struct pl_mailbox *completions) {
    struct pl_worker_pool *pool =
        calloc(1, sizeof *pool + (size_t)room * sizeof pool->threads[0]);
    if (pool == NULL) {
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->flushes.end = &pool->flushes.first;
    pool->slow.end = &pool->slow.first;
    pool->completions = completions;
    pool->room = room;
    return pool;
}

enum pl_err pl_worker_pool_create(int threads, struct pl_mailbox *completions,
                                  struct pl_worker_pool **out) {
    if (threads < 1) {
        return PL_ERR_INVALID;
    }
    struct pl_worker_pool *pool = make_pool(threads, completions);
    if (pool == NULL || pl_worker_pool_grow(pool, threads) < threads) {
        pl_worker_pool_destroy(pool);
        return PL_ERR_MEMORY;
    }
    *out = pool;
    return PL_OK;
}

enum pl_err pl_worker_pool_create_background(const struct pl_worker_pool *beside, int room,
                                             struct pl_worker_pool **out) {
    struct pl_worker_pool *pool = make_pool(room, beside->completions);
    if (pool == NULL) {
        return PL_ERR_MEMORY;
    }
    pool->background = true;
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
    bool slow = kind == PL_JOB_SLOW && !pool->background;
    pthread_mutex_lock(&pool->lock);
    push(slow ? &pool->slow : &pool->flushes, job);
    /* Slow ones come by the hundred: a thread that takes one wakes the next, not the submitter. */
    bool wake = (!slow || pool->signalled == 0) && take_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    if (wake) {
        pthread_cond_signal(&pool->wake); /* without the lock, which the woken thread needs */
    }
}
