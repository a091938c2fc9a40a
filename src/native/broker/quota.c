#include "broker/quota.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/limits.h"

enum {
    WINDOWS = 11, /* quota.window.num */
    WINDOW_MS = 1000,
    FULL_WINDOWS_MS = (WINDOWS - 1) * WINDOW_MS,
    BUCKETS = 16 * 1024,
    LEVELS = 8,
    NS_PER_MS = 1000000,
    NS_PER_PERCENT = 10000000, /* of one thread in one second */
};

struct name { /* of a user or a client id; matched as a rule says */
    enum pl_quota_match match;
    uint32_t length;
    const char *text;
};

struct key {
    struct name user, client_id;
};

struct rule { /* texts are in pl_quotas.texts */
    struct key key;
    double limits[PL_QUOTA_KINDS];
};

struct usage { /* of what shares one limit; owned by its bucket */
    struct usage *next;
    uint64_t hash;
    struct key key; /* texts follow the struct */
    enum pl_quota_kind kind;
    uint64_t windows[WINDOWS]; /* number of the second that the amount is of */
    double amounts[WINDOWS];
    char texts[];
};

struct pl_quotas { /* owned by the broker */
    pthread_mutex_t mutex;
    struct rule *rules; /* sorted by key */
    size_t count;
    char *texts;
    struct usage *usages[BUCKETS];
    uint32_t usage_count;
    uint64_t seed;
    atomic_bool limited[PL_QUOTA_KINDS];
};

/* ---- keys ---- */

static int compare_names(const struct name *left, const struct name *right) {
    if (left->match != right->match) {
        return left->match < right->match ? -1 : 1;
    }
    if (left->length != right->length) {
        return left->length < right->length ? -1 : 1;
    }
    return left->length == 0 ? 0 : memcmp(left->text, right->text, left->length);
}

static int compare_keys(const void *left, const void *right) {
    const struct key *a = left, *b = right;
    int order = compare_names(&a->user, &b->user);
    return order != 0 ? order : compare_names(&a->client_id, &b->client_id);
}

static struct name part_of(enum pl_quota_match match, const char *text, uint32_t length) {
    bool named = match == PL_QUOTA_NAMED;
    return (struct name){.match = match, .text = named ? text : "", .length = named ? length : 0};
}

static struct key key_of(const struct pl_quota_client *client, enum pl_quota_match user,
                         enum pl_quota_match client_id) {
    return (struct key){part_of(user, client->user, client->user_length),
                        part_of(client_id, client->client_id, client->client_id_length)};
}

/* ---- rules ---- */

/* Strongest first. */
static const enum pl_quota_match levels[LEVELS][2] = {
    {PL_QUOTA_NAMED, PL_QUOTA_NAMED},   {PL_QUOTA_NAMED, PL_QUOTA_DEFAULT},
    {PL_QUOTA_NAMED, PL_QUOTA_ANY},     {PL_QUOTA_DEFAULT, PL_QUOTA_NAMED},
    {PL_QUOTA_DEFAULT, PL_QUOTA_DEFAULT}, {PL_QUOTA_DEFAULT, PL_QUOTA_ANY},
    {PL_QUOTA_ANY, PL_QUOTA_NAMED},     {PL_QUOTA_ANY, PL_QUOTA_DEFAULT},
};

/* The limit in force, and in *shared who shares it; NAN: none. */
static double find_limit(const struct pl_quotas *quotas, enum pl_quota_kind kind,
                         const struct pl_quota_client *client, struct key *shared) {
    for (int level = 0; level < LEVELS; level++) {
        struct key key = key_of(client, levels[level][0], levels[level][1]);
        const struct rule *rule =
            bsearch(&key, quotas->rules, quotas->count, sizeof *rule, compare_keys);
        if (rule != NULL && !isnan(rule->limits[kind])) {
            *shared = key_of(client,
                             levels[level][0] == PL_QUOTA_ANY ? PL_QUOTA_ANY : PL_QUOTA_NAMED,
                             levels[level][1] == PL_QUOTA_ANY ? PL_QUOTA_ANY : PL_QUOTA_NAMED);
            return rule->limits[kind];
        }
    }
    return NAN;
}

static const char *pack(char **to, const char *text, size_t length) {
    char *at = *to;
    if (length > 0) {
        memcpy(at, text, length);
    }
    *to += length;
    return at;
}

static size_t text_length(enum pl_quota_match match, const char *text) {
    return match == PL_QUOTA_NAMED ? strlen(text) : 0;
}

static void copy_rule(struct rule *to, const struct pl_quota_rule *from, char **texts) {
    size_t user = text_length(from->user_match, from->user);
    size_t client_id = text_length(from->client_id_match, from->client_id);
    to->key.user = (struct name){from->user_match, (uint32_t)user, pack(texts, from->user, user)};
    to->key.client_id = (struct name){from->client_id_match, (uint32_t)client_id,
                                      pack(texts, from->client_id, client_id)};
    memcpy(to->limits, from->limits, sizeof to->limits);
}

static void exchange(struct pl_quotas *quotas, struct rule *rules, size_t count, char *texts) {
    bool limited[PL_QUOTA_KINDS] = {false};
    for (size_t i = 0; i < count; i++) {
        for (int kind = 0; kind < PL_QUOTA_KINDS; kind++) {
            limited[kind] |= !isnan(rules[i].limits[kind]);
        }
    }
    pthread_mutex_lock(&quotas->mutex);
    struct rule *old_rules = quotas->rules;
    char *old_texts = quotas->texts;
    quotas->rules = rules;
    quotas->count = count;
    quotas->texts = texts;
    for (int kind = 0; kind < PL_QUOTA_KINDS; kind++) {
        atomic_store_explicit(&quotas->limited[kind], limited[kind], memory_order_relaxed);
    }
    pthread_mutex_unlock(&quotas->mutex);
    free(old_rules);
    free(old_texts);
}

enum pl_err pl_quotas_replace(struct pl_quotas *quotas, const struct pl_quota_rule *rules,
                              int32_t count) {
    size_t text_bytes = 1, n = (size_t)count;
    for (size_t i = 0; i < n; i++) {
        text_bytes += text_length(rules[i].user_match, rules[i].user) +
                      text_length(rules[i].client_id_match, rules[i].client_id);
    }
    struct rule *copies = malloc((n + 1) * sizeof *copies);
    char *texts = malloc(text_bytes);
    if (copies == NULL || texts == NULL) {
        free(copies);
        free(texts);
        return PL_ERR_MEMORY;
    }
    char *at = texts;
    for (size_t i = 0; i < n; i++) {
        copy_rule(&copies[i], &rules[i], &at);
    }
    qsort(copies, n, sizeof *copies, compare_keys);
    exchange(quotas, copies, n, texts);
    return PL_OK;
}

bool pl_quotas_limit(const struct pl_quotas *quotas, enum pl_quota_kind kind) {
    return atomic_load_explicit(&quotas->limited[kind], memory_order_relaxed);
}

/* ---- usage ---- */

static uint64_t hash_usage(const struct pl_quotas *quotas, enum pl_quota_kind kind,
                           const struct key *key) {
    uint64_t seed = quotas->seed + (uint64_t)kind * 9 + key->user.match * 3 + key->client_id.match;
    uint64_t hash = pl_hash_bytes(seed, key->user.text, key->user.length);
    return pl_hash_bytes(hash, key->client_id.text, key->client_id.length);
}

static struct usage *find_usage(const struct pl_quotas *quotas, enum pl_quota_kind kind,
                                const struct key *key, uint64_t hash) {
    struct usage *usage = quotas->usages[hash % BUCKETS];
    while (usage != NULL && (usage->hash != hash || usage->kind != kind ||
                             compare_keys(&usage->key, key) != 0)) {
        usage = usage->next;
    }
    return usage;
}

static bool is_idle(const struct usage *usage, uint64_t window) {
    for (int i = 0; i < WINDOWS; i++) {
        if (usage->windows[i] + WINDOWS > window) {
            return false;
        }
    }
    return true;
}

/* Forgets who has used nothing for eleven seconds: their rate is zero. */
static void sweep(struct pl_quotas *quotas, uint64_t window) {
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        struct usage **link = &quotas->usages[bucket];
        while (*link != NULL) {
            struct usage *usage = *link;
            if (is_idle(usage, window)) {
                *link = usage->next;
                free(usage);
                quotas->usage_count--;
            } else {
                link = &usage->next;
            }
        }
    }
}

/* NULL when there is no memory, or no room for one more that is not idle: then it goes free. */
static struct usage *add_usage(struct pl_quotas *quotas, enum pl_quota_kind kind,
                               const struct key *key, uint64_t hash, uint64_t window) {
    if (quotas->usage_count >= PL_MAX_QUOTA_USAGES) {
        sweep(quotas, window);
    }
    if (quotas->usage_count >= PL_MAX_QUOTA_USAGES) {
        return NULL;
    }
    struct usage *usage = calloc(1, sizeof *usage + key->user.length + key->client_id.length);
    if (usage == NULL) {
        return NULL;
    }
    char *texts = usage->texts;
    usage->hash = hash;
    usage->kind = kind;
    usage->key = *key;
    usage->key.user.text = pack(&texts, key->user.text, key->user.length);
    usage->key.client_id.text = pack(&texts, key->client_id.text, key->client_id.length);
    usage->next = quotas->usages[hash % BUCKETS];
    quotas->usages[hash % BUCKETS] = usage;
    quotas->usage_count++;
    return usage;
}

static void add_amount(struct usage *usage, double amount, uint64_t window) {
    uint64_t slot = window % WINDOWS;
    if (usage->windows[slot] != window) {
        usage->windows[slot] = window;
        usage->amounts[slot] = 0;
    }
    usage->amounts[slot] += amount;
}

static double total_of(const struct usage *usage, uint64_t window) {
    double total = 0;
    for (int i = 0; i < WINDOWS; i++) {
        total += usage->windows[i] + WINDOWS > window ? usage->amounts[i] : 0;
    }
    return total;
}

/* ---- charging ---- */

/* Limits are bytes or percent of a thread, each a second. */
static double units_of(enum pl_quota_kind kind, double amount) {
    return kind == PL_QUOTA_REQUEST ? amount / NS_PER_PERCENT : amount;
}

/* How long to use nothing until the rate over (elapsed + wait) is the limit. Request time is
 * throttled for one window at most, as in Kafka. */
static int32_t wait_ms(enum pl_quota_kind kind, double total, double limit, uint64_t elapsed_ms) {
    double wait = ceil(total / limit * 1000 - (double)elapsed_ms);
    double most = kind == PL_QUOTA_REQUEST ? WINDOW_MS : INT32_MAX;
    return wait <= 0 ? 0 : (int32_t)(wait < most ? wait : most);
}

static int32_t record(struct pl_quotas *quotas, enum pl_quota_kind kind,
                      const struct pl_quota_client *client, double amount, uint64_t now_ns) {
    uint64_t now_ms = now_ns / NS_PER_MS, window = now_ms / WINDOW_MS + WINDOWS;
    struct key key;
    pthread_mutex_lock(&quotas->mutex);
    double limit = find_limit(quotas, kind, client, &key);
    int32_t wait = 0;
    if (!isnan(limit)) {
        uint64_t hash = hash_usage(quotas, kind, &key);
        struct usage *usage = find_usage(quotas, kind, &key, hash);
        usage = usage != NULL ? usage : add_usage(quotas, kind, &key, hash, window);
        if (usage != NULL) {
            add_amount(usage, units_of(kind, amount), window);
            wait = wait_ms(kind, total_of(usage, window), limit,
                           FULL_WINDOWS_MS + now_ms % WINDOW_MS);
        }
    }
    pthread_mutex_unlock(&quotas->mutex);
    return wait;
}

int32_t pl_quotas_charge(struct pl_quotas *quotas, enum pl_quota_kind kind,
                         const struct pl_quota_client *client, uint64_t amount, uint64_t now_ns) {
    return pl_quotas_limit(quotas, kind) ? record(quotas, kind, client, (double)amount, now_ns)
                                         : 0;
}

void pl_quotas_refund(struct pl_quotas *quotas, enum pl_quota_kind kind,
                      const struct pl_quota_client *client, uint64_t amount, uint64_t now_ns) {
    if (pl_quotas_limit(quotas, kind)) {
        (void)record(quotas, kind, client, -(double)amount, now_ns);
    }
}

uint32_t pl_quotas_most_at_once(struct pl_quotas *quotas, enum pl_quota_kind kind,
                                const struct pl_quota_client *client) {
    if (!pl_quotas_limit(quotas, kind)) {
        return UINT32_MAX;
    }
    struct key key;
    pthread_mutex_lock(&quotas->mutex);
    double limit = find_limit(quotas, kind, client, &key);
    pthread_mutex_unlock(&quotas->mutex);
    double most = limit * (WINDOWS - 1);
    return isnan(limit) || most >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

/* ---- one open and close pair ---- */

enum pl_err pl_quotas_create(struct pl_quotas **created) {
    struct pl_quotas *quotas = calloc(1, sizeof *quotas);
    if (quotas == NULL) {
        return PL_ERR_MEMORY;
    }
    if (pthread_mutex_init(&quotas->mutex, NULL) != 0) {
        free(quotas);
        return PL_ERR_MEMORY;
    }
    if (getrandom(&quotas->seed, sizeof quotas->seed, 0) != (ssize_t)sizeof quotas->seed) {
        quotas->seed = (uint64_t)(uintptr_t)quotas;
    }
    *created = quotas;
    return PL_OK;
}

void pl_quotas_destroy(struct pl_quotas *quotas) {
    if (quotas == NULL) {
        return;
    }
    sweep(quotas, UINT64_MAX);
    free(quotas->rules);
    free(quotas->texts);
    pthread_mutex_destroy(&quotas->mutex);
    free(quotas);
}
