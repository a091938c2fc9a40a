/* Incremental fetch sessions (KIP-227): what a fetcher wants to read is remembered, and only
 * what has changed is answered.
 *
 * A session is named by its id and by an epoch that every request advances, so that a repeated
 * or lost request is noticed. Sessions use topic ids (Fetch 13 and later) or names, never both.
 * The number of sessions is limited; a new one takes the place of another only if that one was
 * not used for two minutes, or is older than that and smaller, or is a consumer's while the new
 * one is a follower's.
 */
#ifndef PYLOG_BROKER_FETCH_SESSION_H
#define PYLOG_BROKER_FETCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "broker/partition_table.h"
#include "broker/ring.h"

enum { PL_FETCH_EPOCH_INITIAL = 0, PL_FETCH_EPOCH_FINAL = -1 };

struct pl_topic_partition { /* as a request names it; name is NULL where ids are used */
    const char *name;
    uint16_t name_length;
    int32_t index;
    uint8_t id[PL_TOPIC_ID_BYTES];
};

struct pl_fetch_parameters { /* of one partition in a request */
    int64_t fetch_offset, log_start;
    int32_t max_bytes, current_leader_epoch, last_fetched_epoch;
};

struct pl_session_entry { /* owned by its session */
    struct pl_ring order; /* of the next answer: who was answered goes to the end */
    struct pl_session_entry *next;
    uint64_t hash;
    struct pl_partition *partition; /* a reference, or NULL while unknown */
    struct pl_topic_partition key;  /* its name follows the entry */
    struct pl_fetch_parameters wanted;
    int64_t sent_high_watermark, sent_log_start; /* -1: nothing yet */
};

struct pl_fetch_session { /* owned by the sessions */
    struct pl_ring used; /* by last use */
    struct pl_fetch_session *next;
    int32_t id, epoch; /* the epoch that the next request must carry */
    bool privileged;   /* a follower's */
    bool uses_ids;
    int64_t created_ms, used_ms;
    struct pl_ring entries;
    struct pl_session_entry **buckets;
    size_t bucket_count, count;
};

struct pl_fetch_sessions { /* owned by the broker */
    struct pl_fetch_session **buckets;
    size_t bucket_count;
    int32_t slots, count;
    struct pl_ring used;
    uint64_t random;
};

PL_MUST_CHECK enum pl_err pl_fetch_sessions_open(struct pl_fetch_sessions *sessions,
                                                 int32_t slots);
void pl_fetch_sessions_close(struct pl_fetch_sessions *sessions);

struct pl_fetch_session *pl_fetch_session_find(const struct pl_fetch_sessions *sessions,
                                               int32_t id);
/* An empty session for `size` partitions; NULL when there is no slot for it, or no memory. */
struct pl_fetch_session *pl_fetch_session_create(struct pl_fetch_sessions *sessions,
                                                 bool privileged, bool uses_ids, size_t size,
                                                 int64_t now_ms);
void pl_fetch_session_remove(struct pl_fetch_sessions *sessions, struct pl_fetch_session *session);
/* A request used it: its epoch advances. */
void pl_fetch_session_advance(struct pl_fetch_sessions *sessions, struct pl_fetch_session *session,
                              int64_t now_ms);

/* NULL when it is not part of the session. */
struct pl_session_entry *pl_session_entry_find(const struct pl_fetch_session *session,
                                               const struct pl_topic_partition *key);
/* Finds or adds, at the end; NULL without memory. */
struct pl_session_entry *pl_session_entry_put(struct pl_fetch_session *session,
                                              const struct pl_topic_partition *key);
void pl_session_entry_remove(struct pl_fetch_session *session, struct pl_session_entry *entry);

#endif
