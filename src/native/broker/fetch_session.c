#include "broker/fetch_session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/partition.h"

enum { STALE_MS = 2 * 60 * 1000, FIRST_BUCKETS = 8 };

static uint64_t scramble(uint64_t value) { /* the finisher of splitmix64 */
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

/* ---- entries ---- */

static uint64_t hash_key(const struct pl_fetch_session *session,
                         const struct pl_topic_partition *key) {
    uint64_t hash = (uint64_t)session->id << 32 | (uint32_t)key->index;
    const uint8_t *bytes = session->uses_ids ? key->id : (const uint8_t *)key->name;
    size_t n = session->uses_ids ? PL_TOPIC_ID_BYTES : key->name_length;
    for (; n >= 8; n -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = scramble(hash ^ word);
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, n);
    return scramble(hash ^ rest);
}

static bool is_key(const struct pl_fetch_session *session, const struct pl_session_entry *entry,
                   const struct pl_topic_partition *key) {
    if (entry->key.index != key->index) {
        return false;
    }
    if (session->uses_ids) {
        return memcmp(entry->key.id, key->id, PL_TOPIC_ID_BYTES) == 0;
    }
    return entry->key.name_length == key->name_length &&
           memcmp(entry->key.name, key->name, key->name_length) == 0;
}

struct pl_session_entry *pl_session_entry_find(const struct pl_fetch_session *session,
                                               const struct pl_topic_partition *key) {
    uint64_t hash = hash_key(session, key);
    struct pl_session_entry *entry = session->buckets[hash & (session->bucket_count - 1)];
    while (entry != NULL && (entry->hash != hash || !is_key(session, entry, key))) {
        entry = entry->next;
    }
    return entry;
}

static void link_entry(struct pl_fetch_session *session, struct pl_session_entry *entry) {
    struct pl_session_entry **bucket = &session->buckets[entry->hash & (session->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
}

static enum pl_err grow(struct pl_fetch_session *session) {
    size_t bucket_count = session->bucket_count == 0 ? FIRST_BUCKETS : session->bucket_count * 2;
    struct pl_session_entry **buckets = calloc(bucket_count, sizeof *buckets);
    if (buckets == NULL) {
        return PL_ERR_MEMORY;
    }
    free(session->buckets);
    session->buckets = buckets;
    session->bucket_count = bucket_count;
    struct pl_ring *head = &session->entries;
    for (struct pl_ring *link = head->next; link != head; link = link->next) {
        link_entry(session, PL_CONTAINER(link, struct pl_session_entry, order));
    }
    return PL_OK;
}

static struct pl_session_entry *create_entry(const struct pl_fetch_session *session,
                                             const struct pl_topic_partition *key) {
    size_t length = session->uses_ids ? 0 : key->name_length;
    struct pl_session_entry *entry = calloc(1, sizeof *entry + length);
    if (entry == NULL) {
        return NULL;
    }
    char *name = (char *)(entry + 1);
    entry->key = *key;
    entry->key.name = session->uses_ids ? NULL : name;
    entry->key.name_length = (uint16_t)length;
    if (length > 0) {
        memcpy(name, key->name, length);
    }
    entry->hash = hash_key(session, key);
    entry->sent_high_watermark = entry->sent_log_start = -1;
    return entry;
}

struct pl_session_entry *pl_session_entry_put(struct pl_fetch_session *session,
                                              const struct pl_topic_partition *key) {
    struct pl_session_entry *entry = pl_session_entry_find(session, key);
    if (entry != NULL) {
        return entry;
    }
    if (session->count >= session->bucket_count && grow(session) != PL_OK) {
        return NULL;
    }
    entry = create_entry(session, key);
    if (entry != NULL) {
        link_entry(session, entry);
        pl_ring_add(&session->entries, &entry->order);
        session->count++;
    }
    return entry;
}

static void free_entry(struct pl_session_entry *entry) {
    if (entry->partition != NULL) {
        pl_partition_release(entry->partition);
    }
    free(entry);
}

void pl_session_entry_remove(struct pl_fetch_session *session, struct pl_session_entry *entry) {
    struct pl_session_entry **at = &session->buckets[entry->hash & (session->bucket_count - 1)];
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    pl_ring_leave(&entry->order);
    session->count--;
    free_entry(entry);
}

/* ---- sessions ---- */

enum pl_err pl_fetch_sessions_open(struct pl_fetch_sessions *sessions, int32_t slots) {
    *sessions = (struct pl_fetch_sessions){.slots = slots, .bucket_count = FIRST_BUCKETS};
    while (sessions->bucket_count < (size_t)(slots > 0 ? slots : 0)) {
        sessions->bucket_count *= 2;
    }
    sessions->buckets = calloc(sessions->bucket_count, sizeof(struct pl_fetch_session *));
    if (sessions->buckets == NULL) {
        return PL_ERR_MEMORY;
    }
    pl_ring_init(&sessions->used);
    if (getrandom(&sessions->random, sizeof sessions->random, GRND_NONBLOCK) < 0) {
        sessions->random = (uint64_t)(uintptr_t)sessions->buckets;
    }
    return PL_OK;
}

void pl_fetch_sessions_close(struct pl_fetch_sessions *sessions) {
    while (!pl_ring_is_empty(&sessions->used)) {
        pl_fetch_session_remove(sessions, PL_CONTAINER(sessions->used.next, struct pl_fetch_session,
                                                       used));
    }
    free(sessions->buckets);
}

static struct pl_fetch_session **bucket_of(const struct pl_fetch_sessions *sessions, int32_t id) {
    return &sessions->buckets[(uint32_t)id & (sessions->bucket_count - 1)];
}

struct pl_fetch_session *pl_fetch_session_find(const struct pl_fetch_sessions *sessions,
                                               int32_t id) {
    struct pl_fetch_session *session = *bucket_of(sessions, id);
    while (session != NULL && session->id != id) {
        session = session->next;
    }
    return session;
}

void pl_fetch_session_remove(struct pl_fetch_sessions *sessions, struct pl_fetch_session *session) {
    struct pl_fetch_session **at = bucket_of(sessions, session->id);
    while (*at != session) {
        at = &(*at)->next;
    }
    *at = session->next;
    pl_ring_leave(&session->used);
    sessions->count--;
    while (!pl_ring_is_empty(&session->entries)) {
        struct pl_ring *link = session->entries.next;
        pl_ring_leave(link);
        free_entry(PL_CONTAINER(link, struct pl_session_entry, order));
    }
    free(session->buckets);
    free(session);
}

/* Whether `other` is worth less than the session that asks for its slot. */
static bool may_go(const struct pl_fetch_session *other, bool privileged, size_t size,
                   int64_t now_ms) {
    if (privileged && !other->privileged) {
        return true;
    }
    return privileged == other->privileged && other->count <= size &&
           now_ms - other->created_ms > STALE_MS;
}

static struct pl_fetch_session *least(struct pl_fetch_session *a, struct pl_fetch_session *b) {
    if (a == NULL || a->privileged != b->privileged) {
        return a == NULL || a->privileged ? b : a;
    }
    return b->count < a->count ? b : a;
}

static bool evict(struct pl_fetch_sessions *sessions, bool privileged, size_t size,
                  int64_t now_ms) {
    struct pl_fetch_session *victim = NULL;
    struct pl_ring *head = &sessions->used;
    for (struct pl_ring *link = head->next; link != head; link = link->next) {
        struct pl_fetch_session *session = PL_CONTAINER(link, struct pl_fetch_session, used);
        if (link == head->next && now_ms - session->used_ms > STALE_MS) {
            victim = session;
            break;
        }
        if (may_go(session, privileged, size, now_ms)) {
            victim = least(victim, session);
        }
    }
    if (victim != NULL) {
        pl_fetch_session_remove(sessions, victim);
    }
    return victim != NULL;
}

/* Positive, and not one in use: an id must not be guessed from the one before. */
static int32_t new_id(struct pl_fetch_sessions *sessions) {
    int32_t id;
    do {
        sessions->random += 0x9e3779b97f4a7c15U;
        id = (int32_t)(scramble(sessions->random) & INT32_MAX);
    } while (id == 0 || pl_fetch_session_find(sessions, id) != NULL);
    return id;
}

struct pl_fetch_session *pl_fetch_session_create(struct pl_fetch_sessions *sessions,
                                                 bool privileged, bool uses_ids, size_t size,
                                                 int64_t now_ms) {
    if (sessions->count >= sessions->slots && !evict(sessions, privileged, size, now_ms)) {
        return NULL;
    }
    struct pl_fetch_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    *session = (struct pl_fetch_session){.id = new_id(sessions),
                                         .epoch = PL_FETCH_EPOCH_INITIAL + 1,
                                         .privileged = privileged,
                                         .uses_ids = uses_ids,
                                         .created_ms = now_ms,
                                         .used_ms = now_ms};
    pl_ring_init(&session->entries);
    if (grow(session) != PL_OK) {
        free(session);
        return NULL;
    }
    struct pl_fetch_session **bucket = bucket_of(sessions, session->id);
    session->next = *bucket;
    *bucket = session;
    pl_ring_add(&sessions->used, &session->used);
    sessions->count++;
    return session;
}

void pl_fetch_session_advance(struct pl_fetch_sessions *sessions, struct pl_fetch_session *session,
                              int64_t now_ms) {
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    session->used_ms = now_ms;
    pl_ring_leave(&session->used);
    pl_ring_add(&sessions->used, &session->used);
}
