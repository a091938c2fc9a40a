/* Files that nobody reads any more, removed on a worker (log/log.h, struct pl_disposal). */
#include "broker/state.h"

static struct pl_garbage *take_all(struct pl_collector *collector) {
    pthread_mutex_lock(&collector->mutex);
    struct pl_garbage *all = collector->first;
    collector->first = NULL;
    pthread_mutex_unlock(&collector->mutex);
    return all;
}

static void collect_all(struct pl_collector *collector) {
    for (struct pl_garbage *garbage; (garbage = take_all(collector)) != NULL;) {
        for (struct pl_garbage *next; garbage != NULL; garbage = next) {
            next = garbage->next;
            garbage->collect(garbage);
        }
    }
}

static void collect_run(struct pl_job *job) {
    collect_all(PL_CONTAINER(job, struct pl_collector, job));
}

static void submit_when_idle(struct pl_collector *collector) {
    if (!collector->under_way && collector->first != NULL) {
        collector->under_way = true;
        pl_worker_submit(collector->workers, &collector->job, PL_JOB_SLOW);
    }
}

/* The job may be submitted again only now. */
static void collect_done(struct pl_job *job) {
    struct pl_collector *collector = PL_CONTAINER(job, struct pl_collector, job);
    pthread_mutex_lock(&collector->mutex);
    collector->under_way = false;
    if (!collector->stopped) {
        submit_when_idle(collector);
    }
    pthread_mutex_unlock(&collector->mutex);
}

static void submit(void *owner, struct pl_garbage *garbage) { /* any thread */
    struct pl_collector *collector = owner;
    pthread_mutex_lock(&collector->mutex);
    bool stopped = collector->stopped;
    if (!stopped) {
        garbage->next = collector->first;
        collector->first = garbage;
        submit_when_idle(collector);
    }
    pthread_mutex_unlock(&collector->mutex);
    if (stopped) {
        garbage->collect(garbage);
    }
}

void pl_collector_open(struct pl_broker *broker) {
    struct pl_collector *collector = &broker->collector;
    collector->workers = broker->options.workers;
    collector->job.run = collect_run;
    collector->job.done = collect_done;
    pthread_mutex_init(&collector->mutex, NULL);
    broker->disposal = (struct pl_disposal){.owner = collector, .submit = submit};
}

void pl_collector_stop(struct pl_broker *broker) {
    pthread_mutex_lock(&broker->collector.mutex);
    broker->collector.stopped = true;
    pthread_mutex_unlock(&broker->collector.mutex);
}

void pl_collector_close(struct pl_broker *broker) {
    collect_all(&broker->collector);
    pthread_mutex_destroy(&broker->collector.mutex);
}
