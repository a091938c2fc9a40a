/* One Fetch: what it asks of each partition, read at once or parked until enough has come.
 *
 *   start ──enough, an error, or no time──▶ finish
 *     └──▶ parked ──woken by a partition──▶ read again ──enough──▶ finish
 *            └──max_wait_ms──▶ read again ──▶ finish
 * In front of finish: warming, when the records are not in the page cache (broker/warm.h).
 */
#ifndef PYLOG_BROKER_FETCH_H
#define PYLOG_BROKER_FETCH_H

#include "base/reply.h"
#include "broker/client.h"
#include "broker/fetch_session.h"
#include "broker/partition.h"

struct pl_fetch;
struct pl_warming; /* broker/warm.h */

struct pl_fetch_item { /* one partition */
    struct pl_watch watch;
    struct pl_fetch *fetch;
    struct pl_partition *partition; /* a reference, or NULL */
    struct pl_topic_partition key;  /* its name is the partition's, or in pl_fetch.names */
    struct pl_fetch_parameters wanted;
    int16_t error; /* UNKNOWN_TOPIC…: such a partition is answered, but ends no waiting */
};

struct pl_fetch_result { /* of the item of the same index */
    struct pl_slice slice; /* the segment reference is the finisher's */
    int64_t high_watermark, last_stable, log_start; /* -1 on an error */
    int64_t diverging_end;
    int32_t diverging_epoch; /* -1: none */
    int16_t error;
    bool answered; /* for the finisher */
};

struct pl_fetch { /* owned by itself until finish has returned or the reply is canceled */
    struct pl_broker *broker;
    struct pl_reply *reply;
    const struct pl_client *client; /* of the connection that the reply is owed to */
    uint64_t began_ns;              /* this look at the partitions, see broker/throttle.h */
    struct pl_buf *memory; /* in which this lies */
    struct pl_timer timer;
    struct pl_ring woken;
    struct pl_warming *warming; /* under way, or NULL */
    /* Completes the reply with what was read, once. NULL results: there was no memory. */
    void (*finish)(struct pl_fetch *fetch, struct pl_fetch_result *results);
    char *names; /* room for the names of topics that are unknown here */
    int32_t session_id, session_epoch; /* as requested */
    int32_t replica_id, max_wait_ms, min_bytes;
    uint32_t max_bytes;
    int32_t count;
    bool read_committed, uses_ids, incremental, warmed;
    struct pl_fetch_item items[];
};

/* With room for `items`, of which none is there yet, and for `name_bytes`; NULL without memory. */
PL_MUST_CHECK struct pl_fetch *pl_fetch_create(struct pl_broker *broker, size_t items,
                                               size_t name_bytes);
/* Adds an item; takes the reference to the partition. The name of the key is copied when there
 * is no partition to keep it. */
void pl_fetch_add(struct pl_fetch *fetch, struct pl_partition *partition, int16_t error,
                  const struct pl_topic_partition *key, const struct pl_fetch_parameters *wanted);
void pl_fetch_drop(struct pl_fetch *fetch); /* only before start */
void pl_fetch_start(struct pl_fetch *fetch, struct pl_reply *reply);

/* Its records are in the page cache, or could not be brought there. */
void pl_fetch_warmed(struct pl_fetch *fetch);

/* Looks again at the parked fetches whose partitions have moved. */
void pl_fetch_serve_woken(struct pl_broker *broker);

/* Aborted transactions in what was read. *count in: room, out: found, perhaps more. */
PL_MUST_CHECK enum pl_err pl_fetch_aborted(const struct pl_fetch_item *item,
                                           const struct pl_fetch_result *result,
                                           struct pl_aborted *aborted, size_t *count);

#endif
