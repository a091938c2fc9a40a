/* One partition as its leader sees it: the log, how far it is durable and committed, and who
 * waits for that.
 *
 *   OPENING ──log is open──▶ SERVING ──close──▶ CLOSING ──jobs ended──▶ CLOSED
 *      │                        └──the disk has failed──┐     ▲
 *      ├──could not be opened──▶ OFFLINE ◀──────────────┘     │
 *      │                            └──────────close──────────┤
 *      └──deleted meanwhile───────────────────────────────────┘
 *
 * Whoever waits names a level: an offset is reached when the end of that level is at or above it.
 *   WRITTEN    in the page cache
 *   DURABLE    flushed, or written where the topic's durability is `os` (acks 1)
 *   COMMITTED  below the high watermark: durable here and on every replica in sync (acks -1)
 *
 * Only the reactor changes a partition, with its mutex held; so the reactor reads what is
 * marked "shared" without the mutex, and everybody else with it.
 */
#ifndef PYLOG_BROKER_PARTITION_H
#define PYLOG_BROKER_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "broker/flush_hold.h"
#include "broker/holding.h"
#include "broker/partition_table.h"
#include "broker/ring.h"
#include "log/log.h"

enum pl_partition_state {
    PL_PARTITION_OPENING,
    PL_PARTITION_SERVING,
    PL_PARTITION_OFFLINE,
    PL_PARTITION_CLOSING,
    PL_PARTITION_CLOSED,
};

enum pl_level { PL_LEVEL_WRITTEN, PL_LEVEL_DURABLE, PL_LEVEL_COMMITTED, PL_LEVEL_COUNT };

struct pl_wait { /* owned by the waiter */
    struct pl_ring link;
    int64_t end_offset;
    void (*end)(struct pl_wait *wait, int16_t error); /* out of the ring when called */
};

struct pl_watch { /* owned by a parked fetch: told when there is more to read, or an error */
    struct pl_ring link;
    void (*wake)(struct pl_watch *watch);
};

struct pl_partition { /* owned by its references */
    atomic_uint references;
    enum pl_partition_state state; /* reactor */
    struct pl_broker *broker;
    struct pl_topic *topic; /* while attached */
    uint64_t handle;
    int32_t index;
    bool internal; /* a topic of the broker's own: clients do not write to it */

    /* shared */
    pthread_mutex_t mutex;
    struct pl_log *log; /* NULL before it is open and from its close on */
    struct pl_log_offsets offsets;
    int64_t high_watermark, last_stable;
    int32_t leader_epoch;
    struct pl_clean *clean;        /* under way */
    bool leaving;                  /* no clean begins */
    bool uncleanable;              /* likewise: a clean has met what it can't read */
    enum pl_durability durability; /* in force; flush.messages=1 counts as fsync */

    /* reactor */
    bool touched, offline_told, deleted;
    struct pl_partition *touched_next;
    struct pl_ring waits[PL_LEVEL_COUNT]; /* by end offset */
    struct pl_ring watches;
    struct pl_flush *flush; /* under way */
    bool flush_ended;       /* in this turn */
    struct pl_flush_hold flush_hold;
    bool is_held;                   /* in the broker's list of those */
    struct pl_partition *held_next; /* of that list */
    struct pl_job flush_job;
    struct pl_write *write; /* under way, on a worker */
    struct pl_job write_job;
    struct pl_holdings staged, writing; /* memory of what is staged, and of that write */
    int32_t jobs; /* that use the log without the mutex */
    struct pl_close_job *closing; /* while state is CLOSING */

    uint8_t topic_id[PL_TOPIC_ID_BYTES];
    char *folder;
    uint16_t name_length;
    char name[]; /* of the topic, terminated */
};

/* One reference, the caller's. */
PL_MUST_CHECK struct pl_partition *pl_partition_create(struct pl_broker *broker,
                                                       const struct pl_partition_open *open);
void pl_partition_retain(struct pl_partition *partition);  /* any thread */
void pl_partition_release(struct pl_partition *partition); /* any thread */

struct pl_records { /* one batch or more, and the memory in which they lie */
    uint8_t *bytes;
    size_t length;
    struct pl_holding memory;
};
/* Stages a batch. It is written, and waiters are told, by the end of the turn, or later by a
 * worker. Takes the memory whatever it returns. `verified`: see transaction_verified in log/log.h;
 * `bad`, which may be NULL, likewise. */
PL_MUST_CHECK enum pl_err pl_partition_append(struct pl_partition *partition,
                                              enum pl_append_origin origin, bool verified,
                                              const struct pl_records *records,
                                              struct pl_bad_records *bad,
                                              struct pl_appended *appended);
/* See pl_log_in_transaction; false while there is no log. */
bool pl_partition_in_transaction(struct pl_partition *partition, int64_t producer_id,
                                 int16_t producer_epoch);

int64_t pl_partition_end(const struct pl_partition *partition, enum pl_level level);
/* Linked until the offset is reached, the write fails, the log goes offline or the partition is
 * closed, each of which calls wait->end; or until the waiter leaves by pl_ring_leave. */
void pl_partition_wait(struct pl_partition *partition, enum pl_level level, struct pl_wait *wait);
void pl_partition_watch(struct pl_partition *partition, struct pl_watch *watch);

/* To be settled before the reactor sleeps. */
void pl_partition_touch(struct pl_partition *partition);
/* Writes what is staged or has it written, takes over the log's offsets, starts the flush that
 * they need, tells who waited. */
void pl_partition_settle(struct pl_partition *partition);
/* It has stopped serving: whoever watches finds its error. */
void pl_partition_wake_watches(struct pl_partition *partition);
void pl_partition_end_waits(struct pl_partition *partition, int16_t error); /* every one */

/* Around a job that uses the log: the log is not closed between the two. */
void pl_partition_job_begins(struct pl_partition *partition);
void pl_partition_job_ended(struct pl_partition *partition);

/* PL_KAFKA_NONE when it serves; else what a client is told. */
int16_t pl_partition_error(const struct pl_partition *partition);

#endif
