#include "broker/partition_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/limits.h"
#include "broker/partition.h"

enum { FIRST_BUCKETS = 64, FIRST_HANDLES = 64 };
static const uint32_t NO_SLOT = UINT32_MAX;

/* ---- topics ---- */

static struct pl_topic **name_bucket(const struct pl_partition_table *table, uint64_t hash) {
    return &table->by_name[hash & (table->buckets - 1)];
}

static struct pl_topic **id_bucket(const struct pl_partition_table *table, uint64_t hash) {
    return &table->by_id[hash & (table->buckets - 1)];
}

struct pl_topic *pl_topic_by_name(const struct pl_partition_table *table, const void *name,
                                  size_t length) {
    uint64_t hash = pl_hash_bytes(table->seed, name, length);
    struct pl_topic *topic = *name_bucket(table, hash);
    while (topic != NULL && (topic->name_hash != hash || topic->name_length != length ||
                             memcmp(topic->name, name, length) != 0)) {
        topic = topic->next_by_name;
    }
    return topic;
}

struct pl_topic *pl_topic_by_id(const struct pl_partition_table *table, const uint8_t *id) {
    uint64_t hash = pl_hash_bytes(table->seed, id, PL_TOPIC_ID_BYTES);
    struct pl_topic *topic = *id_bucket(table, hash);
    while (topic != NULL && memcmp(topic->id, id, PL_TOPIC_ID_BYTES) != 0) {
        topic = topic->next_by_id;
    }
    return topic;
}

struct pl_partition *pl_topic_partition(const struct pl_topic *topic, int32_t index) {
    return index >= 0 && index < topic->capacity ? topic->partitions[index] : NULL;
}

static void link_topic(struct pl_partition_table *table, struct pl_topic *topic) {
    struct pl_topic **bucket = name_bucket(table, topic->name_hash);
    topic->next_by_name = *bucket;
    *bucket = topic;
    bucket = id_bucket(table, topic->id_hash);
    topic->next_by_id = *bucket;
    *bucket = topic;
}

static void unlink_topic(struct pl_partition_table *table, const struct pl_topic *topic) {
    struct pl_topic **at = name_bucket(table, topic->name_hash);
    while (*at != topic) {
        at = &(*at)->next_by_name;
    }
    *at = topic->next_by_name;
    at = id_bucket(table, topic->id_hash);
    while (*at != topic) {
        at = &(*at)->next_by_id;
    }
    *at = topic->next_by_id;
}

static enum pl_err allocate_buckets(struct pl_partition_table *table, size_t buckets) {
    struct pl_topic **by_name = calloc(buckets, sizeof *by_name);
    struct pl_topic **by_id = calloc(buckets, sizeof *by_id);
    if (by_name == NULL || by_id == NULL) {
        free(by_name);
        free(by_id);
        return PL_ERR_MEMORY;
    }
    table->by_name = by_name;
    table->by_id = by_id;
    table->buckets = buckets;
    return PL_OK;
}

static enum pl_err grow_buckets(struct pl_partition_table *table) {
    struct pl_partition_table old = *table;
    enum pl_err err = allocate_buckets(table, old.buckets * 2);
    if (err != PL_OK) {
        return err;
    }
    for (size_t i = 0; i < old.buckets; i++) {
        for (struct pl_topic *topic = old.by_name[i], *next; topic != NULL; topic = next) {
            next = topic->next_by_name;
            link_topic(table, topic);
        }
    }
    free(old.by_name);
    free(old.by_id);
    return PL_OK;
}

static enum pl_err create_topic(struct pl_partition_table *table,
                                const struct pl_partition *partition, struct pl_topic **created) {
    if (table->topics >= table->buckets) {
        enum pl_err err = grow_buckets(table);
        if (err != PL_OK) {
            return err;
        }
    }
    struct pl_topic *topic = calloc(1, sizeof *topic + partition->name_length);
    if (topic == NULL) {
        return PL_ERR_MEMORY;
    }
    topic->name_length = partition->name_length;
    memcpy(topic->name, partition->name, partition->name_length);
    memcpy(topic->id, partition->topic_id, PL_TOPIC_ID_BYTES);
    topic->name_hash = pl_hash_bytes(table->seed, topic->name, topic->name_length);
    topic->id_hash = pl_hash_bytes(table->seed, topic->id, PL_TOPIC_ID_BYTES);
    link_topic(table, topic);
    table->topics++;
    *created = topic;
    return PL_OK;
}

static void forget_when_empty(struct pl_partition_table *table, struct pl_topic *topic) {
    if (topic->count > 0) {
        return;
    }
    unlink_topic(table, topic);
    table->topics--;
    free(topic->partitions);
    free(topic);
}

static enum pl_err make_room(struct pl_topic *topic, int32_t index) {
    if (index < 0 || index >= PL_MAX_PARTITIONS_PER_REQUEST) {
        return PL_ERR_LIMIT;
    }
    if (index < topic->capacity) {
        return topic->partitions[index] == NULL ? PL_OK : PL_ERR_EXISTS;
    }
    int32_t capacity = topic->capacity == 0 ? 1 : topic->capacity;
    while (capacity <= index) {
        capacity *= 2;
    }
    struct pl_partition **partitions =
        realloc(topic->partitions, (size_t)capacity * sizeof *partitions);
    if (partitions == NULL) {
        return PL_ERR_MEMORY;
    }
    memset(partitions + topic->capacity, 0,
           (size_t)(capacity - topic->capacity) * sizeof *partitions);
    topic->partitions = partitions;
    topic->capacity = capacity;
    return PL_OK;
}

enum pl_err pl_partition_attach(struct pl_partition_table *table, struct pl_partition *partition) {
    struct pl_topic *topic = pl_topic_by_name(table, partition->name, partition->name_length);
    if (topic == NULL) {
        enum pl_err err = create_topic(table, partition, &topic);
        if (err != PL_OK) {
            return err;
        }
    } else if (memcmp(topic->id, partition->topic_id, PL_TOPIC_ID_BYTES) != 0) {
        return PL_ERR_EXISTS;
    }
    enum pl_err err = make_room(topic, partition->index);
    if (err != PL_OK) {
        forget_when_empty(table, topic);
        return err;
    }
    topic->partitions[partition->index] = partition;
    topic->count++;
    partition->topic = topic;
    return PL_OK;
}

void pl_partition_detach(struct pl_partition_table *table, struct pl_partition *partition) {
    struct pl_topic *topic = partition->topic;
    if (topic == NULL) {
        return;
    }
    topic->partitions[partition->index] = NULL;
    topic->count--;
    partition->topic = NULL;
    forget_when_empty(table, topic);
}

/* ---- handles: slot index + 1 below, generation above ---- */

static enum pl_err grow_handles(struct pl_partition_table *table) {
    uint32_t capacity = table->handle_capacity == 0 ? FIRST_HANDLES : table->handle_capacity * 2;
    if (capacity > PL_MAX_PARTITIONS_PER_REQUEST * 2U) {
        return PL_ERR_LIMIT;
    }
    struct pl_handle_slot *handles = realloc(table->handles, capacity * sizeof *handles);
    if (handles == NULL) {
        return PL_ERR_MEMORY;
    }
    for (uint32_t i = table->handle_capacity; i < capacity; i++) {
        uint32_t next = i + 1 < capacity ? i + 1 : NO_SLOT;
        handles[i] = (struct pl_handle_slot){.next_free = next};
    }
    table->first_free = table->handle_capacity;
    table->handles = handles;
    table->handle_capacity = capacity;
    return PL_OK;
}

static enum pl_err take_slot(struct pl_partition_table *table, struct pl_partition *partition) {
    if (table->first_free == NO_SLOT) {
        enum pl_err err = grow_handles(table);
        if (err != PL_OK) {
            return err;
        }
    }
    uint32_t index = table->first_free;
    struct pl_handle_slot *slot = &table->handles[index];
    table->first_free = slot->next_free;
    slot->generation++;
    slot->partition = partition;
    partition->handle = (uint64_t)slot->generation << 32 | (index + 1U);
    return PL_OK;
}

enum pl_err pl_handle_make(struct pl_partition_table *table, struct pl_partition *partition) {
    pthread_mutex_lock(&table->handles_mutex);
    enum pl_err err = take_slot(table, partition);
    pthread_mutex_unlock(&table->handles_mutex);
    if (err == PL_OK) {
        pl_partition_retain(partition);
    }
    return err;
}

/* With the mutex held; NULL for a handle that is gone. */
static struct pl_handle_slot *slot_of(struct pl_partition_table *table, uint64_t handle) {
    uint32_t index = (uint32_t)handle - 1U;
    if (index >= table->handle_capacity) {
        return NULL;
    }
    struct pl_handle_slot *slot = &table->handles[index];
    return slot->partition != NULL && slot->generation == handle >> 32 ? slot : NULL;
}

void pl_handle_forget(struct pl_partition_table *table, uint64_t handle) {
    struct pl_partition *partition = NULL;
    pthread_mutex_lock(&table->handles_mutex);
    struct pl_handle_slot *slot = slot_of(table, handle);
    if (slot != NULL) {
        partition = slot->partition;
        slot->partition = NULL;
        slot->next_free = table->first_free;
        table->first_free = (uint32_t)handle - 1U;
    }
    pthread_mutex_unlock(&table->handles_mutex);
    if (partition != NULL) {
        pl_partition_release(partition);
    }
}

struct pl_partition *pl_partition_by_handle(struct pl_partition_table *table, uint64_t handle) {
    struct pl_partition *partition = NULL;
    pthread_mutex_lock(&table->handles_mutex);
    struct pl_handle_slot *slot = slot_of(table, handle);
    if (slot != NULL) {
        partition = slot->partition;
        pl_partition_retain(partition);
    }
    pthread_mutex_unlock(&table->handles_mutex);
    return partition;
}

void pl_partition_table_each(struct pl_partition_table *table,
                             void (*each)(void *context, struct pl_partition *partition),
                             void *context) {
    /* Only the reactor changes the slots, so it reads them without the mutex. */
    for (uint32_t i = 0; i < table->handle_capacity; i++) {
        if (table->handles[i].partition != NULL) {
            each(context, table->handles[i].partition);
        }
    }
}

/* ---- the table ---- */

enum pl_err pl_partition_table_open(struct pl_partition_table *table) {
    *table = (struct pl_partition_table){.first_free = NO_SLOT};
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != sizeof table->seed) {
        table->seed = (uint64_t)(uintptr_t)table; /* at boot without entropy: still a seed */
    }
    enum pl_err err = allocate_buckets(table, FIRST_BUCKETS);
    if (err == PL_OK) {
        pthread_mutex_init(&table->handles_mutex, NULL);
    }
    return err;
}

void pl_partition_table_close(struct pl_partition_table *table) {
    free(table->by_name);
    free(table->by_id);
    free(table->handles);
    pthread_mutex_destroy(&table->handles_mutex);
}
