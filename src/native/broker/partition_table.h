/* Finds partitions: by topic name or topic id and index on the reactor, without a lock and
 * without an allocation; by handle from any thread.
 */
#ifndef PYLOG_BROKER_PARTITION_TABLE_H
#define PYLOG_BROKER_PARTITION_TABLE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pl_partition;

enum { PL_TOPIC_ID_BYTES = 16 };

struct pl_topic { /* owned by the table, while it has partitions */
    struct pl_topic *next_by_name, *next_by_id;
    uint64_t name_hash, id_hash;
    struct pl_partition **partitions; /* by index, NULL where there is none here */
    int32_t capacity, count;
    uint8_t id[PL_TOPIC_ID_BYTES];
    uint16_t name_length;
    char name[];
};

struct pl_handle_slot {
    struct pl_partition *partition; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct pl_partition_table { /* owned by the broker */
    struct pl_topic **by_name, **by_id;
    size_t buckets, topics;
    uint64_t seed;
    pthread_mutex_t handles_mutex; /* guards what follows */
    struct pl_handle_slot *handles;
    uint32_t handle_capacity, first_free;
};

PL_MUST_CHECK enum pl_err pl_partition_table_open(struct pl_partition_table *table);
void pl_partition_table_close(struct pl_partition_table *table); /* when it is empty */

/* NULL when unknown. */
struct pl_topic *pl_topic_by_name(const struct pl_partition_table *table, const void *name,
                                  size_t length);
struct pl_topic *pl_topic_by_id(const struct pl_partition_table *table, const uint8_t *id);
struct pl_partition *pl_topic_partition(const struct pl_topic *topic, int32_t index);

/* Makes the partition found by name and id. PL_ERR_EXISTS when its place is taken, or when the
 * topic is known with another id. */
PL_MUST_CHECK enum pl_err pl_partition_attach(struct pl_partition_table *table,
                                              struct pl_partition *partition);
void pl_partition_detach(struct pl_partition_table *table, struct pl_partition *partition);

/* Sets partition->handle and takes a reference of its own, until it is forgotten. */
PL_MUST_CHECK enum pl_err pl_handle_make(struct pl_partition_table *table,
                                         struct pl_partition *partition);
void pl_handle_forget(struct pl_partition_table *table, uint64_t handle);
/* Any thread. A reference that the caller gives back, or NULL. */
PL_MUST_CHECK struct pl_partition *pl_partition_by_handle(struct pl_partition_table *table,
                                                          uint64_t handle);
/* Calls `each` with every partition that has a handle; reactor thread. */
void pl_partition_table_each(struct pl_partition_table *table,
                             void (*each)(void *context, struct pl_partition *partition),
                             void *context);

#endif
