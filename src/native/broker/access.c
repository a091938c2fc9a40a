#include "broker/access.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/limits.h"

enum { BUCKETS = 512, FIRST_SUBJECTS = 16 };

struct grant { /* owned by its bucket */
    struct grant *next;
    uint64_t hash;
    size_t length;
    uint8_t bits;
    char topic[];
};

struct subject { /* owned by pl_access */
    uint8_t otherwise;
    struct grant *grants[BUCKETS];
};

struct pl_access { /* owned by the broker */
    struct subject **subjects; /* by number; NULL: not opened */
    uint32_t capacity;
    uint64_t seed;
};

static struct subject *find_subject(const struct pl_access *access, uint32_t number) {
    return number < access->capacity ? access->subjects[number] : NULL;
}

static struct grant *find_grant(const struct subject *subject, uint64_t hash, const void *topic,
                                size_t length) {
    struct grant *grant = subject->grants[hash % BUCKETS];
    while (grant != NULL && (grant->hash != hash || grant->length != length ||
                             memcmp(grant->topic, topic, length) != 0)) {
        grant = grant->next;
    }
    return grant;
}

bool pl_access_allows(const struct pl_access *access, uint32_t number, enum pl_access_bit bit,
                      const void *topic, size_t length) {
    if (number == 0) {
        return true;
    }
    const struct subject *subject = find_subject(access, number);
    if (subject == NULL) {
        return false;
    }
    uint64_t hash = pl_hash_bytes(access->seed, topic, length);
    const struct grant *grant = find_grant(subject, hash, topic, length);
    return ((grant == NULL ? subject->otherwise : grant->bits) & bit) != 0;
}

static void forget_grants(struct subject *subject) {
    for (int i = 0; i < BUCKETS; i++) {
        while (subject->grants[i] != NULL) {
            struct grant *grant = subject->grants[i];
            subject->grants[i] = grant->next;
            free(grant);
        }
    }
}

static enum pl_err make_room(struct pl_access *access, uint32_t number) {
    if (number >= PL_MAX_SUBJECTS) {
        return PL_ERR_LIMIT;
    }
    uint32_t capacity = access->capacity == 0 ? FIRST_SUBJECTS : access->capacity;
    while (capacity <= number) {
        capacity *= 2;
    }
    if (capacity == access->capacity) {
        return PL_OK;
    }
    struct subject **subjects = realloc(access->subjects, capacity * sizeof(struct subject *));
    if (subjects == NULL) {
        return PL_ERR_MEMORY;
    }
    memset(subjects + access->capacity, 0,
           (capacity - access->capacity) * sizeof(struct subject *));
    access->subjects = subjects;
    access->capacity = capacity;
    return PL_OK;
}

enum pl_err pl_access_open(struct pl_access *access, uint32_t number, uint8_t otherwise,
                           bool replace) {
    enum pl_err err = make_room(access, number);
    if (err != PL_OK) {
        return err;
    }
    struct subject *subject = access->subjects[number];
    if (subject == NULL) {
        subject = access->subjects[number] = calloc(1, sizeof *subject);
    } else if (replace) {
        forget_grants(subject);
    }
    if (subject == NULL) {
        return PL_ERR_MEMORY;
    }
    subject->otherwise = otherwise;
    return PL_OK;
}

enum pl_err pl_access_grant(struct pl_access *access, uint32_t number, const char *topic,
                            size_t length, uint8_t bits) {
    struct subject *subject = find_subject(access, number);
    if (subject == NULL) {
        return PL_ERR_INVALID;
    }
    uint64_t hash = pl_hash_bytes(access->seed, topic, length);
    struct grant *grant = find_grant(subject, hash, topic, length);
    if (grant == NULL) {
        grant = malloc(sizeof *grant + length);
        if (grant == NULL) {
            return PL_ERR_MEMORY;
        }
        struct grant **bucket = &subject->grants[hash % BUCKETS];
        *grant = (struct grant){.next = *bucket, .hash = hash, .length = length};
        memcpy(grant->topic, topic, length);
        *bucket = grant;
    }
    grant->bits = bits;
    return PL_OK;
}

enum pl_err pl_access_create(struct pl_access **created) {
    struct pl_access *access = calloc(1, sizeof *access);
    if (access == NULL) {
        return PL_ERR_MEMORY;
    }
    if (getrandom(&access->seed, sizeof access->seed, 0) != (ssize_t)sizeof access->seed) {
        access->seed = (uint64_t)(uintptr_t)access;
    }
    *created = access;
    return PL_OK;
}

void pl_access_destroy(struct pl_access *access) {
    if (access == NULL) {
        return;
    }
    for (uint32_t i = 0; i < access->capacity; i++) {
        if (access->subjects[i] != NULL) {
            forget_grants(access->subjects[i]);
            free(access->subjects[i]);
        }
    }
    free(access->subjects);
    free(access);
}
