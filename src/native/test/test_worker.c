#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "test/check.h"
#include "worker/mailbox.h"
#include "worker/pool.h"

static struct pl_mailbox mailbox;

static void wait_for_mail(void) {
    if (pl_mailbox_arm(&mailbox)) {
        struct pollfd readable = {.fd = mailbox.fd, .events = POLLIN};
        CHECK_EQ(poll(&readable, 1, 20000), 1);
        pl_mailbox_disarm(&mailbox, true);
    }
}

/* ---- mailbox ---- */

enum { SENDERS = 4, LETTERS = 20000 };

struct letter { /* mail is the first member */
    struct pl_mail mail;
    int sender, number;
};

static struct letter letters[SENDERS][LETTERS];
static int next_number[SENDERS];

static void read_letter(struct pl_mail *mail) {
    const struct letter *letter = (struct letter *)mail;
    CHECK_EQ(letter->number, next_number[letter->sender]);
    next_number[letter->sender]++;
}

static void *send_letters(void *argument) {
    struct letter *own = argument;
    for (int i = 0; i < LETTERS; i++) {
        own[i].mail.deliver = read_letter;
        pl_mailbox_send(&mailbox, &own[i].mail);
    }
    return NULL;
}

static void letters_of_each_sender_arrive_once_and_in_order(void) {
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        for (int k = 0; k < LETTERS; k++) {
            letters[i][k] = (struct letter){.sender = i, .number = k};
        }
        CHECK_OK(pthread_create(&threads[i], NULL, send_letters, letters[i]));
    }
    for (int read = 0; read < SENDERS * LETTERS;) {
        wait_for_mail();
        read += pl_mailbox_deliver(&mailbox);
    }
    for (int i = 0; i < SENDERS; i++) {
        CHECK_OK(pthread_join(threads[i], NULL));
        CHECK_EQ(next_number[i], LETTERS);
    }
}

static bool is_readable(void) {
    struct pollfd readable = {.fd = mailbox.fd, .events = POLLIN};
    return poll(&readable, 1, 0) == 1;
}

static void only_an_armed_mailbox_is_rung(void) {
    struct letter one = {.mail.deliver = NULL}, two = one;
    pl_mailbox_disarm(&mailbox, true); /* a ring of the test before may have come late */
    pl_mailbox_send(&mailbox, &one.mail);
    CHECK(!is_readable());
    CHECK(!pl_mailbox_arm(&mailbox));
    CHECK(pl_mailbox_take(&mailbox) == &one.mail);
    CHECK(pl_mailbox_arm(&mailbox));
    pl_mailbox_send(&mailbox, &one.mail);
    pl_mailbox_send(&mailbox, &two.mail);
    CHECK(is_readable());
    pl_mailbox_disarm(&mailbox, true);
    CHECK(!is_readable());
    const struct pl_mail *taken = pl_mailbox_take(&mailbox);
    CHECK(taken == &one.mail && taken->next == &two.mail);
    CHECK(pl_mailbox_take(&mailbox) == NULL);
}

static void a_delivery_with_a_limit_leaves_the_rest_to_the_next(void) {
    enum { SENT = 5 };
    struct letter sent[SENT];
    next_number[0] = 0;
    for (int i = 0; i < SENT; i++) {
        sent[i] = (struct letter){.mail.deliver = read_letter, .number = i};
        pl_mailbox_send(&mailbox, &sent[i].mail);
    }
    CHECK_EQ(pl_mailbox_deliver_some(&mailbox, 2), 2);
    CHECK_EQ(next_number[0], 2);
    CHECK(!pl_mailbox_arm(&mailbox)); /* what is left is a reason not to sleep */
    struct letter late = {.mail.deliver = read_letter, .number = SENT};
    pl_mailbox_send(&mailbox, &late.mail);
    CHECK_EQ(pl_mailbox_deliver_some(&mailbox, 2), 2);
    CHECK_EQ(pl_mailbox_deliver(&mailbox), 2);
    CHECK_EQ(next_number[0], SENT + 1);
    CHECK(pl_mailbox_arm(&mailbox));
    pl_mailbox_disarm(&mailbox, false);
}

/* ---- jobs ---- */

struct task { /* job is the first member */
    struct pl_job job;
    sem_t begun, may_end;
    int ran, done;
};

static void run_task(struct pl_job *job) {
    struct task *task = (struct task *)job;
    task->ran++;
    sem_post(&task->begun);
    sem_wait(&task->may_end);
}

static void end_task(struct pl_job *job) {
    ((struct task *)job)->done++;
}

static void task_init(struct task *task) {
    *task = (struct task){.job.run = run_task, .job.done = end_task};
    CHECK_OK(sem_init(&task->begun, 0, 0));
    CHECK_OK(sem_init(&task->may_end, 0, 0));
}

static void a_job_is_done_in_the_delivery_of_the_mailbox(void) {
    struct pl_worker_pool *pool = NULL;
    struct task task;
    task_init(&task);
    CHECK_OK(pl_worker_pool_create(1, &mailbox, &pool));
    pl_worker_submit(pool, &task.job, PL_JOB_FLUSH);
    sem_post(&task.may_end);
    while (task.done == 0) {
        wait_for_mail();
        pl_mailbox_deliver(&mailbox);
    }
    CHECK_EQ(task.ran, 1);
    CHECK_EQ(task.done, 1);
    pl_worker_pool_destroy(pool);
}

static void slow_jobs_leave_a_thread_for_flushes(void) {
    struct pl_worker_pool *pool = NULL;
    struct task slow[3], flush;
    CHECK_OK(pl_worker_pool_create(2, &mailbox, &pool));
    for (int i = 0; i < 3; i++) {
        task_init(&slow[i]);
        pl_worker_submit(pool, &slow[i].job, PL_JOB_SLOW);
    }
    sem_wait(&slow[0].begun);
    task_init(&flush);
    pl_worker_submit(pool, &flush.job, PL_JOB_FLUSH);
    sem_wait(&flush.begun); /* although three slow ones came first and none has ended */
    sem_post(&flush.may_end);
    for (int i = 0; i < 3; i++) {
        sem_post(&slow[i].may_end);
    }
    pl_worker_pool_destroy(pool);
    pl_mailbox_deliver(&mailbox);
    CHECK_EQ(flush.done, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(slow[i].done, 1);
    }
}

static void slow_jobs_run_beside_each_other_though_one_thread_is_woken(void) {
    enum { TASKS = 3 };
    struct pl_worker_pool *pool = NULL;
    struct task slow[TASKS];
    CHECK_OK(pl_worker_pool_create(TASKS + 1, &mailbox, &pool));
    for (int i = 0; i < TASKS; i++) {
        task_init(&slow[i]);
        pl_worker_submit(pool, &slow[i].job, PL_JOB_SLOW);
    }
    for (int i = 0; i < TASKS; i++) {
        sem_wait(&slow[i].begun); /* and none has ended */
    }
    for (int i = 0; i < TASKS; i++) {
        sem_post(&slow[i].may_end);
    }
    pl_worker_pool_destroy(pool);
    CHECK_EQ(pl_mailbox_deliver(&mailbox), TASKS);
}

static void what_was_submitted_runs_before_the_pool_ends(void) {
    enum { TASKS = 100 };
    static struct task tasks[TASKS];
    struct pl_worker_pool *pool = NULL;
    CHECK_OK(pl_worker_pool_create(3, &mailbox, &pool));
    for (int i = 0; i < TASKS; i++) {
        task_init(&tasks[i]);
        sem_post(&tasks[i].may_end);
        pl_worker_submit(pool, &tasks[i].job, i % 3 == 0 ? PL_JOB_FLUSH : PL_JOB_SLOW);
    }
    pl_worker_pool_destroy(pool);
    CHECK_EQ(pl_mailbox_deliver(&mailbox), TASKS);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(tasks[i].done, 1);
    }
}

int main(void) {
    CHECK_OK(pl_mailbox_open(&mailbox));
    RUN(letters_of_each_sender_arrive_once_and_in_order);
    RUN(only_an_armed_mailbox_is_rung);
    RUN(a_delivery_with_a_limit_leaves_the_rest_to_the_next);
    RUN(a_job_is_done_in_the_delivery_of_the_mailbox);
    RUN(slow_jobs_leave_a_thread_for_flushes);
    RUN(slow_jobs_run_beside_each_other_though_one_thread_is_woken);
    RUN(what_was_submitted_runs_before_the_pool_ends);
    pl_mailbox_close(&mailbox);
    return check_end();
}
